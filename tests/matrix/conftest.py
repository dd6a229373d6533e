# SPDX-License-Identifier: GPL-2.0-only
"""A small matrix that has a cell of every status and a rule of every judgement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pykit.matrix import CellRecord, PlanFile, PlannedCell, RuleResult
from pykit.matrix.record import RuleVerdict
from pykit.matrix.results import MatrixView, load

#: What a guest may say.
HOSTILE = "\x1b[31m<script>alert(1)</script> # SKIP \x07&]]>"
#: Real rules, so that their titles, sides and strengths are found.
RULES = ("SD-DR-01", "VQ-DR-01", "NA-DR-01", "NU-DR-01")


def rule(name: str, verdict: RuleVerdict = "pass", **changes: Any) -> RuleResult:
    """A rule's result; one that failed has two violations and their place."""
    wrong = 2 if verdict in ("fail", "waived") else 0
    reported = {
        "checked": 0 if verdict == "not-applicable" else 40,
        "violations": wrong,
        "message": f"{name} {verdict}",
        "where": "device 0 life 0 queue 1 seq 12" if wrong else "",
    }
    return RuleResult(name, verdict, **{**reported, **changes})


def planned(name: str, **axes: str) -> PlannedCell:
    matrix = name.split("/")[0]
    tags = ("smoke",) if name.endswith("split") else ()
    return PlannedCell(name=name, matrix=matrix, scenario=matrix, axes=axes, tags=tags)


def record(cell: PlannedCell, **changes: Any) -> CellRecord:
    """A cell that held, but for the changes."""
    fields: dict[str, Any] = {
        "cell": cell.name,
        "matrix": cell.matrix,
        "scenario": cell.scenario,
        "axes": cell.axes,
        "tags": cell.tags,
        "command": f"pykit run {cell.name}",
        "outcome": "clean",
        "message": "the workload ended",
        "status": "held",
        "release": "6.12.117+deb12-amd64",
        "qemu": "7.2.22",
        "started": "2026-01-02T03:04:05+00:00",
        "seconds": 1.5,
        "worker": "local-1",
        "rules": (rule("SD-DR-01"), rule("VQ-DR-01", "not-applicable")),
        "events": 1000,
        "metrics": {"requests": 200.0, "latency_us_p50": 80.0},
    }
    return CellRecord(**{**fields, **changes})


CELLS = {
    cell.name: cell
    for cell in (
        planned("blk/split", ring="split", kernel="debian-6.12"),
        planned("blk/packed", ring="packed", kernel="debian-6.12"),
        planned("blk/old-split", ring="split", kernel="debian-6.1"),
        planned("blk/old-packed", ring="packed", kernel="debian-6.1"),
        planned("faults/loop", ring="split", kernel="debian-6.12", fault="descriptor-loop"),
        planned("faults/unnoticed", ring="split", kernel="debian-6.12", fault="early-notify"),
        planned("net/split", ring="split", kernel="debian-6.12"),
        planned("net/packed", ring="packed", kernel="debian-6.12"),
        planned("net/crash", ring="split", kernel="debian-7.2"),
        planned("net/waived", ring="packed", kernel="debian-7.2"),
    )
}


def records() -> dict[str, CellRecord]:
    """What became of them; net/packed is missing."""
    found = (
        record(CELLS["blk/split"]),
        record(
            CELLS["blk/packed"],
            status="failed",
            rules=(rule("SD-DR-01"), rule("NA-DR-01", "fail", message=HOSTILE)),
            capture="cells/blk.packed",
            alone=True,
        ),
        record(
            CELLS["blk/old-split"],
            status="inconclusive",
            lost=7,
            rules=(rule("SD-DR-01", "inconclusive"),),
        ),
        record(
            CELLS["blk/old-packed"],
            status="impossible",
            outcome="not-run",
            message="the kernel has no CONFIG_X",
            rules=(),
            release="",
            seconds=0.0,
            events=0,
            metrics={},
        ),
        record(
            CELLS["faults/loop"],
            expected=("SD-DR-01",),
            either=("NA-DR-01", "NU-DR-01"),
            rules=(
                rule("SD-DR-01", "fail"),
                rule("NA-DR-01", "fail"),
                rule("NU-DR-01"),
                rule("VQ-DR-01"),
            ),
        ),
        record(
            CELLS["faults/unnoticed"],
            status="failed",
            expected=("SD-DR-01", "SD-DR-02"),
            rules=(rule("SD-DR-01"), rule("VQ-DR-01")),
        ),
        record(
            CELLS["net/split"],
            status="error",
            outcome="never-booted",
            message="QEMU did not start",
            rules=(),
            release="",
            events=0,
        ),
        record(
            CELLS["net/crash"],
            status="failed",
            outcome="panic",
            message=HOSTILE,
            rules=(rule("SD-DR-01"),),
        ),
        record(CELLS["net/waived"], rules=(rule("SD-DR-01"), rule("NU-DR-01", "waived"))),
    )
    return {entry.cell: entry for entry in found}


def write_matrix(
    directory: Path,
    entries: dict[str, CellRecord],
    cells: tuple[PlannedCell, ...] = tuple(CELLS.values()),
    shard: tuple[int, int] | None = None,
) -> Path:
    """A matrix directory as a runner leaves it."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "plan.json").write_text(PlanFile.of(cells, shard).to_json())
    lines = [entry.to_json() + "\n" for entry in entries.values()]
    (directory / "journal.jsonl").write_text("".join(lines), encoding="utf-8")
    return directory


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    return write_matrix(tmp_path / "matrix", records())


@pytest.fixture
def view(matrix: Path) -> MatrixView:
    return load(matrix)
