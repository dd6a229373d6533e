# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/ignored.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import Make, case
from tests.spec.disk import Disk
from tests.spec.log import Log
from tests.spec.machine import OFFERED


def decoyed(event_idx: bool) -> Make:
    """Return a maker of logs of a driver that waits for each interrupt, with a decoy beside it."""

    def make() -> Log:
        disk = Disk(offered=OFFERED if event_idx else OFFERED & ~(1 << bits.EVENT_IDX))
        queue = {**disk.place, "vq": 0}
        for n in range(5):
            # The first has no decoy.
            event = n + (0x4000 if n and not event_idx else 0)
            asks = {"avail_flags": int(n > 0 and event_idx), "used_event": event}
            asks |= {"last_used": n, "used_idx": n, "event_idx": int(event_idx)}
            disk.log.add("callback", **queue, **asks, enable=1, pending=0)
            disk.ask(bits.T_IN, 0, 8)
            entry = {"id": n, "len": 1, "index": n, "head": n, "changed": 0}
            disk.log.add("returned", **queue, **entry)
            disk.log.now += 1_000_000_000
            disk.log.add("interrupt", **queue, used_idx=n + 1, last_used=n)
        return disk.log

    return make


@case("NU-DE-01", clean=decoyed(event_idx=False))
@case("NU-DE-04", clean=decoyed(event_idx=True))
def decoy_silences_the_device(log: Log) -> None:
    """The device sends no interrupt, though the driver asks for one and waits."""
    log.drop([log.one("interrupt", 2)])
