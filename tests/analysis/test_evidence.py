# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pykit.analysis.evidence import slice_of
from pykit.text import shown, tail
from tests.report.conftest import EVIDENCE, HOSTILE, PATIENT


def test_names_for_numbers_and_one_time_base_a_clock() -> None:
    found = slice_of(EVIDENCE)
    assert found.shared == "dev 0, life 0, vq 1, cpu 1, task 77"
    assert found.headings == ("row", "µs", "seen by", "seq", "event", "what")
    assert found.rows[1] == (
        "813",
        "3.4",
        "driver",
        "41",
        "desc",
        "addr=0x7f001000 len=48 flags=NEXT|INDIRECT table=ring",
    )
    # QEMU's log may have no times, and bits that have no name are not hidden.
    assert found.rows[2][1] == ""
    assert found.rows[2][-1] == "status=ACKNOWLEDGE|DRIVER|FEATURES_OK|0x10"


def test_what_differs_is_not_shared() -> None:
    first = {"source": "driver", "kind": "notify", "ts": 5, "vq": 0, "dev": 3}
    found = slice_of([first, {**first, "vq": 1, "ts": 1005}])
    assert found.shared == "seen by driver, dev 3"
    assert [row[:2] for row in found.rows] == [("0.0", "0"), ("1.0", "1")]


def test_a_reset_and_unknown_values() -> None:
    rows: list[dict[str, Any]] = [
        {"kind": "status", "status": 0, "op": 2},
        {"kind": "blk_done", "status": 2, "type": 99},
    ]
    assert [row[-1] for row in slice_of(rows).rows] == [
        "status=0 op=reset",
        "status=UNSUPP type=99",
    ]


def test_lines_are_aligned() -> None:
    shared, head, *rows = slice_of(EVIDENCE).lines()
    assert shared.startswith("dev 0")
    column = head.index("event")
    assert [row[column:].split()[0] for row in rows] == ["add", "desc", "dev_status"]


events = st.lists(
    st.dictionaries(
        st.sampled_from(
            ["row", "vq", "seq", "kind", "source", "status", "flags", "extra", HOSTILE]
        ),
        st.one_of(st.integers(), st.text(), st.sampled_from(["desc", "status"])),
    ),
    min_size=1,
    max_size=5,
)


@PATIENT
@given(events)
def test_any_events_make_a_table_of_printable_text(rows: list[dict[str, Any]]) -> None:
    found = slice_of(rows)
    assert len(found.rows) == len(rows)
    assert all(line.isprintable() for line in found.lines())


@PATIENT
@given(st.text())
def test_shown_text_is_printable(text: str) -> None:
    assert shown(text).isprintable()


@PATIENT
@given(st.text())
def test_a_tail_has_lines_and_nothing_else(text: str) -> None:
    lines = tail(text, 3).split("\n")
    assert len(lines) <= 3
    assert all(line.isprintable() for line in lines)


def test_a_tail_drops_colours_and_keeps_the_words() -> None:
    text = "lost\r\n\x1b[1;31mOops\x1b[0m: \x1b]0;title\x07now\r\nend\tof it\x00\r\n"
    assert tail(text, 2) == "Oops: now\nend    of it\\x00"
