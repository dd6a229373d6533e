# SPDX-License-Identifier: GPL-2.0-only
"""Read chains as they stand in the front-end's memory, good or not.

Each request passes here, so that this is written for speed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from pykit.device.memory import BadAddressError, GuestMemory
from pykit.spec.bits import DESC_BYTES, HEADER_BYTES, INDIRECT, NEXT, WRITE

#: A descriptor in memory: address, length, and two fields that the layouts have in another order.
STORED = struct.Struct("<QIHH")
_HEADER = struct.Struct("<IIQ")
#: Bytes of a table that are read: no chain is longer.
_LONGEST_TABLE = 1 << 19


class Element(NamedTuple):
    """A descriptor; ``table`` is 1 for one of an indirect table."""

    slot: int
    address: int
    length: int
    flags: int
    next: int
    table: int = 0


@dataclass(slots=True)
class TappedChain:
    """A chain that the front-end made available.

    Attributes:
        head: head, or buffer id.
        ring: its descriptors in the ring.
        inner: those of its table.
        slots: ring descriptors that it takes.
        sector, kind, status_at: of a block request; ``kind`` is -1 for anything else.
    """

    head: int
    ring: list[Element]
    inner: list[Element]
    slots: int
    sector: int = 0
    kind: int = -1
    status_at: int = 0

    def buffers(self) -> tuple[list[Element], list[Element]]:
        """Its buffers: those that the device reads, and those that it writes."""
        reads: list[Element] = []
        writes: list[Element] = []
        for element in (*self.ring, *self.inner):
            flags = element.flags
            if element.table or not flags & INDIRECT:
                (writes if flags & WRITE else reads).append(element)
        return reads, writes


def follow(table: memoryview, size: int, head: int, memory: GuestMemory) -> TappedChain:
    """Read a chain of a split ring; one that leads nowhere is cut."""
    ring = _linked(table, size, head, 0)
    inner: list[Element] = []
    for element in ring:
        if element.flags & INDIRECT:
            found = _table(memory, element.address, element.length)
            inner = _linked(found, len(found) // DESC_BYTES, 0, 1)
    return TappedChain(head, ring, inner, len(ring) or 1)


def _linked(data: bytes | memoryview, count: int, at: int, table: int) -> list[Element]:
    """Read what is linked from a descriptor on, of so many."""
    found: list[Element] = []
    while at < count and len(found) < count:
        address, length, flags, following = STORED.unpack_from(data, DESC_BYTES * at)
        found.append(Element(at, address, length, flags, following, table))
        if not flags & NEXT:
            break
        at = following
    return found


def in_order(memory: GuestMemory, address: int, length: int) -> list[Element]:
    """Read the indirect table of a packed ring."""
    entries = enumerate(STORED.iter_unpack(_table(memory, address, length)))
    return [
        Element(at, where, many, flags, number, 1) for at, (where, many, number, flags) in entries
    ]


def _table(memory: GuestMemory, address: int, length: int) -> bytes:
    length = min(length, _LONGEST_TABLE)
    try:
        return bytes(memory.at(address, length)[: length - length % DESC_BYTES])
    except BadAddressError:
        return b""


def read_request(chain: TappedChain, memory: GuestMemory) -> None:
    """Find out what block request a chain is (section 5.2.6), if it is one."""
    header = b""
    reads, writes = chain.buffers()
    try:
        for element in reads:
            header += memory.at(element.address, min(element.length, HEADER_BYTES - len(header)))
            if len(header) == HEADER_BYTES:
                break
    except BadAddressError:
        return
    if len(header) == HEADER_BYTES and writes and writes[-1].length:
        chain.kind, _, chain.sector = _HEADER.unpack(header)
        # An address may be any, and lead round.
        chain.status_at = (writes[-1].address + writes[-1].length - 1) & (1 << 64) - 1
