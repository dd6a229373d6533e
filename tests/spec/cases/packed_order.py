# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/packed_order.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import bare, case
from tests.spec.log import Event, Log
from tests.spec.machine import OFFERED

SIZE = 4
#: Descriptors of each list.
LENGTHS = (1, 3, 2, 2, 1, 3, 1, 1, 3)
FIELDS = {"addr": (0, 8), "len": (8, 4), "id": (12, 2), "flags": (14, 2)}


def _access(log: Log, slot: int, field: str, value: int, *, write: int = 1) -> Event:
    offset, size = FIELDS[field]
    return log.add(
        "acc_ring",
        dev=1,
        life=0,
        vq=0,
        cpu=0,
        area="desc",
        slot=slot,
        field=field,
        offset=16 * slot + offset,
        value=value,
        size=size,
        write=write,
        symbol="virtqueue_add",
    )


def _flags(place: int, *, used: bool = False) -> int:
    wrap = place // SIZE % 2 == 0
    return (0x80 if wrap else 0) | (0x8000 if wrap == used else 0)


def packed_stores() -> Log:
    """Return a log of stores and reads of a driver that uses lists of one to three descriptors."""
    log = bare(offered=OFFERED | 1 << bits.RING_PACKED)
    place = 0
    for length in LENGTHS:
        slots = [(place + n) % SIZE for n in range(length)]
        for n, slot in enumerate(slots):
            more = bits.NEXT if n + 1 < length else 0
            if n:
                _access(log, slot, "flags", _flags(place + n) | more)
            for field in ("addr", "len", "id"):
                _access(log, slot, field, 7)
        head = _flags(place) | (bits.NEXT if length > 1 else 0)
        _access(log, slots[0], "flags", head)
        _access(log, slots[0], "flags", head, write=0)
        _access(log, slots[0], "flags", _flags(place, used=True), write=0)
        log.add(
            "acc_ring", dev=1, life=0, vq=0, cpu=0, area="used", offset=0, value=2, size=4,
            write=0, field="other", symbol="virtqueue_kick_prepare",
        )  # fmt: skip
        place += length
    return log


def _stores(log: Log) -> list[Event]:
    return log.of("acc_ring", area="desc", write=1)


@case("PS-DR-06", clean=packed_stores)
def head_first(log: Log) -> None:
    """The head of a list of three is made available before the rest."""
    flags = [event for event in _stores(log) if event["field"] == "flags"]
    second, third, head = flags[1:4]
    places = [log.events.index(event) for event in (second, third, head)]
    log.events[places[0]], log.events[places[1]], log.events[places[2]] = head, second, third


@case("PF-DR-01", "PD-DR-02", clean=packed_stores)
def body_after_flags(log: Log) -> None:
    """The length of a descriptor is written after its flags."""
    length = next(event for event in _stores(log) if event["field"] == "len")
    flags = log.after(length, lambda e: e.get("field") == "flags")
    log.events.remove(length)
    log.events.insert(log.events.index(flags) + 1, length)


@case("PD-DR-02", clean=packed_stores)
def flags_written_again(log: Log) -> None:
    """The flags of an available descriptor are written a second time."""
    flags = next(event for event in _stores(log) if event["field"] == "flags")
    log.events.insert(log.events.index(flags) + 1, dict(flags))


@case("DX-71", clean=packed_stores)
def device_area_written(log: Log) -> None:
    """The driver disables events in the device's structure."""
    log.of("acc_ring", area="used")[3] |= {"write": 1, "value": 1, "size": 2, "offset": 2}


@case("DX-11", clean=packed_stores)
def wrap_counter_stored_wrong(log: Log) -> None:
    """In the second round of the ring AVAIL is stored as in the first."""
    flags = [event for event in _stores(log) if event["field"] == "flags"]
    flags[6]["value"] ^= 0x8080
