# SPDX-License-Identifier: GPL-2.0-only
"""Requests as buffers, and as descriptors before they are written into a ring."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from pykit.spec.bits import DESC_BYTES, INDIRECT, NEXT, WRITE
from pykit.trace.kinds import DIFFERS_NONE


@dataclass(frozen=True)
class Buffer:
    """Memory that a request hands to the device: to be read, or to be written by it."""

    address: int
    length: int
    write: bool = False


@dataclass(frozen=True)
class RingDescriptor:
    """A descriptor (sections 2.7.5 and 2.8.13): ``next`` is the buffer id in a packed ring."""

    address: int
    length: int
    flags: int = 0
    next: int = 0

    def having(self, *, flags: int = 0, without: int = 0) -> RingDescriptor:
        """The same with flags set, and others cleared."""
        return replace(self, flags=(self.flags | flags) & ~without)


@dataclass
class Draft:
    """A chain as it will stand in memory; cases alter it before it is written.

    Attributes:
        slots: descriptors in the ring with their slots, along the chain.
        table: descriptors of the indirect table; empty without one.
        table_at: address of that table.
        backward: the table has the first descriptor at its begin, and all others from its end on;
            their links lead the way (split rings).
        head: entry of the available ring; in a packed ring the buffer id.
        step: how far the available index moves (split rings).
        writable: bytes that the device may write, as the request means it.
        readable: bytes that it may read.
        unready: positions along the list whose flags still say that they are the driver's
            (packed rings).
        used: positions whose flags say that the device has used them (packed rings).
        forward: the flags are written from the first descriptor on (packed rings).
        chained: NEXT leads from one descriptor of a table to the other (split rings).
        linked: the table keeps NEXT and links, which have no meaning in a packed ring's.
        again: how many more entries of the available ring name the head (split rings).
        buffers: what the chain was drafted for.
    """

    slots: list[tuple[int, RingDescriptor]]
    table: list[RingDescriptor] = field(default_factory=list)
    table_at: int = 0
    head: int = 0
    step: int = 1
    writable: int = 0
    readable: int = 0
    unready: set[int] = field(default_factory=set)
    used: set[int] = field(default_factory=set)
    forward: bool = False
    chained: bool = False
    linked: bool = False
    backward: bool = False
    again: int = 0
    buffers: tuple[Buffer, ...] = ()

    @property
    def indirect(self) -> bool:
        """Whether the chain is in an indirect table."""
        return bool(self.table)

    @property
    def elements(self) -> list[RingDescriptor]:
        """The descriptors that name the request's buffers, along the chain."""
        return self.table or [descriptor for _, descriptor in self.slots]

    def put(self, position: int, descriptor: RingDescriptor) -> None:
        """Replace the element at a position along the chain."""
        if self.table:
            self.table[position] = descriptor
        else:
            self.slots[position] = (self.slots[position][0], descriptor)

    def granted(self) -> Iterator[RingDescriptor]:
        """Descriptors by which the device may write: all that have WRITE, wherever they stand."""
        for descriptor in (*(d for _, d in self.slots), *self.table):
            if descriptor.flags & WRITE:
                yield descriptor

    def differs(self) -> int:
        """Which descriptor, from 1, is not that of the buffer it was drafted for, as the event
        ``add`` has it.
        """
        found = list(self._along())
        for number, (descriptor, buffer) in enumerate(zip(found, self.buffers, strict=False), 1):
            place = (descriptor.address, descriptor.length, bool(descriptor.flags & WRITE))
            if place != (buffer.address, buffer.length, buffer.write):
                return number
        shorter = min(len(found), len(self.buffers))
        return shorter + 1 if len(found) != len(self.buffers) else DIFFERS_NONE

    def _along(self) -> Iterator[RingDescriptor]:
        """The descriptors of buffers that flags lead to, from the first one in the ring on."""
        for _, descriptor in self.slots:
            if descriptor.flags & INDIRECT:
                break
            yield descriptor
            if not descriptor.flags & NEXT:
                return
        for number, descriptor in enumerate(self.table, 1):
            yield descriptor
            if number < len(self.table) and self.chained and not descriptor.flags & NEXT:
                return

    def place(self, position: int) -> int:
        """Where in the table the element at a position along the chain stands."""
        return len(self.table) - position if self.backward and position else position

    @property
    def table_bytes(self) -> int:
        """Length of the indirect table."""
        return DESC_BYTES * len(self.table)


@dataclass(frozen=True)
class UsedEntry:
    """A used buffer as the device returned it, and where it stood."""

    id: int
    length: int
    position: int
