# SPDX-License-Identifier: GPL-2.0-only
"""The helpers that rules are written with, and the register's conditions."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from pykit import spec
from pykit.spec.model import Result, Violation, rule
from pykit.spec.rows import Rows, Tally
from pykit.spec.view import View


def rows() -> Rows:
    frame = pl.DataFrame(
        {"row": [4, 7, 9, 12], "vq": [0, 0, 1, 1], "head": [3, None, 5, 8], "other": [1, -1, 2, 3]}
    )
    return Rows.of_frame(frame, lambda row: f"queue {row['vq']}")


def test_rows_that_do_not_hold_are_reported() -> None:
    table = rows()
    result = table.check(
        table["head"] < 5, "{queue}: head {head:#x}", shown=("row", "other"), none="nothing"
    )
    assert result == Result(
        4,
        (Violation((9, 2), "queue 1: head 0x5"), Violation((12, 3), "queue 1: head 0x8")),
        why="nothing",
    )


def test_events_that_are_none_are_not_shown() -> None:
    table = rows()
    result = table.check(table["head"] > 0, "no head", shown=("row", "other"))
    assert result.violations == (Violation((7,), "no head"),)


def test_where_keeps_columns_together() -> None:
    table = rows().plus(twice=np.array([6, 0, 10, 16]))
    some = table.where(table["vq"] == 1)
    assert len(some) == 2
    assert some["twice"].tolist() == [10, 16]
    assert some.where(some["head"] > 5)["row"].tolist() == [12]
    assert table.take(np.array([3, 0]))["head"].tolist() == [8, 3]
    assert table.where(table["row"] > 0) is table


def test_a_message_may_be_chosen_by_row() -> None:
    table = rows()
    chosen = lambda i: "{queue}: odd" if i % 2 else "{queue}: even"  # noqa: E731
    messages = [v.message for v in table.check(table["row"] < 0, chosen).violations]
    assert messages == ["queue 0: even", "queue 0: odd", "queue 1: even", "queue 1: odd"]


def test_messages_are_made_for_violations_only() -> None:
    table = rows()
    assert table.check(table["row"] > 0, "{no_such_column}").violations == ()
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        table.check(table["row"] < 0, "{no_such_column}")


def test_columns_have_one_length() -> None:
    with pytest.raises(ValueError, match="column short has 1 rows, not 4"):
        rows().plus(short=np.array([1]))


def test_reporting_counts_nothing() -> None:
    table = rows()
    more = table.violations(table["row"] != 7, "wrong")
    assert table.check(table["row"] != 4, "first").reporting(more) == Result(
        4, (Violation((4,), "first"), Violation((7,), "wrong"))
    )


def test_tally_counts_one_by_one() -> None:
    tally = Tally(none="nothing", doubt="it is not known")
    assert tally.result() == Result(0, why="nothing", doubt="it is not known")
    tally.check(True, 3, "fine")
    tally.check(False, 4, "wrong")
    tally.check(False, (5, 6), "wrong too")
    tally.check_together(4, (Violation((7,), "one of four"),))
    tally.undecided()
    tally.undecided(2)
    assert tally.result() == Result(
        7,
        (
            Violation((4,), "wrong"),
            Violation((5, 6), "wrong too"),
            Violation((7,), "one of four"),
        ),
        3,
        "nothing",
        "it is not known",
    )


def test_numbers_of_a_column() -> None:
    frame = pl.DataFrame({"len": [1, 4096], "addr": [16, -16]})
    rows = Rows.of_frame(frame, lambda _row: "q")
    found = rows.violations(np.array([False, False]), "{queue}: {len:byte} at {addr:#x}", shown=())
    assert [violation.message for violation in found] == [
        "q: 1 byte at 0x10",
        "q: 4,096 bytes at 0xfffffffffffffff0",
    ]


def test_a_rule_needs_a_docstring() -> None:
    def check(view: View) -> Result:
        return Result(0)

    with pytest.raises(ValueError, match=r"XC-99: check\(\) has no docstring"):
        rule("XC-99", needs="driver:add")(check)


def test_docstrings_may_be_stripped() -> None:
    code = "from pykit import spec; raise SystemExit(len(spec.rules()) < 100)"
    subprocess.run([sys.executable, "-OO", "-c", code], check=True, timeout=60)


def test_an_id_is_taken_once() -> None:
    def check(view: View) -> Result:
        """Documented."""
        return Result(0)

    assert spec.rules()
    with pytest.raises(ValueError, match="NA-DR-01: two rules have this id"):
        rule("NA-DR-01", needs="driver:add")(check)
    with pytest.raises(ValueError, match="XC-99: unknown clause XX-01"):
        rule("XC-99", needs="driver:add", also=("XX-01",))(check)
