# SPDX-License-Identifier: GPL-2.0-only
"""Cells that drive a back-end without a guest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pykit.drive import Case, CaseOutcome, CaseResult, DriveResult, Target, expand, read_tables
from pykit.errors import UsageError
from pykit.guests import Outcome
from pykit.matrix.execute import driven
from pykit.matrix.execute.judged import JudgedCapture
from pykit.matrix.execute.runnable import runnable
from pykit.matrix.plan import matrixfile
from pykit.matrix.plan.cell import DRIVEN, Subject
from pykit.matrix.plan.cell import PEER as PEER_AXIS
from pykit.matrix.plan.planfile import PlanFile, PlannedCell
from pykit.matrix.results.conformance import render
from pykit.matrix.results.view import view_of
from pykit.peers import PEERS
from pykit.trace import CapturedOutcome

from .conftest import record, rule

CELL = """summary = "s"
[[cell]]
name = "a"
"""
PEER = PEERS["virtiofsd-c"]
SERVED = CaseOutcome("served", "queue")
SWALLOWED = CaseOutcome("swallowed", "queue")


def write(path: Path, text: str) -> str:
    file = path / "m.toml"
    file.write_text(CELL + text)
    return str(file)


def test_a_cell_with_a_peer(tmp_path: Path) -> None:
    (cell,) = matrixfile.load(write(tmp_path, 'peer = "passt"')).cells
    assert cell.axes == {"peer": "passt"}
    assert cell.command == "pykit drive --peer passt"
    assert not runnable(cell).shareable


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('peer = "pasta"', "unknown peer 'pasta' .*passt"),
        ('peer = "passt"\nscenario = "blk"', "takes no scenario"),
        ('peer = "passt"\naxes.ring = "packed"', "takes no scenario"),
        ("tags = []", "scenario"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        matrixfile.load(write(tmp_path, text))


@pytest.mark.parametrize(
    ("row", "outcome", "kind", "counts"),
    [
        ("plain", SERVED, "clean", "0 deviate, 0 as is known"),
        ("plain", SWALLOWED, "workload-failed", "1 deviate, 0 as is known"),
        ("table-behind-buffers", SWALLOWED, "clean", "0 deviate, 1 as is known"),
        # What is known is the refusal, and nothing worse.
        (
            "table-behind-buffers",
            CaseOutcome("signal", "restart"),
            "workload-failed",
            "1 deviate, 0 as is known",
        ),
    ],
)
def test_outcome(
    row: str,
    outcome: CaseOutcome,
    kind: str,
    counts: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = next(c for c in expand(read_tables(), [row]) if isinstance(c, Case))

    def drive_peer(name: str, cases: Any, out: Path, progress: Callable[[str], None]) -> Any:
        target = Target("blk", title="it 1.2", known=PEERS[name].known)
        return DriveResult(target, 1, out, requests=9, cases=[CaseResult(case, outcome)])

    monkeypatch.setattr("pykit.drive.drive_peer", drive_peer)
    found = driven.driven_without_guest(PEER.name, tmp_path, lambda _: None)
    assert (found.kind, found.qemu) == (kind, "it 1.2")
    assert found.message == f"9 conforming requests, 0 deviate; 1 cases, {counts}"


def test_conformance_page() -> None:
    cell = PlannedCell(
        name="peers/a",
        matrix="peers",
        scenario="drive",
        axes={"peer": PEER.name},
        subjects=(Subject(name="A daemon", side="device", seen="our driver"),),
    )
    entry = record(cell, qemu="daemon 11.1", release="", message="9 conforming requests")
    text = render(view_of(PlanFile.of([cell]), [entry]))
    assert "| A daemon | daemon 11.1 | 9 conforming requests |" in text
    assert "* **A daemon**, case `table-behind-buffers` (known): " in text
    assert "QEMU daemon" not in text


def test_a_capture_that_shows_less_hides_no_deviation() -> None:
    wrong = Outcome("workload-failed", "1 cases deviate")
    both = Outcome("workload-failed", "1 cases deviate; words")
    for kind, ended in (
        ("clean", wrong), ("panic", Outcome("panic", "words")), ("contested", both),
    ):  # fmt: skip
        capture = SimpleNamespace(outcome=CapturedOutcome(kind, "words"))
        events: Any = SimpleNamespace(capture=capture)
        assert JudgedCapture(events, cast(Any, None)).ended(wrong) == ended


def test_our_drivers_own_deviations_fail_no_back_end() -> None:
    """It sets a flag that means nothing, to see that the back-end does not look at it."""
    cell = PlannedCell(name="peers/a", matrix="peers", scenario=DRIVEN, axes={PEER_AXIS: "passt"})
    on_driver, on_device = (rule(name, "fail") for name in ("NU-DR-03", "NU-DE-02"))
    assert record(cell, rules=(on_driver,)).failing == ()
    assert record(cell, rules=(on_driver, on_device)).failing == (on_device,)
