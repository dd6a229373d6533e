# SPDX-License-Identifier: GPL-2.0-only
"""Measure how many cases a minute `pykit drive` runs by each carrier."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from rich.table import Table

from pykit import drive
from pykit.bench.lines import BenchLine
from pykit.errors import InfraError

#: Cases a minute that a release has to reach on two cores.
GOALS = {"vhost-user": 5000, "qtest": 10000}
_DISK = 64 << 20
#: The daemon that comes with QEMU.
_DAEMON = "qemu-storage-daemon"


@dataclass(frozen=True)
class CaseRate:
    """Cases that one carrier ran, and the seconds that they took; no confirmations are in it."""

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
    """Run as many cases by vhost-user and by qtest, with the whole oracle.

    Raises:
        InfraError: qemu-storage-daemon or QEMU is missing.
    """
    if shutil.which(_DAEMON) is None:
        raise InfraError(f"{_DAEMON} is missing: make setup, or see pykit doctor")
    with tempfile.TemporaryDirectory(prefix="pykit-bench-") as name:
        disk = Path(name) / "disk"
        with disk.open("wb") as file:
            file.truncate(_DISK)
        command = (
            _DAEMON,
            *("--blockdev", f"driver=file,node-name=disk,filename={disk}"),
            "--export",
            "type=vhost-user-blk,id=disk,addr.type=unix,addr.path={socket},node-name=disk,"
            "num-queues=2,writable=on",
        )
        device = "virtio-blk-pci"
        return DriveRates(
            (
                _rate("vhost-user", _DAEMON, drive.Target("blk", command=command), count, say),
                _rate("qtest", device, drive.Target("blk", qemu=device), count, say),
            )
        )


def _rate(
    carrier: str, peer: str, target: drive.Target, count: int, say: Callable[[str], None]
) -> CaseRate:
    say(f"{carrier}: {count} cases")
    cases = [
        case
        for case in drive.expand(drive.read_tables())
        if isinstance(case, drive.Case) and case.ring == "split"
    ]
    with drive.driven(target) as device:
        begun = time.monotonic()
        ran = sum(
            found.outcome is not None
            for found in drive.Session(device).run(islice(cycle(cases), count))
        )
        return CaseRate(carrier, peer, ran, time.monotonic() - begun)
