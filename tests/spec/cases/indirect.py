# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/indirect.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import case, like
from tests.spec.log import Log


@case("SI-DR-01", clean=like(declined=1 << bits.INDIRECT_DESC))
def indirect_not_negotiated(log: Log) -> None:
    """A descriptor has INDIRECT though the feature was not negotiated."""
    log.of("desc")[-1]["flags"] |= bits.INDIRECT


@case("SI-DR-02")
def table_in_a_table(log: Log) -> None:
    """An entry of an indirect table has INDIRECT."""
    log.one("desc", table=1)["flags"] |= bits.INDIRECT


@case("SI-DR-03")
def longer_than_the_queue(log: Log) -> None:
    """An indirect table of 20 entries is used on a queue of 16."""
    at = next(e for e in log.of("desc", table=1) if not e["flags"] & bits.NEXT)
    log.one("desc", table=0, head=at["head"])["len"] = 16 * 40
    for slot in range(at["slot"] + 1, 20):
        at["flags"] |= bits.NEXT
        at["next"] = slot
        base = {"addr": 64 * slot, "len": 1, "slot": slot, "flags": bits.WRITE, "next": 0}
        at = log.insert(at, "desc", **base, table=1, head=at["head"], pos=slot + 1)


@case("SI-DR-04")
def table_and_next(log: Log) -> None:
    """A descriptor has both INDIRECT and NEXT."""
    log.one("desc", flags=bits.INDIRECT)["flags"] |= bits.NEXT


@case("SI-DR-05", clean=like(in_order=True))
def table_in_disorder(log: Log) -> None:
    """With IN_ORDER an entry of an indirect table leads past its neighbour."""
    event = next(e for e in log.of("desc", table=1) if e["flags"] & bits.NEXT)
    event["next"] += 1


@case("DX-08")
def odd_table(log: Log) -> None:
    """An indirect table's length is no multiple of 16."""
    log.one("desc", flags=bits.INDIRECT)["len"] += 8


@case("DX-08")
def empty_table(log: Log) -> None:
    """An indirect table has length 0."""
    log.one("desc", flags=bits.INDIRECT)["len"] = 0
