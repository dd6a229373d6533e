# SPDX-License-Identifier: GPL-2.0-only
"""The matrices kernels, loopback and conformance: all cells, and an interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pykit import kernels
from pykit.arch import AMD64
from pykit.errors import Exit
from pykit.kernels.catalog import FLAVOURS
from pykit.matrix.plan import matrixfile
from pykit.matrix.record import CellRecord, read_journal

COMMAND = [sys.executable, "-m", "pykit.cli", "matrix"]
KERNELS = {flavour.name for flavour in FLAVOURS if flavour.arch == AMD64}


def run(name: str, tmp_path: Path) -> tuple[int, dict[str, Any], dict[str, CellRecord]]:
    """The exit code, matrix.json and the records of a whole matrix."""
    done = subprocess.run(
        [*COMMAND, name, "--to", tmp_path / "matrix", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    data: dict[str, Any] = json.loads(done.stdout)
    assert data["complete"]
    assert len(data["cells"]) == len(matrixfile.load(name).cells)
    records = {record.cell: record for record in read_journal(tmp_path / "matrix/journal.jsonl")}
    return done.returncode, data, records


def passed(record: CellRecord) -> int:
    return sum(rule.verdict == "pass" for rule in record.rules)


@pytest.mark.slow
def test_every_cell_holds(tmp_path: Path) -> None:
    code, data, records = run("kernels", tmp_path)
    assert {name: r.message for name, r in records.items() if r.status != "held"} == {}
    assert code == Exit.OK
    built = {build["kernel"]: build["message"] for build in data["builds"]}
    assert built == dict.fromkeys(KERNELS, "clean")
    for record in records.values():
        assert record.outcome == "clean"
        # A guest's ring has one side only that can be judged.
        assert passed(record) >= (50 if record.scenario == "blk" else 5), record.cell


@pytest.mark.slow
def test_every_pair_holds(tmp_path: Path) -> None:
    code, data, records = run("loopback", tmp_path)
    assert code == Exit.OK
    built = {build["kernel"]: build["message"] for build in data["builds"]}
    assert built == dict.fromkeys(KERNELS, "clean")
    lacking = {name: r for name, r in records.items() if r.status != "held"}
    # Debian builds VDUSE from 6.12 on.
    assert set(lacking) == {
        name
        for name, record in records.items()
        if "vduse" in record.scenario and record.axes["kernel"] == "debian-6.1"
    }
    for record in lacking.values():
        assert record.status == "impossible"
        assert "CONFIG_VDPA_USER" in record.message
    for name, record in records.items():
        if name not in lacking:
            assert record.outcome == "clean"
            assert passed(record) >= 45, name


@pytest.mark.slow
def test_conformance_judges_every_subject(tmp_path: Path) -> None:
    """Builds the vdpa profile where the cache does not have it: Debian has no simulator."""
    kernels.build("vdpa", step=lambda *_: None)
    code, _, records = run("conformance", tmp_path)
    assert code == Exit.OK
    assert {name: r.status for name, r in records.items()} == dict.fromkeys(records, "held")
    assert records["conformance/qemu-10"].qemu != records["conformance/qemu"].qemu
    report = (tmp_path / "matrix/conformance.md").read_text()
    for cell in matrixfile.load("conformance").cells:
        for subject in cell.subjects:
            assert f"| {subject.name} | " in report


@pytest.mark.slow
def test_an_interrupted_matrix_leaves_no_process(tmp_path: Path) -> None:
    command = [*COMMAND, "kernels", "--kernel", "debian-6.12", "--only", "*-virtio_blk-pci*"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [*command, "--to", tmp_path / "matrix"], cwd=tmp_path, env=environment
    ) as process:
        end = time.monotonic() + 600
        while not list((tmp_path / "matrix/spool").glob("*.begun")):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    end = time.monotonic() + 15
    while left := [line for line in _commands() if str(tmp_path) in line]:
        assert time.monotonic() < end, left
        time.sleep(0.1)
    assert not (tmp_path / "matrix/matrix.json").exists()


def _commands() -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                found.append((entry / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
    return found
