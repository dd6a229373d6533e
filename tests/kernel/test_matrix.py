# SPDX-License-Identifier: GPL-2.0-only
"""The whole tables: every kernel, every module, every transport, every pair in one guest."""

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

from pykit import matrix
from pykit.errors import Exit

COMMAND = [sys.executable, "-m", "pykit.cli", "matrix"]


def run(plan: str, tmp_path: Path) -> tuple[int, list[dict[str, Any]]]:
    """The exit code and the cells of a whole table, whose modules were all built strictly."""
    done = subprocess.run(
        [*COMMAND, plan, "--to", tmp_path / "matrix", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    data = json.loads(done.stdout)
    assert {built["kernel"]: built["message"] for built in data["builds"]} == dict.fromkeys(
        matrix.KERNELS, "clean"
    )
    return done.returncode, data["cells"]


@pytest.mark.slow
def test_every_cell_holds(tmp_path: Path) -> None:
    code, cells = run("kernels", tmp_path)
    bad = {cell["name"]: cell["message"] for cell in cells if cell["exit_code"] != 0}
    assert bad == {}
    assert code == Exit.OK
    assert len(cells) == len(matrix.plan_kernels(matrix.KERNELS).cells)
    for cell in cells:
        assert cell["outcome"] == "clean"
        # A guest's ring has one side only that can be judged.
        assert cell["verdicts"]["pass"] >= (50 if cell["options"] else 5), cell["name"]


@pytest.mark.slow
def test_every_pair_holds(tmp_path: Path) -> None:
    code, cells = run("loopback", tmp_path)
    assert code == Exit.OK
    assert len(cells) == len(matrix.plan_loopback(matrix.KERNELS).cells)
    lacking = {cell["name"]: cell["message"] for cell in cells if cell["exit_code"] != 0}
    # Debian builds VDUSE from 6.12 on.
    assert set(lacking) == {cell["name"] for cell in cells if "6.1-loop-vduse" in cell["name"]}
    assert all("CONFIG_VDPA_USER" in message for message in lacking.values())
    for cell in cells:
        if cell["name"] not in lacking:
            assert cell["outcome"] == "clean"
            assert cell["verdicts"]["pass"] >= 45, cell["name"]


@pytest.mark.slow
def test_an_interrupted_matrix_leaves_no_process(tmp_path: Path) -> None:
    command = [*COMMAND, "kernels", "--kernel", "debian-6.12", "--only", "*-virtio_blk-pci*"]
    with subprocess.Popen([*command, "--to", tmp_path / "matrix"], cwd=tmp_path) as process:
        end = time.monotonic() + 300
        while not list((tmp_path / "matrix").glob("*/console.log")):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    end = time.monotonic() + 15
    while left := [line for line in _commands() if str(tmp_path) in line]:
        assert time.monotonic() < end, left
        time.sleep(0.1)
    assert not json.loads((tmp_path / "matrix" / "matrix.json").read_text())["complete"]


def _commands() -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                found.append((entry / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
    return found
