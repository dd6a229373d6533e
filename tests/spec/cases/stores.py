# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/stores.py."""

from __future__ import annotations

from typing import Any

from pykit.spec import bits
from tests.spec.cases.base import bare, case
from tests.spec.log import Event, Log
from tests.spec.machine import OFFERED


def traced(offered: int = OFFERED) -> Log:
    """Return a log of the access tracer: chains of two descriptors, made available and used."""
    log = bare(offered=offered)

    def access(area: str, part: str, value: int, *, write: int = 1, **more: Any) -> Event:
        place = {"dev": 1, "life": 0, "cpu": 0, "vq": 0}
        fields = {"area": area, "field": part, "value": value, "write": write, "symbol": "add+1"}
        return log.add("acc_ring", **place, **fields, size=2, **more)

    for n in range(6):
        head = 2 * (n % 3)
        for slot, flags in ((head, bits.NEXT), (head + 1, bits.WRITE)):
            access("desc", "flags", flags, slot=slot)
            access("desc", "next", slot + 1, slot=slot)
        access("avail", "ring", head, slot=n)
        access("avail", "idx", n + 1)
        access("used", "idx", n + 1, write=0)
        access("used", "id", head, write=0, slot=n)
    return log


def without_event_idx() -> Log:
    """Return the same of a device without EVENT_IDX, with another driver than Linux's."""
    log = traced(OFFERED & ~(1 << bits.EVENT_IDX))
    log.kernel = "another"
    return log


@case("SA-DR-01", clean=traced)
def index_is_taken_back(log: Log) -> None:
    """The driver stores an available index that it stored before, and then the right one again."""
    index = log.one("acc_ring", 3, area="avail", field="idx")
    again = {k: v for k, v in index.items() if k not in ("kind", "source", "ts")}
    back = log.insert(index, "acc_ring", **{**again, "value": again["value"] - 1})
    log.insert(back, "acc_ring", **again)


@case("SX-DR-01", clean=traced)
def index_before_its_entry(log: Log) -> None:
    """The driver stores the available index, and then the entry that it covers."""
    entry = log.one("acc_ring", 3, field="ring")
    index = log.after(entry, lambda e: e.get("field") == "idx")
    log.events.remove(entry)
    log.events.insert(log.events.index(index) + 1, entry)


@case("SX-DR-01", clean=traced)
def each_index_before_its_entry(log: Log) -> None:
    """The driver stores each available index before its entry, and once more behind it."""
    for entry in log.of("acc_ring", field="ring"):
        index = log.after(entry, lambda e: e.get("field") == "idx")
        early = {k: v for k, v in index.items() if k not in ("kind", "source", "ts")}
        log.insert(entry, "acc_ring", after=False, **early)


@case("CL-DR-01", clean=traced)
def exposed_descriptor_is_altered(log: Log) -> None:
    """The driver stores to the second descriptor of a chain that is outstanding."""
    index = log.one("acc_ring", 2, area="avail", field="idx")
    store = log.of("acc_ring", area="desc", field="flags")[5]
    log.events.remove(store)
    again = {k: v for k, v in store.items() if k not in ("kind", "source", "ts")}
    log.events.insert(log.events.index(index) + 1, {**store, **again})


@case("CL-DR-01", clean=traced)
def exposed_entry_is_altered(log: Log) -> None:
    """The driver stores another head to the entry of a chain that is outstanding."""
    index = log.one("acc_ring", 2, area="avail", field="idx")
    entry = log.one("acc_ring", 2, field="ring")
    again = {k: v for k, v in entry.items() if k not in ("kind", "source", "ts")}
    log.insert(index, "acc_ring", **{**again, "value": 0})


@case("DX-32", clean=without_event_idx)
def event_field_without_the_feature(log: Log) -> None:
    """The driver stores used_event, and EVENT_IDX was not negotiated."""
    log.one("acc_ring", field="idx")["field"] = "event"


@case("DX-73", clean=traced)
def used_entry_is_cleared(log: Log) -> None:
    """The driver stores 0 to the id of a used entry that it has read."""
    read = log.one("acc_ring", 2, area="used", field="id")
    read["write"], read["value"] = 1, 0


@case("DX-73", clean=traced)
def avail_event_is_stored(log: Log) -> None:
    """The driver stores avail_event, which is the device's."""
    log.one("acc_ring", 2, area="used", field="idx").update(field="event", write=1)
