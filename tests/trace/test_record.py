# SPDX-License-Identifier: GPL-2.0-only
"""Files of the recorder (pykit record), by one that it wrote on Debian's 6.12."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from pykit.spec import check
from pykit.trace import load
from pykit.trace.errors import BadDatError
from pykit.trace.formats import EventField
from pykit.trace.kinds import BASE, KINDS, Dtype
from pykit.trace.tracing import read_tracing

#: Columns that the recorder leaves out, by kind.
LEFT_OUT = {"add": {"differs"}}
FILE = Path(__file__).parent.parent / "data" / "record-6.12.dat"


def test_the_source_is_the_recorder() -> None:
    events = load(FILE)
    assert set(events.table["source"].unique()) == {"record"}
    assert (events.lost, events.losses) == (0, ())
    assert events.capture.kernel == "6.12.117+deb12-amd64"
    assert events.capture.clock == "mono"


def test_the_events_of_two_lives() -> None:
    events = load(FILE)
    assert events.of("driver")["stage"].to_list() == [0, 1, 3, 4] * 2
    assert events.of("queue")["op"].to_list() == [0, 0, 1, 1] * 2
    adds, used = events.of("add"), events.of("used")
    assert adds.height == used.height > 20
    assert events.of("desc").height == (adds["chain"] + adds["indirect"]).sum()
    assert events.of("blk_start").height == events.of("blk_done").height == adds.height
    assert events.of("compared").height == adds.height
    assert events.of("interrupt")["irq"].n_unique() == 2
    assert events.of("kick")["needed"].sum() == events.of("notify").height
    assert sorted(adds["head"].to_list()) == sorted(used["id"].to_list())


def test_rules_judge_it() -> None:
    verdicts = check(load(FILE))
    assert verdicts.having("fail") == ()
    assert len(verdicts.having("pass")) >= 60
    for name in ("DX-19", "DX-20", "DX-23", "DX-25", "DX-76", "BO-DR-02", "SD-DE-04"):
        assert verdicts.of(name).verdict == "pass", name


def fields() -> Iterator[tuple[str, list[EventField]]]:
    for form in read_tracing(FILE).formats.values():
        own = [field for field in form.fields if not field.name.startswith("common_")]
        yield form.name.removeprefix("pykit_"), own


def bits(dtype: Dtype) -> tuple[int, bool]:
    """Width in bytes, and whether it has a sign."""
    return int("".join(filter(str.isdigit, dtype.__name__))) // 8, dtype.is_signed_integer()


@pytest.mark.parametrize(("kind", "own"), list(fields()), ids=[kind for kind, _ in fields()])
def test_formats_are_those_of_the_modules(kind: str, own: list[EventField]) -> None:
    known = KINDS[kind] | {name: BASE[name] for name in ("dev", "vq", "seq")}
    numbered = any(field.name == "seq" for field in own)
    absent = set(known) - {field.name for field in own}
    assert absent == (LEFT_OUT.get(kind, set()) if numbered else {"vq", "seq"})
    for field in own:
        expected = (1, False) if field.name == "by" else bits(known[field.name])
        assert (field.size, field.signed) == expected, field.name
    # Wide fields first: no padding that the kernel's structure would not have.
    ends = [field.offset + field.size for field in own]
    assert [field.offset for field in own] == [8, *ends[:-1]]


def test_what_the_recorder_lost_is_a_loss(tmp_path: Path) -> None:
    data = FILE.read_bytes()
    assert data.count(b"dropped events: 0") == 2
    path = tmp_path / "lost.dat"
    path.write_bytes(data.replace(b"dropped events: 0", b"dropped events: 7", 1))
    events = load(path)
    assert events.lost == 7
    assert any("7 by dropped events" in line for line in events.losses)
    assert check(events).having("pass") == ()


def test_a_missing_number_is_a_loss(tmp_path: Path) -> None:
    """As if the last event of a queue had found no room: the one that ends the queue shows it."""
    events = load(FILE)
    last = events.of("queue").filter(pl.col("op") == 1).row(-1, named=True)
    # Number and size stand one after the other in the event.
    number, size = (last[name].to_bytes(4, "little") for name in ("seq", "size"))
    data = FILE.read_bytes()
    assert data.count(number + size) == 1
    data = data.replace(number + size, (last["seq"] + 3).to_bytes(4, "little") + size)
    path = tmp_path / "gap.dat"
    path.write_bytes(data)
    assert load(path).lost == 3


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.dat"
    path.write_bytes(FILE.read_bytes()[:-4096])
    with pytest.raises(BadDatError, match="it is cut"):
        load(path)
