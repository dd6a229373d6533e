# SPDX-License-Identifier: GPL-2.0-only
"""Read chains as they stand in the front-end's memory, good or not."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from pykit.device.memory import BadAddressError, GuestMemory
from pykit.spec import bits
from pykit.spec.bits import DESC_BYTES, INDIRECT, NEXT, WRITE

#: A descriptor in memory: address, length, and two fields that the layouts have in another order.
STORED = struct.Struct("<QIHH")
_HEADER = struct.Struct("<IIQ")


@dataclass(frozen=True, slots=True)
class Element:
    """A descriptor; ``table`` is 1 for one of an indirect table."""

    slot: int
    address: int
    length: int
    flags: int
    next: int
    table: int = 0

    @property
    def is_buffer(self) -> bool:
        """Whether it is a buffer and not the reference to a table."""
        return bool(self.table) or not self.flags & INDIRECT


@dataclass(slots=True)
class TappedChain:
    """A chain that the front-end made available.

    Attributes:
        head: head, or buffer id.
        elements: those in the ring, then those of a table.
        slots: ring descriptors that it takes.
        sector, kind, status_at: of a block request; ``kind`` is -1 for anything else.
    """

    head: int
    elements: list[Element]
    slots: int
    sector: int = 0
    kind: int = -1
    status_at: int = 0

    def buffers(self, write: bool) -> Iterator[tuple[int, int]]:
        """Its buffers of one direction, as (address, length)."""
        for element in self.elements:
            if element.is_buffer and bool(element.flags & WRITE) == write:
                yield element.address, element.length

    @property
    def in_ring(self) -> list[Element]:
        """Those of its descriptors that stand in the ring."""
        return [element for element in self.elements if not element.table]


def follow(table: memoryview, size: int, head: int, memory: GuestMemory) -> TappedChain:
    """Read a chain of a split ring; one that leads nowhere is cut."""
    found: list[Element] = []
    inner: list[Element] = []
    at = head
    while at < size and len(found) < size:
        address, length, flags, following = STORED.unpack_from(table, DESC_BYTES * at)
        found.append(Element(at, address, length, flags, following))
        if flags & INDIRECT:
            inner = _linked(_table(memory, address, length))
        if not flags & NEXT:
            break
        at = following
    return TappedChain(head, found + inner, max(len(found), 1))


def _linked(table: bytes) -> list[Element]:
    """Read the chain in an indirect table of a split ring."""
    count, at = len(table) // DESC_BYTES, 0
    found: list[Element] = []
    while at < count and len(found) < count:
        address, length, flags, following = STORED.unpack_from(table, DESC_BYTES * at)
        found.append(Element(at, address, length, flags, following, 1))
        if not flags & NEXT:
            break
        at = following
    return found


def in_order(memory: GuestMemory, address: int, length: int) -> list[Element]:
    """Read the indirect table of a packed ring."""
    data = _table(memory, address, length)
    entries = enumerate(STORED.iter_unpack(data))
    return [
        Element(at, where, many, flags, number, 1) for at, (where, many, number, flags) in entries
    ]


def _table(memory: GuestMemory, address: int, length: int) -> bytes:
    try:
        data = bytes(memory.at(address, min(length, 1 << 19)))
    except BadAddressError:
        return b""
    return data[: len(data) - len(data) % DESC_BYTES]


def read_request(chain: TappedChain, memory: GuestMemory) -> None:
    """Find out what block request a chain is (section 5.2.6), if it is one."""
    header = b""
    last = (0, 0)
    try:
        for address, length in chain.buffers(write=False):
            header += bytes(memory.at(address, min(length, bits.HEADER_BYTES - len(header))))
            if len(header) == bits.HEADER_BYTES:
                break
        last = (last, *chain.buffers(write=True))[-1]
    except BadAddressError:
        return
    if len(header) == bits.HEADER_BYTES and last[1]:
        kind, _, chain.sector = _HEADER.unpack(header)
        chain.kind, chain.status_at = kind, last[0] + last[1] - 1
