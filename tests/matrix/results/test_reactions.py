# SPDX-License-Identifier: GPL-2.0-only
"""What becomes of a driver with a faulty device, by the end of the run."""

from __future__ import annotations

from typing import Any

import pytest

from pykit.device import CLAUSES, FAULTS, MARKED
from pykit.matrix import CellRecord, PlanFile, PlannedCell
from pykit.matrix.execute.runnable import runnable
from pykit.matrix.plan.select import select
from pykit.matrix.record import MutantResult
from pykit.matrix.results import FaultTable
from pykit.matrix.results.page import render
from pykit.matrix.results.reactions import reaction, reactions, to_markdown
from pykit.matrix.results.view import view_of
from pykit.spec import rules

from ..conftest import planned, record, rule

WRONG = "step io ended with 1: blkio: sector 8: not what was written"


def cell(fault: str, ring: str = "split") -> PlannedCell:
    axes = {"back-end-fault": fault, "ring": ring, "driver": "virtio_blk"}
    return planned(f"reactions/{fault}-{ring}", **axes)


def ran(fault: str, ring: str = "split", **changes: Any) -> tuple[PlannedCell, CellRecord]:
    mutant = None if fault == "none" else MutantResult(fault, "device", (), None)
    made = record(cell(fault, ring), mutant=mutant, **changes)
    return cell(fault, ring), record(
        cell(fault, ring), mutant=mutant, status=made.implied, **changes
    )


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, "contained"),
        ({"outcome": "io-errors"}, "detected"),
        ({"outcome": "workload-failed", "message": "no disk appeared"}, "detected"),
        ({"outcome": "workload-failed", "message": WRONG}, "wrong-data"),
        ({"outcome": "hang"}, "hung"),
        ({"outcome": "standstill"}, "hung"),
        ({"outcome": "panic"}, "crashed"),
        ({"outcome": "splat"}, "crashed"),
    ],
)
def test_reaction(changes: dict[str, Any], found: str) -> None:
    _, made = ran("id-wrong", **changes)
    assert reaction(made) == found
    # However the guest ends, only a rule that should have failed makes the cell fail.
    assert made.status == "held"


def test_tables() -> None:
    cells = (
        ran("none"),
        ran("id-wrong", outcome="hang", either=("DX-01",), rules=(rule("DX-01", "fail"),)),
        ran("id-wrong", "packed", either=("DX-09",), rules=(rule("DX-01"),)),
        ran("sleeps"),
    )
    view = view_of(PlanFile.of([planned for planned, _ in cells]), [made for _, made in cells])
    table = reactions(view)
    assert table.heads == ("split", "packed")
    shown = {name: [spot and spot[0] for spot in spots] for name, spots in table.lines}
    assert shown == {"id-wrong": ["hung", "contained"], "sleeps": ["contained", None]}
    assert table.counts["contained"] == 2
    fates = {one.cell: (one.fate, one.reaction) for one in FaultTable.of(view).cells}
    assert fates == {
        "reactions/none-split": ("clean", ""),
        "reactions/id-wrong-split": ("named", "hung"),
        "reactions/id-wrong-packed": ("survived", "contained"),
        "reactions/sleeps-split": ("excused", "contained"),
    }
    assert "Reactions to a faulty device" in render(view)
    page = to_markdown(table, ["6.12"], {"libblkio": {"sleeps": "hung"}})
    assert "Kernels 6.12: 2 contained, 1 hung." in page
    assert "| `id-wrong` | return the next id | hung | contained | - |" in page
    assert page.endswith("| `sleeps` | take a second for each chain | contained | - | hung |\n")


def test_the_matrix_has_enough() -> None:
    found = select(["reactions"])
    assert len({one.axes["back-end-fault"] for one in found} - {"none"}) >= 60
    assert {one.axes["kernel"] for one in found} == {"debian-6.1", "debian-6.12", "debian-7.2"}
    for one in found:
        fault = FAULTS.get(one.axes["back-end-fault"])
        assert fault is None or fault.ring in ("both", one.axes.get("ring", "split"))
    (entry,) = (runnable(one) for one in found if one.name == "reactions/blk-id-outside-packed")
    (device,) = entry.scenario.devices
    assert isinstance(device.peer, tuple)
    assert device.peer[-4:] == ("--fault", "id-outside", "--socket", "{socket}")
    assert entry.shareable
    assert entry.expected[0].either


def test_clauses_have_rules() -> None:
    known = {name for rule in rules() for name in (rule.id, *rule.clauses)}
    for table in (CLAUSES, MARKED):
        assert table.keys() <= FAULTS.keys()
        assert {name for names in table.values() for name in names} <= known


@pytest.mark.parametrize(
    ("cell", "either"),
    [
        ("blk-writes-behind-packed", ()),
        ("marked-writes-behind-packed", ("DX-78",)),
    ],
)
def test_our_driver_sees_more(cell: str, either: tuple[str, ...]) -> None:
    (entry,) = map(runnable, select([f"reactions/{cell}"]))
    assert [fault.either for fault in entry.expected] == [either] * bool(either)


@pytest.mark.parametrize(
    ("cell", "canaries"), [("blk-entry-cleared", "1"), ("watched-entry-cleared", None)]
)
def test_the_access_tracer_takes_the_place_of_canaries(cell: str, canaries: str | None) -> None:
    (entry,) = map(runnable, select([f"reactions/{cell}"]))
    assert entry.scenario.parameters["pykit_probe"].get("canaries") == canaries
