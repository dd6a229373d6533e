# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from pykit.errors import Exit, UsageError
from pykit.matrix.plan.shard import shard
from pykit.matrix.results import MatrixView, load
from pykit.matrix.results.view import STATUSES, Judged

from ..conftest import CELLS, record, records, write_matrix


def test_the_matrix_has_all_that_there_is(view: MatrixView) -> None:
    assert {cell.status for cell in view.cells} == {*STATUSES}
    judged = {entry.judged for cell in view.cells for entry in cell.rules}
    assert judged == {*get_args(Judged)}


def test_why_a_cell_did_not_hold(view: MatrixView) -> None:
    why = {cell.name: cell.why for cell in view.cells}
    assert why == {
        "blk/split": "clean: the workload ended",
        "blk/packed": "rules failed: NA-DR-01",
        "blk/old-split": "clean: the workload ended; 7 events lost; nothing was judged",
        "blk/old-packed": "not-run: the kernel has no CONFIG_X",
        "faults/loop": "clean: the workload ended",
        "faults/unnoticed": "rules should have failed and did not: SD-DR-01, SD-DR-02",
        "net/split": "never-booted: QEMU did not start",
        "net/packed": "it was not run",
        "net/crash": r"panic: \x1b[31m<script>alert(1)</script> # SKIP \x07&]]>",
        "net/waived": "clean: the workload ended",
    }


def test_a_rule_that_a_fault_should_have_broken_and_nobody_judged(view: MatrixView) -> None:
    (cell,) = [cell for cell in view.cells if cell.name == "faults/unnoticed"]
    assert [rule.id for rule in cell.having("silent")] == ["SD-DR-01", "SD-DR-02"]


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["blk/split"], Exit.OK),
        (["blk/split", "blk/old-packed"], Exit.OK),
        (["blk/old-packed"], Exit.SKIP),
        (["blk/split", "blk/old-split"], Exit.SKIP),
        (["blk/split", "blk/old-split", "net/split"], Exit.INFRA),
        (["blk/split", "net/packed"], Exit.INFRA),
        (["blk/split", "net/split", "blk/packed"], Exit.FAILED),
        ([], Exit.SKIP),
    ],
)
def test_the_exit_code(tmp_path: Path, names: list[str], code: Exit) -> None:
    entries = {name: entry for name, entry in records().items() if name in names}
    cells = tuple(CELLS[name] for name in names)
    assert load(write_matrix(tmp_path, entries, cells)).exit_code == code


def test_a_shard_misses_only_its_own(tmp_path: Path) -> None:
    mine = {cell.name for cell in shard(list(CELLS.values()), 1, 3)}
    entries = {name: record(CELLS[name]) for name in mine}
    view = load(write_matrix(tmp_path, entries, shard=(1, 3)))
    assert {cell.name for cell in view.cells} == mine
    assert view.exit_code == Exit.OK
    other = next(iter(CELLS.keys() - mine))
    write_matrix(tmp_path, {**entries, other: record(CELLS[other])}, shard=(1, 3))
    with pytest.raises(UsageError, match=f"cell {other} is none of the plan, shard 1/3,"):
        load(tmp_path)
