# SPDX-License-Identifier: GPL-2.0-only
"""Workers that are processes of this machine. None of them outlives the runner."""

from __future__ import annotations

import concurrent.futures
import contextlib
import ctypes
import multiprocessing
import os
import signal
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from pykit.matrix.execute.batch import GuestBatch, run_batch
from pykit.matrix.execute.spool import Spool
from pykit.qemu.program import MEMORY_MIB

_PR_SET_PDEATHSIG = 1
#: What a worker takes beside its guest's memory: Python, numba, polars; QEMU's own.
_BESIDE_MIB = 768


def workers() -> int:
    """As many as keep this machine busy: a guest waits while its last scenario is judged, and for
    a quarter of a second in each that a disk has gone. Measured on two cores, 150 scenarios: 47 s
    with three, 40 s with five.
    """
    with open("/proc/meminfo") as file:  # noqa: PTH123
        free = next(int(line.split()[1]) for line in file if line.startswith("MemAvailable"))
    fit = free // 1024 // (MEMORY_MIB + _BESIDE_MIB)
    return int(max(1, min(2 * len(os.sched_getaffinity(0)), fit)))


class Local:
    """A pool that is made anew where one of its workers died."""

    def __init__(self, directory: Path, count: int) -> None:
        self._directory = directory
        self.workers = count
        # Each decodes a small trace: threads would only get in each other's way.
        os.environ["POLARS_MAX_THREADS"] = "1"
        self._pool = self._new()

    def _new(self) -> concurrent.futures.ProcessPoolExecutor:
        return concurrent.futures.ProcessPoolExecutor(
            self.workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_stay_with,
            initargs=(os.getpid(),),
        )

    def submit(self, batch: GuestBatch) -> Future[None]:
        """Have it run; what became of its cells comes by the spool."""
        try:
            return self._pool.submit(_run, batch, self._directory)
        except BrokenProcessPool:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = self._new()
            return self._pool.submit(_run, batch, self._directory)

    def close(self) -> None:
        """End the workers, and so their guests, whatever they do."""
        for process in list((self._pool._processes or {}).values()):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)


def _run(batch: GuestBatch, directory: Path) -> None:
    run_batch(batch, Spool(directory))


def _stay_with(runner: int) -> None:
    """Ctrl-C is the runner's to hear; and when it is gone, however that went, so are we."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != runner:
        os.kill(os.getpid(), signal.SIGKILL)
