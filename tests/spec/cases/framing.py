# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/framing.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import case, chains
from tests.spec.log import Log


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
