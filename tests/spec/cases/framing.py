# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/framing.py."""

from __future__ import annotations

from itertools import pairwise

from pykit.spec import bits
from tests.spec.cases.base import case, chains, like
from tests.spec.log import Event, Log


@case("MF-DR-01")
def writable_first(log: Log) -> None:
    """The first element of a read request is one that the device writes."""
    chain = next(c for c in chains(log, 0) if c[-1]["type"] == bits.T_IN)
    descs = [e for e in chain if e["kind"] == "desc" and not e["flags"] & bits.INDIRECT]
    first, second = descs[0], next(e for e in descs if e["flags"] & bits.WRITE)
    for name in ("addr", "len"):
        first[name], second[name] = second[name], first[name]
    first["flags"] |= bits.WRITE
    second["flags"] &= ~bits.WRITE


@case("MF-DR-02", clean=like(size=32, pieces=12))
def pieces_go_on(log: Log) -> None:
    """A dozen elements of a request lie one behind the other."""
    chain = next(c for c in chains(log, 0) if c[-1]["type"] == bits.T_IN)
    descs = [e for e in chain if e["kind"] == "desc" and not e["flags"] & bits.INDIRECT]
    data = [e for e in descs if e["flags"] & bits.WRITE]
    for before, after in pairwise(data):
        after["addr"] = before["addr"] + before["len"]


@case("DX-84")
def flag_of_no_meaning(log: Log) -> None:
    """A descriptor of a split ring has a flag that is not defined."""
    log.one("desc")["flags"] |= 8


@case("DX-84", clean=like(packed=True))
def flag_of_no_meaning_packed(log: Log) -> None:
    """A descriptor of a packed ring has a flag that is not defined."""
    log.one("slot")["flags"] |= 8


@case("DX-93")
def descriptor_of_no_buffer(log: Log) -> None:
    """The second descriptor of a chain is not that of its buffer."""
    log.one("add")["differs"] = 2


@case("DX-86")
def buffer_in_the_used_ring(log: Log) -> None:
    """A buffer of data that the device writes lies in the used ring."""
    _written(log)["addr"] = log.one("queue", vq=0)["used"] + 4


@case("DX-86", clean=like(packed=True))
def buffer_over_the_descriptors(log: Log) -> None:
    """A buffer of data that the device writes begins before a packed ring and ends in it."""
    buffer = _written(log)
    buffer["addr"] = log.one("queue", vq=0)["desc"] - buffer["len"] + 1


def _written(log: Log) -> Event:
    """Return the first descriptor of a buffer that the device writes."""
    return next(e for e in log.of("desc", vq=0) if e["flags"] & bits.WRITE)
