# SPDX-License-Identifier: GPL-2.0-only
"""Measure how many cases a minute `pykit drive` runs by each carrier, on all CPUs.

What comes of the cases is judged by all rules, so many cases at a time; that is in the rate.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from rich.table import Table

from pykit import drive, spec, trace
from pykit.bench.lines import BenchLine
from pykit.errors import InfraError
from pykit.processes import cpus, one_for_each_cpu

#: Cases a minute that a release has to reach on two cores.
GOALS = {"vhost-user": 5000, "qtest": 10000}
_DISK = 64 << 20
#: Cases whose events are judged together.
_BATCH = 500
#: The daemon that comes with QEMU.
_DAEMON = "qemu-storage-daemon"
_DEVICE = "virtio-blk-pci"


@dataclass(frozen=True)
class CaseRate:
    """Cases that one carrier ran, and the seconds that they took; no confirmations are in it.

    Each CPU has a driver and a device of its own.
    """

    carrier: str
    peer: str
    cases: int
    seconds: float

    @property
    def per_minute(self) -> float:
        """Cases a minute."""
        return 60 * self.cases / self.seconds


@dataclass(frozen=True)
class DriveRates:
    """One rate for each carrier."""

    rates: tuple[CaseRate, ...]

    def as_json(self) -> dict[str, object]:
        """Rates with their goals."""
        return {
            "rates": [
                vars(rate) | {"per-minute": round(rate.per_minute), "goal": GOALS[rate.carrier]}
                for rate in self.rates
            ]
        }

    def lines(self) -> Iterator[BenchLine]:
        """Yield each rate with its goal; no other tool drives such cases."""
        for rate in self.rates:
            goal = GOALS[rate.carrier]
            what = f"cases driven by {rate.carrier}"
            yield BenchLine(what, rate.per_minute, "a minute", "higher", goal=goal)

    def table(self) -> Table:
        """The same for a terminal."""
        table = Table(title="cases of chains and rings", box=None, header_style="bold")
        for column in ("carrier", "peer", "cases", "s", "a minute", "goal"):
            table.add_column(column, justify="left" if column in ("carrier", "peer") else "right")
        for rate in self.rates:
            table.add_row(
                rate.carrier,
                rate.peer,
                str(rate.cases),
                f"{rate.seconds:.1f}",
                f"{rate.per_minute:.0f}",
                str(GOALS[rate.carrier]),
            )
        return table


def drive_rates(count: int, *, say: Callable[[str], None] = lambda _: None) -> DriveRates:
    """Run as many cases by vhost-user and by qtest, with the whole oracle and all rules.

    Raises:
        InfraError: qemu-storage-daemon or QEMU is missing.
    """
    if shutil.which(_DAEMON) is None:
        raise InfraError(f"{_DAEMON} is missing: make setup, or see pykit doctor")
    return DriveRates(
        (
            _rate("vhost-user", _DAEMON, count, say),
            _rate("qtest", _DEVICE, count, say),
        )
    )


def _rate(carrier: str, peer: str, count: int, say: Callable[[str], None]) -> CaseRate:
    say(f"{carrier}: {count} cases")
    with one_for_each_cpu() as pool:
        share = -(-count // cpus())
        each = [pool.submit(_share, carrier, peer, share) for _ in range(cpus())]
        ran, begun, ended = zip(*(future.result() for future in each), strict=True)
    return CaseRate(carrier, peer, sum(ran), max(ended) - min(begun))


def _share(carrier: str, peer: str, count: int) -> tuple[int, float, float]:
    """Run cases on a device of one's own: how many ran, from when and until when."""
    cases = [
        case
        for case in drive.expand(drive.read_tables())
        if isinstance(case, drive.Case) and case.ring == "split"
    ]
    with (
        tempfile.TemporaryDirectory(prefix="pykit-bench-") as name,
        drive.driven(_target(carrier, Path(name) / "disk")) as device,
    ):
        begun, ran = time.monotonic(), 0
        session, chosen = drive.Session(device), islice(cycle(cases), count)
        while batch := list(islice(chosen, _BATCH)):
            ran += sum(found.outcome is not None for found in session.run(batch))
            capture = Path(name) / f"after-{ran}"
            device.save(capture, peer, "all cases were made")
            spec.check(trace.load(capture))
        return ran, begun, time.monotonic()


def _target(carrier: str, disk: Path) -> drive.Target:
    if carrier == "qtest":
        return drive.Target("blk", qemu=_DEVICE)
    with disk.open("wb") as file:
        file.truncate(_DISK)
    command = (
        _DAEMON,
        *("--blockdev", f"driver=file,node-name=disk,filename={disk}"),
        "--export",
        "type=vhost-user-blk,id=disk,addr.type=unix,addr.path={socket},node-name=disk,"
        "num-queues=2,writable=on",
    )
    return drive.Target("blk", command=command)
