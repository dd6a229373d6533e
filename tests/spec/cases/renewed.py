# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/renewed.py."""

from __future__ import annotations

from pykit.spec import bits
from pykit.trace.kinds import DELETED
from tests.spec.cases.base import case
from tests.spec.disk import Disk
from tests.spec.log import Log
from tests.spec.machine import OFFERED


def renewed() -> Log:
    """Return a log of a queue that is reset with a chain outstanding, and used again."""
    disk = Disk(offered=OFFERED | 1 << bits.RING_RESET)
    queue = {**disk.place, "vq": 0}
    for _ in range(3):
        disk.ask(bits.T_IN, 0, 8)
    disk.log.drop([disk.log.of("used")[-1], disk.log.of("blk_done")[-1]])
    disk.log.add("detach", **queue, num_free=64, slots=2)
    again = disk.log.one("queue")
    disk.log.add("queue", **queue, size=64, layout=0, op=DELETED)
    fields = {k: v for k, v in again.items() if k not in ("kind", "source", "ts", "seq")}
    disk.log.add("queue", **fields)
    disk.count = 0
    for _ in range(3):
        disk.ask(bits.T_IN, 0, 8)
    return disk.log


@case("VR-DE-03", clean=renewed)
def position_is_kept(log: Log) -> None:
    """The device goes on behind the entries that it had used before the reset."""
    for event in log.of("used")[2:]:
        event["index"] += 2
        event["used_idx"] += 2


@case("VR-DE-03", clean=renewed)
def nothing_comes_back(log: Log) -> None:
    """The device serves no chain of the queue after its reset."""
    log.drop([*log.of("used")[2:], *log.of("blk_done")[2:]])
    log.now += 20_000_000_000
    log.add("status", dev=1, life=0, cpu=0, pid=7, status=15, op=1)


@case("DX-27", clean=renewed)
def chain_is_not_taken_back(log: Log) -> None:
    """Two chains are outstanding when the queue is reset, and the driver forgets one of them."""
    log.drop([log.of("used")[1], log.of("blk_done")[1]])
