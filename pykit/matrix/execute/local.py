# SPDX-License-Identifier: GPL-2.0-only
"""Run batches in processes of this machine, none of which outlives the runner."""

from __future__ import annotations

import os
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from pykit.matrix.execute.batch import GuestBatch, run_batch
from pykit.matrix.execute.spool import Spool
from pykit.processes import cpus, kill, new_pool
from pykit.qemu.program import MEMORY_MIB

#: Memory of a worker beside its guest's: Python, numba, polars, and QEMU itself.
_BESIDE_MIB = 768


def workers() -> int:
    """As many as keep this machine busy: a guest waits while its last scenario is judged, and for
    a quarter of a second in each that a disk has gone. Measured on two cores, 150 scenarios: 47 s
    with three, 40 s with five.
    """
    with open("/proc/meminfo") as file:  # noqa: PTH123
        free = next(int(line.split()[1]) for line in file if line.startswith("MemAvailable"))
    fit = free // 1024 // (MEMORY_MIB + _BESIDE_MIB)
    return int(max(1, min(2 * cpus(), fit)))


class Local:
    """A pool that is made anew where one of its workers died."""

    def __init__(self, directory: Path, count: int) -> None:
        self._directory = directory
        self.workers = count
        # Each decodes a small trace: threads would only get in each other's way.
        os.environ["POLARS_MAX_THREADS"] = "1"
        self._pool = new_pool(self.workers)

    def submit(self, batch: GuestBatch) -> Future[None]:
        """Run it; the records of its cells arrive in the spool."""
        try:
            return self._pool.submit(_run, batch, self._directory)
        except BrokenProcessPool:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = new_pool(self.workers)
            return self._pool.submit(_run, batch, self._directory)

    def close(self) -> None:
        """Kill the workers, and with them their guests."""
        kill(self._pool)


def _run(batch: GuestBatch, directory: Path) -> None:
    run_batch(batch, Spool(directory))
