# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/packed_memory.py."""

from __future__ import annotations

from itertools import pairwise

from pykit.spec import bits
from tests.spec.cases.base import case, like
from tests.spec.log import Event, Log

#: Lists of more than one descriptor are those without an indirect table.
DIRECT = like(packed=True, declined=1 << bits.INDIRECT_DESC)


def _slots(log: Log, vq: int = 0) -> list[list[Event]]:
    """Return the descriptors of each list of a queue, in order."""
    lists: list[list[Event]] = []
    for event in log.of("slot", vq=vq):
        if event["pos"] == 0:
            lists.append([])
        lists[-1].append(event)
    return lists


@case("DX-11", clean=like(packed=True))
def wrap_counter_kept(log: Log) -> None:
    """The driver's wrap counter stays 1 in the second round of the ring."""
    for event in log.of("slot", vq=0)[16:32]:
        event["flags"] = event["flags"] & ~0x8080 | 0x80


@case("DX-11", clean=DIRECT)
def members_not_available(log: Log) -> None:
    """Only the first descriptor of a list has AVAIL and USED, the others are as they were."""
    for parts in _slots(log)[:20]:
        for event in parts[1:]:
            event["flags"] = event["flags"] & ~0x8080 | (0 if event["flags"] & 0x80 else 0x8080)


@case("DX-61", clean=DIRECT)
def last_keeps_next(log: Log) -> None:
    """The last descriptor of a list has NEXT."""
    _slots(log)[2][-1]["flags"] |= bits.NEXT


@case("DX-61", clean=DIRECT)
def list_is_cut(log: Log) -> None:
    """A descriptor in the middle of a list has no NEXT."""
    next(parts for parts in _slots(log) if len(parts) > 2)[1]["flags"] &= ~bits.NEXT


@case("DX-12", clean=like(packed=True))
def id_is_not_the_lists(log: Log) -> None:
    """The id in memory is not the one that the driver knows: it refuses what is returned."""
    used = log.of("used", vq=0)
    log.drop(used[11:])
    used[10]["accepted"] = 0


@case("DX-60", clean=DIRECT)
def id_of_another_list(log: Log) -> None:
    """A list has the id of one that is outstanding, so that the observer knows no head."""
    adds = log.of("add", vq=0)
    parts = _slots(log)
    for number, (first, second) in enumerate(pairwise(adds)):
        taken = log.events.index(log.after(first, lambda e: e["kind"] == "used"))
        if log.events.index(second) < taken:
            for event in parts[number + 1]:
                event |= {"id": first["head"], "head": 0xFFFF, "len": 5000}
            second["head"] = 0xFFFF
            return
    raise AssertionError("no two lists are outstanding")


@case("PS-DR-05", clean=like(packed=True, size=4))
def no_room_for_the_list(log: Log) -> None:
    """A list takes more descriptors than are free."""
    add = max(log.of("add", vq=0), key=lambda event: event["slots"])
    add["slots"] += 4


@case("DX-08", clean=like(packed=True))
def packed_table_is_torn(log: Log) -> None:
    """An indirect table's length is no multiple of 16."""
    table = next(e for e in log.of("slot", vq=0) if e["flags"] & bits.INDIRECT)
    table["len"] -= 4


@case("DX-11", clean=like(packed=True))
def looks_used(log: Log) -> None:
    """AVAIL and USED are both the wrap counter: the driver takes back what it just added."""
    for event in log.of("slot", vq=0):
        event["flags"] ^= 0x8000
    log.drop(log.of("dev_pop", "dev_fill", "dev_signal", vq=0))


def begun() -> Log:
    """Return a log of lists of more than one descriptor, with the time before each was begun."""
    log = DIRECT()
    for event in log.of("add"):
        event["before"] = event["ts"] - 1
    return log


@case("PS-DR-04", clean=begun)
def list_waits_for_the_ring(log: Log) -> None:
    """The driver begins a list for which the ring has no room, and takes a used descriptor."""
    for vq in range(2):
        taken = 0
        for event in log.of("add", "used", vq=vq):
            if event["kind"] == "used":
                taken = taken or event["ts"]
            elif taken:
                event["before"], taken = taken - 1, 0
