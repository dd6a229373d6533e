# SPDX-License-Identifier: GPL-2.0-only
"""Worker processes, none of which outlives the process that began them."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

_PR_SET_PDEATHSIG = 1


def new_pool(count: int) -> ProcessPoolExecutor:
    """Return a pool of so many workers; its end is ``kill``."""
    return ProcessPoolExecutor(
        count,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_stay_with,
        initargs=(os.getpid(),),
    )


def kill(pool: ProcessPoolExecutor) -> None:
    """Kill the workers, and with them what they have started."""
    for process in list((pool._processes or {}).values()):
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    pool.shutdown(wait=True, cancel_futures=True)


def cpus() -> int:
    """How many CPUs this process may use."""
    return len(os.sched_getaffinity(0))


@contextlib.contextmanager
def one_for_each_cpu() -> Iterator[ProcessPoolExecutor]:
    """Have a worker for each CPU, for what is computed here and driven elsewhere."""
    pool = new_pool(cpus())
    try:
        yield pool
    finally:
        kill(pool)


def _stay_with(runner: int) -> None:
    """Leave Ctrl-C to the runner, and die with it, even when it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != runner:
        os.kill(os.getpid(), signal.SIGKILL)
