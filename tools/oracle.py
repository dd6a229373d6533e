# SPDX-License-Identifier: GPL-2.0-only
"""Count false alarms of `pykit drive`'s oracle: conforming requests to back-ends that are sound.

``python -m tools.oracle --requests 100000 [--peer NAME]…`` drives each back-end of other makers, a
disk of QEMU's and `pykit device` until so many requests have come back, in lives of every shape
and both canaries, and prints a line for each: what deviates, stray bytes among it, is an alarm.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pykit.drive import Target, driven
from pykit.drive.conforming import Conforming
from pykit.drive.record import Recorder
from pykit.peers import PEERS, peer_of, started

_OWN = "pykit device"
_QEMU = "virtio-blk-pci"
_EVERY = (*PEERS, _OWN, _QEMU)


@contextmanager
def _target(name: str) -> Iterator[Target]:
    if name == _OWN:
        command = (sys.executable, "-m", "pykit.cli", "device", "--socket", "{socket}")
        yield Target("blk", command=command)
    elif name == _QEMU:
        yield Target("blk", qemu=_QEMU)
    else:
        peer = peer_of(name)
        with started(peer, lambda _: None) as one:
            yield Target(peer.kind, command=one.command, title=one.title, known=peer.known)


def count(name: str, wanted: int) -> bool:
    """Drive one back-end; print and return whether nothing deviated."""
    begun, requests, seed, alarms = time.monotonic(), 0, 0, []
    with _target(name) as target, driven(target) as device:
        while requests < wanted and not alarms:
            seed += 1
            conforming = Conforming(device, seed)
            alarms += list(conforming.run(lambda _: None))
            requests += conforming.requests
            # Nobody judges the events, which would fill the memory.
            recorder = device.driver.recorder
            device.driver.recorder = Recorder(recorder.device, recorder.options)
        title = str(target)
    said = f"{alarms[0].setting}: {alarms[0].what}" if alarms else "0 alarms"
    print(f"{title}: {requests} requests in {time.monotonic() - begun:.0f} s, {said}", flush=True)
    return not alarms


def main() -> int:
    """Drive the back-ends that are named, or all; 1 where one has an alarm."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=100_000, help="to each back-end")
    parser.add_argument("--peer", action="append", choices=_EVERY, help="this one (repeatable)")
    given = parser.parse_args()
    held = [count(name, given.requests) for name in given.peer or _EVERY]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
