# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios a minute, captured and judged by all rules, beside one virtme-ng boot a scenario."""

from __future__ import annotations

import concurrent.futures
import itertools
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pykit import kernels
from pykit.bench.lines import BenchLine
from pykit.errors import InfraError
from pykit.guests import bare_vng
from pykit.matrix.execute.display import Display
from pykit.matrix.execute.local import workers
from pykit.matrix.execute.runner import run
from pykit.matrix.plan.cell import MatrixCell, Patch
from pykit.qemu import accel

PEER = "vng … -- true"
#: What a release has to keep: times the peer's, and a minute on an idle machine of two cores.
LIMITS = {"ratio": 50.0, "scenarios a minute": 300.0}
_DEADLINE_S = 300


@dataclass(frozen=True)
class Rate:
    """So many of something in so many seconds, ``at_once`` of them at a time."""

    count: int
    seconds: float
    at_once: int

    @property
    def minute(self) -> float:
        """How many a minute."""
        return 60 * self.count / self.seconds


@dataclass(frozen=True)
class MatrixRate:
    """Ours and the peer's on one kernel."""

    kernel: str
    cores: int
    ours: Rate
    peer: Rate
    events: int

    @property
    def ratio(self) -> float:
        """Scenarios to bare boots in the same time."""
        return self.ours.minute / self.peer.minute

    def as_json(self) -> dict[str, object]:
        """The same as plain data."""
        return {
            "kernel": self.kernel,
            "cores": self.cores,
            "events": self.events,
            "ours": {**vars(self.ours), "minute": round(self.ours.minute, 1)},
            "peer": {"command": PEER, **vars(self.peer), "minute": round(self.peer.minute, 2)},
            "ratio": round(self.ratio, 1),
            "limits": LIMITS,
        }

    def lines(self) -> Iterator[BenchLine]:
        """Yield the rate beside the peer's."""
        yield BenchLine(
            "scenarios, captured and judged", self.ours.minute, "a minute", "higher",
            PEER, self.peer.minute, LIMITS["ratio"],
        )  # fmt: skip

    def table(self) -> Table:
        """The same for a terminal."""
        table = Table(title=f"scenarios on {self.kernel}, {self.cores} cores", box=None)
        for column in ("what", "count", "at once", "s", "a minute", "ratio", "limit"):
            table.add_column(column, justify="left" if column == "what" else "right")
        for what, rate in (("scenario io, captured and judged", self.ours), (PEER, self.peer)):
            mine = rate is self.ours
            table.add_row(
                what,
                str(rate.count),
                str(rate.at_once),
                f"{rate.seconds:.1f}",
                f"{rate.minute:.1f}",
                f"{self.ratio:.1f}" if mine else "1",
                f"{LIMITS['ratio']:.0f}" if mine else "peer",
            )
        return table


def matrix(
    kernel_name: str | None,
    *,
    count: int,
    boots: int,
    say: Callable[[str], None] = lambda _: None,
) -> MatrixRate:
    """Run the scenario io ``count`` times as a matrix does, and boot virtme-ng ``boots`` times.

    Everything is warm: modules built, the template there, the decoder compiled. Half of the cells
    are with our driver, half with the kernel's own under the probe.

    Raises InfraError for a cell that does not hold: the time of a failure means nothing.
    """
    kernel = kernels.resolve(kernel_name, progress=say)
    say("warm up")
    _cells(kernel.name, 2 * workers(), say)
    ours, events = _cells(kernel.name, count, say)
    say(f"{ours.minute:.0f} scenarios a minute; {boots} boots of the peer")
    return MatrixRate(kernel.release, os.cpu_count() or 1, ours, _boots(kernel, boots), events)


def _cells(kernel: str, count: int, say: Callable[[str], None]) -> tuple[Rate, int]:
    patch = (Patch(cpus=1),)
    drivers = ("pykit_virtio_blk", "virtio_blk")
    cells = [
        MatrixCell(
            f"bench/{n}", "bench", "io", {"kernel": kernel, "driver": drivers[n % 2]}, (), patch
        )
        for n, driver in enumerate(itertools.islice(itertools.cycle(drivers), count))
    ]
    with tempfile.TemporaryDirectory(prefix="pykit-bench-") as folder:
        display = Display(Console(stderr=True, quiet=True))
        started = time.monotonic()
        view = run(cells, Path(folder) / "m", say=say, display=display)
        taken = time.monotonic() - started
    bad = [record for record in view.records if record.status != "held"]
    if bad:
        raise InfraError(f"{len(bad)} of {count} cells: {bad[0].status}: {bad[0].message}")
    return Rate(count, round(taken, 2), workers()), sum(r.events for r in view.records)


def _boots(kernel: kernels.Kernel, count: int) -> Rate:
    command = bare_vng(kernel, "true", accel.probe(kernel.image))

    def one(_: int) -> None:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_DEADLINE_S,
            check=False,
        )
        if done.returncode != 0:
            raise InfraError(f"{PEER} ended with {done.returncode}")

    at_once = os.cpu_count() or 1
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        list(pool.map(one, range(count)))
    return Rate(count, round(time.monotonic() - started, 2), at_once)
