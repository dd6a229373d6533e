# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/returned.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import Make, case
from tests.spec.cases.stores import traced
from tests.spec.disk import Disk
from tests.spec.log import Log
from tests.spec.machine import OFFERED


def returned(packed: bool = False) -> Make:
    """Return a maker of logs of a driver that reads each used entry twice."""

    def make() -> Log:
        disk = Disk(offered=OFFERED | (packed << bits.RING_PACKED), packed=packed)
        for n in range(3):
            disk.ask(bits.T_IN, 0, 8)
            entry = {"id": n, "len": 1, "index": n, "head": n, "changed": 0}
            disk.log.add("returned", **disk.place, vq=0, **entry)
        return disk.log

    return make


@case("SU-DE-01", clean=returned())
@case("PD-DE-04", clean=returned(packed=True))
def entry_becomes_another(log: Log) -> None:
    """A used entry has another length when it is read again."""
    log.one("returned", 1)["len"] = 4097


@case("SD-DE-04", clean=returned())
def descriptor_is_altered(log: Log) -> None:
    """A descriptor of a chain that came back is not what the driver wrote."""
    log.one("returned", 2)["changed"] = 1


def compared(packed: bool = False) -> Make:
    """Return a maker of logs of a guest whose observer looks at each chain that is back."""

    def make() -> Log:
        disk = Disk(offered=OFFERED | (packed << bits.RING_PACKED), packed=packed)
        for n in range(3):
            disk.ask(bits.T_IN, 0, 8)
            entry = {"id": n, "len": 1, "index": n, "head": n, "changed": 0, "driver_area": 0}
            kept = dict.fromkeys(("header", "behind", "table", "between"), 1)
            disk.log.add("compared", **disk.place, vq=0, **entry, **kept, slot=0)
        return disk.log

    return make


def read_again() -> Log:
    """Return a log of the access tracer in which an observer reads each field that was stored."""
    log = traced()
    for store in log.of("acc_ring", write=1):
        more = {k: v for k, v in store.items() if k not in ("kind", "source", "ts")}
        log.insert(store, "acc_ring", **{**more, "write": 0, "symbol": "pykit_ring_look+1"})
    return log


@case("SU-DE-01", clean=compared())
@case("PD-DE-04", clean=compared(packed=True))
def entry_becomes_another_in_a_guest(log: Log) -> None:
    """A used entry has another length when a guest's observer reads it again."""
    log.one("compared", 1)["len"] = 4097


@case("SD-DE-04", clean=read_again)
def descriptor_is_read_otherwise(log: Log) -> None:
    """Flags of a descriptor are read that the driver has not stored."""
    log.of("acc_ring", area="desc", field="flags", write=0)[3]["value"] = 0xA5


@case("DX-76", clean=read_again)
def available_index_is_read_otherwise(log: Log) -> None:
    """An available index is read that the driver has not stored."""
    log.of("acc_ring", area="avail", field="idx", write=0)[2]["value"] = 0


@case("SD-DE-04", clean=compared())
def descriptor_is_altered_between_operations(log: Log) -> None:
    """A descriptor changes while the driver is in no operation on the queue."""
    log.one("compared", 1).update(between=3, slot=5)


@case("DX-76", clean=compared())
def driver_area_is_altered_between_operations(log: Log) -> None:
    """The driver area changes while the driver is in no operation on the queue."""
    log.one("compared", 1)["between"] = 5


@case("PD-DE-04", clean=compared(packed=True))
def free_descriptor_is_altered(log: Log) -> None:
    """A descriptor that is not available changes while the driver is in no operation."""
    log.one("compared", 1).update(between=3, slot=5)
