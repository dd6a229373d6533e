# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/packed.py."""

from __future__ import annotations

from itertools import pairwise

from pykit.spec import bits
from pykit.spec import blkconfig as cfg
from tests.spec.cases.base import case, like
from tests.spec.cases.framing import writable_first
from tests.spec.cases.indirect import indirect_not_negotiated, longer_than_the_queue, table_and_next
from tests.spec.log import Log


@case("PV-DR-01", clean=like(packed=True))
def packed_misaligned(log: Log) -> None:
    """The driver event area starts at no multiple of 4."""
    log.one("queue", op=0)["avail"] += 2


@case("PS-DR-01", clean=like(packed=True))
def packed_longer_than_the_device_allows(log: Log) -> None:
    """A list has more data elements than the device's seg_max."""
    for event in log.of("config", offset=cfg.SEG_MAX.offset):
        event["value"] = 1


@case("PS-DR-02", clean=like(packed=True))
def packed_longer_than_the_queue(log: Log) -> None:
    """A list of 20 elements is used on a queue of 16."""
    longer_than_the_queue(log)


@case("PS-DR-03", clean=like(packed=True))
def packed_writable_first(log: Log) -> None:
    """The first element of a read request is one that the device writes."""
    writable_first(log)


@case("PI-DR-01", clean=like(packed=True, declined=1 << bits.INDIRECT_DESC))
def packed_indirect_unasked(log: Log) -> None:
    """A descriptor has INDIRECT though the feature was not negotiated."""
    indirect_not_negotiated(log)


@case("PI-DR-04", clean=like(packed=True))
def packed_table_and_next(log: Log) -> None:
    """A descriptor has both INDIRECT and NEXT."""
    table_and_next(log)


@case("PI-DR-02", clean=like(packed=True))
def packed_table_in_a_table(log: Log) -> None:
    """An entry of an indirect table has INDIRECT."""
    log.one("desc", table=1)["flags"] |= bits.INDIRECT


@case("PI-DR-02", clean=like(packed=True))
def packed_table_without_end(log: Log) -> None:
    """The last entry of an indirect table has NEXT."""
    table = log.of("desc", table=1)
    last = next(a for a, b in pairwise(table) if a["head"] != b["head"])
    last["flags"] |= bits.NEXT


@case("DX-13", clean=like(packed=True, declined=1 << bits.EVENT_IDX))
def packed_driver_event_flags(log: Log) -> None:
    """The driver's event flags are 2 without EVENT_IDX."""
    log.one("callback")["avail_flags"] = 2


@case("DX-14", clean=like(packed=True))
def packed_device_event_flags(log: Log) -> None:
    """The device's event flags become 3."""
    log.one("kick")["flags_after"] = 3
