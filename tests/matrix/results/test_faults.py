# SPDX-License-Identifier: GPL-2.0-only
"""The table of deliberate faults: which were named, by which side's rules, and which were not."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from pykit.errors import Exit
from pykit.guests.outcome import Kind
from pykit.matrix import CellRecord, PlanFile, PlannedCell, RuleResult
from pykit.matrix.record import MutantResult
from pykit.matrix.results import FaultTable, faults
from pykit.matrix.results.view import view_of
from pykit.spec.kills import Kill, read_kills, write_kills

from ..conftest import planned, record, rule

#: A mutant whose rules are DX-16 and NA-DR-06, for the driver; DX-01 is for the device.
NAME = "packed-kick-never"
EITHER = ("DX-16", "NA-DR-06")


def ran(
    *failed: str,
    outcome: Kind = "clean",
    reached: int | None = 3,
    may: tuple[str, ...] = (),
    passed: str = "SD-DR-01",
) -> tuple[PlannedCell, CellRecord]:
    """A mutant's cell in which these rules failed."""
    cell = planned("mutants/it", mutant=NAME)
    results = (rule(passed), *(rule(name, "fail") for name in failed))
    return cell, sealed(
        cell, results, outcome, either=EITHER, mutant=MutantResult(NAME, "driver", may, reached)
    )


def sealed(
    cell: PlannedCell, rules: tuple[RuleResult, ...], outcome: Kind, **changes: Any
) -> CellRecord:
    made = record(cell, rules=rules, outcome=outcome, **changes)
    return record(cell, rules=rules, outcome=outcome, status=made.implied, **changes)


def table(*cells: tuple[PlannedCell, CellRecord]) -> FaultTable:
    plan = PlanFile.of([cell for cell, _ in cells])
    return FaultTable.of(view_of(plan, [entry for _, entry in cells]))


@pytest.mark.parametrize(
    ("cell", "fate", "code"),
    [
        (ran("DX-16"), "named", Exit.OK),
        (ran("DX-16", outcome="hang"), "named", Exit.OK),
        (ran("DX-16", "SA-DR-01"), "named", Exit.OK),
        (ran("DX-16", "DX-01"), "blamed", Exit.FAILED),
        (ran("DX-16", "DX-01", may=("DX-01",)), "named", Exit.OK),
        (ran("SA-DR-01"), "other-rule", Exit.FAILED),
        (ran("DX-01"), "wrong-side", Exit.FAILED),
        (ran(), "survived", Exit.FAILED),
        (ran(outcome="hang"), "survived", Exit.FAILED),
        (ran(reached=0), "unreached", Exit.SKIP),
    ],
)
def test_fates(cell: tuple[PlannedCell, CellRecord], fate: str, code: Exit) -> None:
    found = table(cell)
    assert [entry.fate for entry in found.cells] == [fate]
    assert found.exit_code == code


def test_a_cell_that_is_not_named_did_not_hold() -> None:
    statuses = [cell[1].status for cell in (ran("DX-16"), ran(), ran(reached=0), ran("DX-01"))]
    assert statuses == ["held", "failed", "inconclusive", "failed"]


def test_control() -> None:
    cell = planned("mutants/control", mutant="none")
    found = table(ran("DX-16"), (cell, sealed(cell, (rule("SD-DR-01"),), "clean")))
    assert [entry.fate for entry in found.cells] == ["named", "clean"]
    alarm = table(ran("DX-16"), (cell, sealed(cell, (rule("SD-DR-01", "fail"),), "clean")))
    assert [entry.fate for entry in alarm.cells] == ["named", "false-alarm"]
    assert alarm.exit_code == Exit.FAILED


def test_survivors_have_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "survivors", lambda: {NAME: "a race"})
    (excused,) = table(ran()).cells
    assert (excused.fate, excused.why) == ("excused", "a race")
    assert [cell.fate for cell in table(ran("DX-16")).cells] == ["stale"]


def test_success_despite_a_fault_is_listed() -> None:
    assert [cell.exit for cell in table(ran()).silent] == [Exit.OK]
    assert not table(ran(outcome="hang")).silent
    (contested,) = table(ran(outcome="contested")).cells
    assert contested.exit == Exit.SKIP
    assert not table(ran("DX-16")).silent


def test_rules_that_no_fault_breaks() -> None:
    unbroken = table(ran("DX-16")).unbroken
    assert "DX-16" not in unbroken
    assert "SD-DR-01" in unbroken


def test_faults_of_our_own_modules_are_in_the_same_table() -> None:
    cell = planned("driver-faults/loop", **{"driver-fault": "descriptor-loop"})
    rules = (rule("VQ-DR-01"), rule("SD-DR-01", "fail"))
    (found,) = table((cell, sealed(cell, rules, "clean", expected=("SD-DR-01",)))).cells
    assert (found.fate, found.side, found.reached) == ("named", "driver", None)


def test_consequences_of_a_mutant_are_expected() -> None:
    cell, entry = ran("DX-16", "SA-DR-01", "DX-01")
    (shown,) = view_of(PlanFile.of([cell]), [entry]).cells
    assert [rule.id for rule in shown.having("expected")] == ["DX-16", "SA-DR-01"]
    assert [rule.id for rule in shown.having("fail")] == ["DX-01"]


def test_csv() -> None:
    rows = list(csv.DictReader(io.StringIO(table(ran("DX-16", "NA-DR-06")).to_csv())))
    assert [(row["fate"], row["named"], row["reached"]) for row in rows] == [
        ("named", "DX-16 NA-DR-06", "3")
    ]


def test_kills_take_the_place_of_what_was_known_of_the_same_cells() -> None:
    found = table(ran("DX-16", "SA-DR-01"))
    place = ("mutant", NAME, "", "split")
    stale, other = Kill("DX-62", *place), Kill("DX-16", "mutant", NAME, "", "packed")
    assert found.kills([stale, other]) == {other, Kill("DX-16", *place)}
    assert table(ran()).kills([stale]) == set()


def test_a_list_of_kills_reads_back() -> None:
    some = [Kill("DX-16", "mutant", NAME, "debian-6.1", ring) for ring in ("split", "packed")]
    assert read_kills(write_kills([*some, some[0]])) == tuple(sorted(some))
