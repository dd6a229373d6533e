# SPDX-License-Identifier: GPL-2.0-only
"""Measure both ends of a vhost-user connection, and the tap between, on disks that hold nothing.

In one guest the kernel's driver reads three disks in turn: one of qemu-storage-daemon, one of it
through `pykit tap`, and one of `pykit device`. Without a guest `pykit drive` reads the first.
"""

from __future__ import annotations

import shlex
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from rich.table import Table

from pykit import drive, kernels, modules
from pykit.bench.io_guest import MIB, NULL_DAEMON, IoGuest, IoPath
from pykit.bench.lines import BenchLine
from pykit.drive.driver import Shape
from pykit.errors import InfraError
from pykit.scenario.model import SOCKET

#: Requests in flight by the name of the load, and how much longer a read may take through a tap.
_DEPTHS = {"depth 1": 1, "depth 16": 16}
GOALS = {"depth 1": 2.0, "depth 16": 1.3}
_SECONDS, _ANY = 1.0, 1 << 40
_PYKIT = shlex.join((sys.executable, "-m", "pykit.cli"))
PEER, TAP, DEVICE = "qemu-storage-daemon", "through pykit tap", "pykit device"

#: The tap's back-end has a socket beside its own, and ends with it.
_TAPPED = (
    f"{shlex.join(NULL_DAEMON).replace(SOCKET, SOCKET + '.back')} & "
    f'exec {_PYKIT} tap --listen "{SOCKET}" --connect "{SOCKET}.back" --to "{SOCKET}.run"'
)


def _path(name: str, *command: str) -> IoPath:
    options = {"num-queues": 1}
    return IoPath(name, "vhost-user-blk-pci", options, ("virtio-pci",), back_end=command)


_PATHS = (
    _path(PEER, *NULL_DAEMON),
    _path(TAP, "sh", "-c", _TAPPED),
    _path(
        DEVICE, *shlex.split(_PYKIT), "device", "--socket", SOCKET, "--queues", "1",
        "--size-mib", str(MIB),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class VhostUserRates:
    """What a read took.

    Attributes:
        times: µs by disk and load, one a round, in a guest.
        driven: the same by load of `pykit drive`, without a guest, of qemu-storage-daemon's disk.
    """

    kernel: str
    times: Mapping[str, Mapping[str, tuple[float, ...]]]
    driven: Mapping[str, tuple[float, ...]]

    def ratio(self, name: str, load: str) -> float:
        """Median over rounds of a disk's time over that of qemu-storage-daemon's."""
        pairs = zip(self.times[name][load], self.times[PEER][load], strict=True)
        return statistics.median(mine / peer for mine, peer in pairs)

    def as_json(self) -> dict[str, object]:
        """Times, ratios and goals."""
        return {
            "kernel": self.kernel,
            "us": {name: dict(loads) for name, loads in self.times.items()},
            "ratios": {
                name: {load: round(self.ratio(name, load), 3) for load in _DEPTHS}
                for name in (TAP, DEVICE)
            },
            "drive": dict(self.driven),
            "goal": GOALS,
        }

    def lines(self) -> Iterator[BenchLine]:
        """Yield a read of each disk beside qemu-storage-daemon's, and one of `pykit drive`."""
        for load in _DEPTHS:
            peer = statistics.median(self.times[PEER][load])
            for name in (TAP, DEVICE):
                goal = GOALS[load] if name == TAP else None
                value = peer * self.ratio(name, load)
                yield BenchLine(f"a read, {load}, {name}", value, "µs", "lower", PEER, peer, goal)
            value = statistics.median(self.driven[load])
            yield BenchLine(f"a read, {load}, by pykit drive", value, "µs", "lower")

    def table(self) -> Table:
        """The same for a terminal."""
        title = f"reads of 4 KiB by vhost-user, in a guest with {self.kernel}"
        table = Table(title=title, box=None, header_style="bold")
        for column in ("disk", "load", "median µs", "min", "max", "IOPS", "ratio", "goal"):
            table.add_column(column, justify="left" if column in ("disk", "load") else "right")
        for load in _DEPTHS:
            for name, loads in self.times.items():
                ratio = "" if name == PEER else f"{self.ratio(name, load):.2f}"
                goal = f"{GOALS[load]:.1f}" if name == TAP else ""
                table.add_row(name, load, *_shown(loads[load]), ratio, goal)
            table.add_row("(pykit drive, no guest)", load, *_shown(self.driven[load]), "", "")
        return table


def _shown(taken: tuple[float, ...]) -> tuple[str, ...]:
    middle = statistics.median(taken)
    return (*(f"{us:.1f}" for us in (middle, min(taken), max(taken))), f"{1e6 / middle:.0f}")


def vhost_user_rates(
    kernel_name: str | None, *, rounds: int, say: Callable[[str], None] = lambda _: None
) -> VhostUserRates:
    """Read all disks ``rounds`` times in turn.

    Raises:
        InfraError: the guest or a back-end does not come up, or a disk does not work.
    """
    kernel = kernels.resolve(kernel_name, progress=say)
    built = modules.build(kernel, progress=say).modules
    times: dict[str, dict[str, list[float]]] = {path.name: {} for path in _PATHS}
    with IoGuest(kernel, built, icount=False, paths=_PATHS) as guest:
        for number in range(rounds + 1):
            say(f"round {number} of {rounds}" if number else "warming up")
            for path in _PATHS:
                for load, depth in _DEPTHS.items():
                    done = guest.read(path, depth, requests=_ANY, seconds=_SECONDS)
                    if done.stalled:
                        raise InfraError(f"{path.name}: a request came back at a time-out")
                    # The first round translates the code that the others run.
                    if number:
                        times[path.name].setdefault(load, []).append(done.ns / done.requests / 1e3)
    say("pykit drive")
    taken = {name: {load: tuple(us) for load, us in loads.items()} for name, loads in times.items()}
    return VhostUserRates(kernel.release, taken, _driven(rounds))


def _driven(rounds: int) -> dict[str, tuple[float, ...]]:
    """Have `pykit drive`'s driver read qemu-storage-daemon's disk; return µs of a read by load."""
    found: dict[str, list[float]] = {load: [] for load in _DEPTHS}
    with drive.driven(drive.Target("blk", command=NULL_DAEMON)) as device:
        driver = device.driver
        for _ in range(rounds):
            for load, depth in _DEPTHS.items():
                device.begin(Shape(size=64))
                requests = [driver.kind.request(driver.memory, number) for number in range(depth)]
                begun, done = time.monotonic(), 0
                while time.monotonic() < begun + _SECONDS:
                    for request in requests:
                        driver.submit(0, request, kick=request is requests[-1])
                    done += len(driver.wait(0, depth))
                found[load].append((time.monotonic() - begun) / done * 1e6)
                driver.end()
    return {load: tuple(taken) for load, taken in found.items()}
