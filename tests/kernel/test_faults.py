# SPDX-License-Identifier: GPL-2.0-only
"""Every deliberate bug of the driver or the device makes exactly the rules fail that name it.

All bugs of a side share guests, as the matrices of ``matrices/`` have them. Those that the matrices
tag ``sample`` stand for the others, which are many.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pykit import spec, trace
from pykit.errors import Exit
from pykit.matrix.plan import matrixfile
from pykit.matrix.record import CellRecord, read_journal

#: What of the device's answers the guest's program finds wrong, as it counts for itself: that a
#: bug was there at all does not rest on the events that the rules see. A signal too many hurts
#: nobody.
NOTICED = {
    "wrong-id": {"ids"},
    "id-stale": {"ids"},
    "length-too-long": {"lengths"},
    "length-one-more": {"lengths"},
    "length-huge": {"lengths"},
    "length-too-short": {"lengths"},
    "length-zero": {"lengths"},
    "completed-twice": {"ids"},
    "taken-twice": {"ids"},
    "taken-ahead": {"ids"},
    "used-idx-jump": {"ids"},
    "signal-missed": {"signals"},
    "signal-last-only": {"signals"},
    "signal-one-late": {"signals"},
    "signal-sampled-early": {"signals"},
    "signal-spurious": set(),
    "signal-ignores-event": set(),
    "signal-ignores-flags": set(),
    "completion-dropped": set(),
    "status-withheld": {"statuses"},
    "status-undefined": {"statuses"},
    "reordered": {"out of order"},
    "delayed": set(),
}
SIDES: tuple[spec.Side, ...] = ("driver", "device")


def by_fault(side: spec.Side, to: Path, *options: str) -> dict[str, CellRecord]:
    """Run the matrix of one side's bugs on one kernel; return the records by the bug's name."""
    command = [sys.executable, "-m", "pykit.cli", "matrix", f"{side}-faults", *options]
    command += ["--kernel", "debian-6.12", "--to", str(to)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = list(read_journal(to / "journal.jsonl"))
    wrong = {record.cell: record.message for record in found if record.status != "held"}
    assert not wrong
    assert done.returncode == Exit.OK, done.stderr
    return {record.axes[f"{side}-fault"]: record for record in found}


def noticed(found: dict[str, CellRecord], matrix: Path) -> None:
    """Look up what the guest's program found, of the bugs that it can meet."""
    counted = {fault for fault, record in found.items() if record.scenario == "vhost"}
    assert counted
    for fault in NOTICED.keys() & counted:
        folder = found[fault].capture
        assert folder is not None
        said = trace.load(matrix / folder / "capture").capture.steps[0].output
        counts = re.findall(r"(\d+) (ids|lengths|statuses|data|signals|out of order)", said)
        assert len(counts) == 6, said
        assert {what for count, what in counts if int(count)} == NOTICED[fault], said


def test_some_faults_of_the_driver(tmp_path: Path) -> None:
    assert by_fault("driver", tmp_path / "matrix", "--tag", "sample")


def test_some_faults_of_the_device(tmp_path: Path) -> None:
    found = by_fault("device", tmp_path / "matrix", "--keep", "--tag", "sample")
    noticed(found, tmp_path / "matrix")


@pytest.mark.slow
def test_all_faults_of_the_driver(tmp_path: Path) -> None:
    found = by_fault("driver", tmp_path / "matrix")
    assert set(found) == {
        cell.axes["driver-fault"] for cell in matrixfile.load("driver-faults").cells
    }


@pytest.mark.slow
def test_all_faults_of_the_device(tmp_path: Path) -> None:
    found = by_fault("device", tmp_path / "matrix", "--keep")
    assert set(found) == set(spec.faults("device"))
    noticed(found, tmp_path / "matrix")


@pytest.mark.parametrize("side", SIDES)
def test_matrix_has_every_fault(side: spec.Side) -> None:
    # A driver's fault may need a device's to show: it is in that matrix.
    cells = [cell for name in SIDES for cell in matrixfile.load(f"{name}-faults").cells]
    found = {cell.axes.get(f"{side}-fault") for cell in cells} - {None}
    assert found == set(spec.faults(side))
