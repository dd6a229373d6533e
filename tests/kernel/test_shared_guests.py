# SPDX-License-Identifier: GPL-2.0-only
"""Cells in shared guests: what holds, and what is left when guests, workers or the runner die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from distributed import Client

from pykit.matrix.record import CellRecord, read_journal

MATRIX = """summary = "a few cells"
scenario = "io"
[axes]
driver = ["pykit_virtio_blk", "virtio_blk"]
ring = ["split", "packed"]
[axes.queues]
1 = { cpus = 1 }
2 = { options = { num-queues = 2 }, cpus = 1 }
"""
CELLS = 8


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    path = tmp_path / "few.toml"
    path.write_text(MATRIX)
    return path


Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(matrix: Path, tmp_path: Path) -> Iterator[Start]:
    """Begin a matrix of the matrix's cells in tmp_path/m."""
    begun: list[subprocess.Popen[bytes]] = []

    def run(*options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "pykit.cli", "matrix", "--only", str(matrix)]
        process = subprocess.Popen(
            [*command, "--to", str(tmp_path / "m"), "--workers", "2", *options],
            env={**os.environ, "TMPDIR": str(tmp_path)},
            stdout=subprocess.DEVNULL,
        )
        begun.append(process)
        return process

    yield run
    for process in begun:
        process.kill()
        process.wait()


def guests(tmp_path: Path) -> list[int]:
    """QEMUs whose files are in the test's folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            continue
        if b"qemu-system" in words[0] and any(bytes(tmp_path) in word for word in words):
            found.append(int(entry.name))
    return found


def journal(tmp_path: Path) -> list[CellRecord]:
    path = tmp_path / "m/journal.jsonl"
    return [*read_journal(path)] if path.exists() else []


def until(condition: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_guest_that_is_killed_costs_no_verdict(start: Start, tmp_path: Path) -> None:
    process = start()
    # In the middle of a cell of each worker.
    until(lambda: len(journal(tmp_path)) >= 1 and bool(guests(tmp_path)))
    for pid in guests(tmp_path):
        os.kill(pid, signal.SIGKILL)
    assert process.wait(timeout=400) == 0
    records = journal(tmp_path)
    assert len({r.cell for r in records}) == len(records) == CELLS
    assert {r.status for r in records} == {"held"}
    assert any(r.alone for r in records)
    assert not guests(tmp_path)
    assert all((tmp_path / "m" / name).exists() for name in ("index.html", "verdicts.parquet"))


def test_a_runner_that_is_killed_goes_on(start: Start, tmp_path: Path) -> None:
    for lines in (1, 3):
        process = start()
        until(lambda wanted=lines: len(journal(tmp_path)) >= wanted)  # type: ignore[misc]
        process.kill()
        process.wait()
        until(lambda: not guests(tmp_path), 10)
        before = journal(tmp_path)
    process = start()
    assert process.wait(timeout=400) == 0
    records = journal(tmp_path)
    assert records[: len(before)] == before
    assert len({r.cell for r in records}) == len(records) == CELLS
    assert {r.status for r in records} == {"held"}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("pykit-")]


def test_workers_of_a_scheduler(start: Start, tmp_path: Path) -> None:
    port = 20000 + os.getpid() % 20000
    address = f"tcp://127.0.0.1:{port}"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    scheduler = subprocess.Popen(
        [*dask, "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    )
    worker = [
        sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1",
        "--no-dashboard", "--local-directory", str(tmp_path / "dask"),
    ]  # fmt: skip
    workers = [
        subprocess.Popen([*worker, "--no-nanny"], env={**os.environ, "TMPDIR": str(tmp_path)})
        for _ in range(2)
    ]
    try:
        with Client(address, timeout=60) as client:
            client.wait_for_workers(2, timeout=60)
        process = start("--scheduler", address)
        until(lambda: len(journal(tmp_path)) >= 1)
        workers[0].kill()
        assert process.wait(timeout=400) == 0
    finally:
        for each in (*workers, scheduler):
            each.kill()
            each.wait()
    records = journal(tmp_path)
    assert len({r.cell for r in records}) == len(records) == CELLS
    assert {r.status for r in records} == {"held"}
