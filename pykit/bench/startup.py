# SPDX-License-Identifier: GPL-2.0-only
"""Measure the time from command to verdict against an empty run of virtme-ng."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from pykit import kernels, modules
from pykit.bench.lines import BenchLine
from pykit.errors import InfraError
from pykit.guests import bare_vng
from pykit.qemu import accel

#: Ratios to the peer that a release has to keep.
LIMITS = {"pykit run": 1.2, "pykit run --boot direct": 0.35}
#: The same on the kernel of the profile minimal, which boots and runs faster, where it is built.
MINIMAL = "pykit run --boot direct, minimal kernel"
PEER = "vng … -- true"
_DEADLINE_S = 300


@dataclass(frozen=True)
class Startup:
    """Wall times and processor times in seconds, one list of rounds for each command.

    Other work on the machine hardly changes the processor time.
    """

    kernel: str
    seconds: dict[str, list[float]]
    cpu: dict[str, list[float]]

    @property
    def limits(self) -> dict[str, float]:
        """The limit of each command that was timed beside the peer."""
        known = {**LIMITS, MINIMAL: LIMITS["pykit run --boot direct"]}
        return {command: known[command] for command in self.seconds if command != PEER}

    def ratio(self, command: str) -> float:
        """Median over the peer's median."""
        return statistics.median(self.seconds[command]) / statistics.median(self.seconds[PEER])

    def cpu_ratio(self, command: str) -> float:
        """The same of the processor time."""
        return statistics.median(self.cpu[command]) / statistics.median(self.cpu[PEER])

    def as_json(self) -> dict[str, object]:
        """Times, and the ratios with their limits."""
        return {
            "kernel": self.kernel,
            "peer": PEER,
            "seconds": self.seconds,
            "cpu": self.cpu,
            "ratios": {
                command: {
                    "ratio": round(self.ratio(command), 3),
                    "cpu ratio": round(self.cpu_ratio(command), 3),
                    "limit": limit,
                }
                for command, limit in self.limits.items()
            },
        }

    def lines(self) -> Iterator[BenchLine]:
        """Yield each command beside the peer."""
        peer = statistics.median(self.seconds[PEER])
        for command, limit in self.limits.items():
            taken = statistics.median(self.seconds[command])
            yield BenchLine(f"{command}, warm", taken, "s", "lower", PEER, peer, limit)

    def table(self) -> Table:
        """The same for a terminal."""
        table = Table(title=f"warm start on {self.kernel}", box=None, header_style="bold")
        for column in (
            "command",
            "median s",
            "min s",
            "max s",
            "ratio",
            "CPU s",
            "CPU ratio",
            "limit",
        ):
            table.add_column(column, justify="left" if column == "command" else "right")
        for command, taken in self.seconds.items():
            limit = self.limits.get(command)
            table.add_row(
                command,
                f"{statistics.median(taken):.1f}",
                f"{min(taken):.1f}",
                f"{max(taken):.1f}",
                f"{self.ratio(command):.2f}",
                f"{statistics.median(self.cpu[command]):.1f}",
                f"{self.cpu_ratio(command):.2f}",
                f"{limit:.2f}" if limit else "peer",
            )
        return table


def startup(
    kernel_name: str | None, *, rounds: int, say: Callable[[str], None] = lambda _: None
) -> Startup:
    """Time the commands in turn, ``rounds`` times, on one kernel.

    Everything is warm: kernel fetched, modules built, accelerator known, the guest that runs
    copy there. The rounds interleave, so that a slow minute of the machine hits all of them.
    Raises InfraError when one of them fails: the time of a failure means nothing.
    """
    kernel = kernels.resolve(kernel_name, progress=say)
    modules.build(kernel, progress=say)
    accelerator = accel.probe(kernel.image)
    pykit = [sys.executable, "-m", "pykit.cli", "run", "--kernel"]
    minimal = kernel.name.replace("debian-", "minimal-")
    if not any(known.name == minimal and known.state == "built" for known in kernels.list_known()):
        minimal = ""
    seconds: dict[str, list[float]] = {PEER: [], **{command: [] for command in LIMITS}}
    if minimal:
        modules.build(kernels.resolve(minimal, progress=say), progress=say)
        seconds[MINIMAL] = []
    cpu: dict[str, list[float]] = {command: [] for command in seconds}
    with tempfile.TemporaryDirectory(prefix="pykit-bench-") as folder:

        def direct(kernel: str, number: int) -> list[str]:
            return [*pykit, kernel, "--boot", "direct", "--to", f"{folder}/{kernel}-{number}"]

        for name in filter(None, (kernel.name, minimal)):
            _time(name, direct(name, -1), Path(folder))
        for number in range(rounds):
            commands = {
                PEER: bare_vng(kernel, "true", accelerator),
                "pykit run": [*pykit, kernel.name, "--to", f"{folder}/vng{number}"],
                "pykit run --boot direct": direct(kernel.name, number),
            }
            if minimal:
                commands[MINIMAL] = direct(minimal, number)
            for name, command in commands.items():
                taken, used = _time(name, command, Path(folder))
                seconds[name].append(taken)
                cpu[name].append(used)
                say(f"round {number + 1}: {name}: {seconds[name][-1]:.1f} s")
    return Startup(kernel.release, seconds, cpu)


def _time(name: str, command: Sequence[str], folder: Path) -> tuple[float, float]:
    """Return the wall time of a command, and the processor time of all that it started."""
    log = folder / "last.log"
    started, before = time.monotonic(), _used()
    with log.open("wb") as output:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=_DEADLINE_S,
            check=False,
        )
    taken = time.monotonic() - started
    if done.returncode != 0:
        tail = log.read_text(errors="replace").strip().splitlines()[-1:]
        raise InfraError(f"{name} ended with {done.returncode}: {' '.join(tail)}")
    return taken, _used() - before


def _used() -> float:
    found = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found.ru_utime + found.ru_stime
