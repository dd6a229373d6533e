# SPDX-License-Identifier: GPL-2.0-only
"""Whether a process grows with what it serves: equal lives, and what it holds behind each.

A device may take memory when it is needed for the first time, and keep it. So the first lives are
not judged, and of the others both halves have to add something: a step is no leak.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pykit.drive.carriers import PeerGoneError
from pykit.drive.conforming import Deviation
from pykit.drive.driver import Shape
from pykit.drive.lives import DrivenDevice

#: Lives that are compared with each other, how many such groups there are, and the requests of each
#: life. The first group is the warm-up.
_GROUP, _GROUPS, _REQUESTS = 6, 4, 16
#: What a group may add to the one before: half a descriptor a life, and bytes of memory, as heaps
#: are given out by pages and fall apart.
_DESCRIPTORS, _BYTES = _GROUP // 2, 256 << 10


@dataclass(frozen=True)
class Footprint:
    """What a process and its children hold: bytes of memory of their own, open descriptors."""

    memory: int
    descriptors: int


def footprint(pid: int) -> Footprint | None:
    """Read what a process holds (proc(5)); None where that cannot be read.

    Memory that is shared with the driver does not count.
    """
    memory = descriptors = 0
    try:
        for one in _family(pid):
            folder = Path(f"/proc/{one}")
            lines = (folder / "status").read_text().splitlines()
            fields = dict(line.split(":", 1) for line in lines)
            memory += sum(int(fields[name].split()[0]) << 10 for name in ("RssAnon", "VmSwap"))
            descriptors += len(list((folder / "fd").iterdir()))
    except (OSError, KeyError):
        return None
    return Footprint(memory, descriptors)


def _family(pid: int) -> Iterator[int]:
    """A process and all that come of it."""
    yield pid
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            yield from _family(int(child))


def growing(held: list[Footprint]) -> str:
    """What grows without an end, in words; empty where nothing does.

    Args:
        held: behind each life, ``_GROUP * _GROUPS`` of them.
    """
    lives = len(held) - _GROUP
    for what, values, allowed in (
        ("descriptors are open", [one.descriptors for one in held], _DESCRIPTORS),
        ("bytes of memory are held", [one.memory for one in held], _BYTES),
    ):
        # The least of a group: what goes away a little later does not count.
        least = [min(values[at : at + _GROUP]) for at in range(_GROUP, len(values), _GROUP)]
        if all(after - before > allowed for before, after in pairwise(least)):
            return f"{values[-1] - values[_GROUP - 1]} more {what} after {lives} lives more"
    return ""


def leaks(device: DrivenDevice) -> Iterator[Deviation]:
    """Drive equal lives, with a reset in between and with a new connection; yield what grows.

    A process that this command has not started, or that ends with its connection, is not judged.
    """
    between = [("resets", False)]
    # The connection to QEMU is none of the device's.
    between += [("new connections", True)] if device.driver.carrier.name == "vhost-user" else []
    for name, anew in between:
        name, each = f"equal lives, {name} in between", f"{_REQUESTS} requests each"
        held: list[Footprint] = []
        try:
            for _ in range(_GROUP * _GROUPS):
                if (now := _life(device, anew)) is None:
                    break
                held.append(now)
        except PeerGoneError as error:
            yield Deviation(name, each, str(error))
            continue
        if len(held) == _GROUP * _GROUPS and (what := growing(held)):
            yield Deviation(name, each, what)


def _life(device: DrivenDevice, anew: bool) -> Footprint | None:
    """Drive a life; what the process holds then, None where that says nothing."""
    driver, peer = device.driver, device.peer
    if peer is None:
        return None
    if anew:
        driver.carrier.stop()
    starts = peer.starts
    device.begin(Shape())
    for number in range(_REQUESTS):
        request = driver.kind.request(driver.memory, number)
        if driver.serve(driver.kind.queue, request) is None:
            raise PeerGoneError("device does not serve a good request")
    driver.end()
    return footprint(peer.pid) if peer.starts == starts else None
