# SPDX-License-Identifier: GPL-2.0-only
"""Several pykit commands at a time, none of which outlives us."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from pathlib import Path

from pykit.qemu.keeper import Keeper

#: A guest under TCG keeps one CPU busy.
AT_ONCE = 2
_POLL_S = 0.1


@dataclass(frozen=True)
class Job:
    """One command of pykit's, what it says going to ``log``."""

    name: str
    arguments: tuple[str, ...]
    log: Path
    #: Another QEMU than ours, as PYKIT_QEMU names it.
    qemu: str = ""


@dataclass(frozen=True)
class Done:
    """A job that ended."""

    job: Job
    exit_code: int
    seconds: float

    @property
    def last_words(self) -> str:
        """The last line that it said, which is the error where there was one."""
        lines = self.job.log.read_text(errors="replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "it said nothing")
        return last.strip().removeprefix("pykit: ")


@dataclass(frozen=True)
class _Running:
    job: Job
    process: subprocess.Popen[bytes]
    started: float
    stack: contextlib.ExitStack


def work(jobs: Iterable[Job], started: Callable[[Job], None]) -> Generator[Done]:
    """Run jobs, AT_ONCE at a time; yields each as it ends.

    Whoever leaves early, by an exception or by closing the iterator, ends the others.
    """
    waiting = list(reversed(list(jobs)))
    running: list[_Running] = []
    try:
        while waiting or running:
            while waiting and len(running) < AT_ONCE:
                running.append(_start(waiting.pop()))
                started(running[-1].job)
            ended = [entry for entry in running if entry.process.poll() is not None]
            for entry in ended:
                running.remove(entry)
                entry.stack.close()
                code = entry.process.returncode
                yield Done(entry.job, code, round(time.monotonic() - entry.started, 1))
            if not ended:
                time.sleep(_POLL_S)
    finally:
        for entry in running:
            entry.stack.close()


def _start(job: Job) -> _Running:
    with contextlib.ExitStack() as stack:
        keeper = stack.enter_context(Keeper())
        output = stack.enter_context(job.log.open("wb"))
        other = ["env", f"PYKIT_QEMU={job.qemu}"] if job.qemu else []
        command = [*other, sys.executable, "-m", "pykit.cli", *job.arguments]
        process = keeper.start(command, output)
        return _Running(job, process, time.monotonic(), stack.pop_all())
