# SPDX-License-Identifier: GPL-2.0-only
"""A virtqueue as its device: take chains, return them, decide on notifications."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from pykit.device.memory import BadAddressError, GuestMemory, load16, store16
from pykit.errors import PykitError
from pykit.spec.bits import DESC_BYTES, INDIRECT, NEXT, WRITE

_DESC = struct.Struct("<QIHH")
_USED = struct.Struct("<II")
_AVAIL, _USED_FLAG = 1 << 7, 1 << 15
_WRAP_BIT = 1 << 15
_WRAP = 1 << 16
_DISABLE, _AT_DESCRIPTOR = 1, 2


class BadChainError(PykitError):
    """The driver exposed something that is no chain."""


@dataclass(frozen=True)
class Chain:
    """A chain that was taken.

    Attributes:
        id: head, or buffer id.
        slots: ring descriptors that it takes.
        readable, writable: its buffers, as (address, length).
        descriptors: what stood in a packed ring, as (address, length, flags).
    """

    id: int
    slots: int
    readable: tuple[tuple[int, int], ...]
    writable: tuple[tuple[int, int], ...]
    descriptors: tuple[tuple[int, int, int], ...] = ()

    @property
    def capacity(self) -> int:
        """Bytes that the device may write."""
        return sum(length for _, length in self.writable)


class Queue(ABC):
    """The device's side of one virtqueue.

    Args:
        memory: the front-end's.
        size: descriptors of the queue.
        areas: the three areas' addresses in the front-end: descriptors, device area, driver area.
        event_idx: whether EVENT_IDX was negotiated.
        base: where to go on, as SET_VRING_BASE has it.

    Attributes:
        table_align: what addresses of indirect tables have to be multiples of.
        linked_tables: whether descriptors of a split queue's tables go on as they say, not by
            their places.
    """

    def __init__(
        self,
        memory: GuestMemory,
        size: int,
        areas: tuple[int, int, int],
        event_idx: bool,
        base: int,
    ) -> None:
        self.memory, self.size, self.areas, self.event_idx = memory, size, areas, event_idx
        self.table_align, self.linked_tables = 1, True
        lengths = self._lengths(size)
        self.desc, self.device, self.driver = (
            memory.at_user(address, length) for address, length in zip(areas, lengths, strict=True)
        )
        self.signalled = True
        self._begin(base)

    @staticmethod
    @abstractmethod
    def _lengths(size: int) -> tuple[int, int, int]:
        """Bytes of the three areas, in the order of the message."""

    @abstractmethod
    def _begin(self, base: int) -> None:
        """Take up the position."""

    @property
    @abstractmethod
    def base(self) -> int:
        """The position, as GET_VRING_BASE returns it."""

    @property
    @abstractmethod
    def more(self) -> bool:
        """Whether a chain is available that was not taken."""

    @abstractmethod
    def pop(self) -> Chain | None:
        """Take the next chain; None if there is none.

        Raises:
            BadChainError: what is there is no chain.
        """

    @abstractmethod
    def push(self, chain: Chain, length: int) -> None:
        """Return a chain, with so many bytes written."""

    @abstractmethod
    def skip(self) -> None:
        """Leave out an entry, which no device does that is right."""

    @abstractmethod
    def last_length(self, chain: Chain) -> memoryview:
        """The length of the used entry that returned a chain, the last one."""

    @abstractmethod
    def request_notifications(self) -> None:
        """Ask for a notification of the next chain."""

    @abstractmethod
    def interrupt_wanted(self) -> bool:
        """Whether the driver wants to be interrupted for what was returned since the last time."""

    def _walk(
        self, first: tuple[int, int, int, int], chain: Iterator[tuple[int, int, int, int]]
    ) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
        """Divide descriptors (address, length, flags, …) into readable and writable buffers.

        The last one may refer to an indirect table (section 2.7.5.3).
        """
        readable: list[tuple[int, int]] = []
        writable: list[tuple[int, int]] = []
        seen = 0
        for address, length, flags, _ in (first, *chain):
            if flags & INDIRECT:
                if flags & NEXT:
                    raise BadChainError("a descriptor is an indirect table and leads on")
                if address % self.table_align:
                    raise BadChainError("an indirect table is not aligned")
                entries: Iterator[tuple[int, int, int]] = self._table(address, length)
            else:
                entries = iter(((address, length, flags),))
            for where, many, what in entries:
                seen += 1
                if seen > self.size:
                    raise BadChainError("a chain has more descriptors than the queue")
                if many == 0:
                    raise BadChainError("a buffer has no bytes")
                if what & WRITE:
                    writable.append((where, many))
                elif writable:
                    raise BadChainError("a readable buffer stands behind a writable one")
                else:
                    readable.append((where, many))
                # What is not shared is found before anything of the request is done.
                self.memory.at(where, many)
        return tuple(readable), tuple(writable)

    @abstractmethod
    def _table(self, address: int, length: int) -> Iterator[tuple[int, int, int]]:
        """The descriptors of an indirect table: address, length, flags."""

    def _table_bytes(self, address: int, length: int) -> memoryview:
        if length == 0 or length % DESC_BYTES:
            raise BadChainError(f"an indirect table has {length} bytes")
        if length // DESC_BYTES > self.size:
            raise BadChainError("an indirect table has more descriptors than the queue")
        return self.memory.at(address, length)


class SplitQueue(Queue):
    """Section 2.7."""

    @staticmethod
    def _lengths(size: int) -> tuple[int, int, int]:
        return DESC_BYTES * size, 6 + 8 * size, 6 + 2 * size

    def _begin(self, base: int) -> None:
        self.next = base & 0xFFFF
        self.used = load16(self.device, 2)
        self._told = self.used

    @property
    def base(self) -> int:
        """The available index up to which chains were taken."""
        return self.next

    @property
    def more(self) -> bool:
        """By the available index."""
        return load16(self.driver, 2) != self.next

    def pop(self) -> Chain | None:
        """Take the next entry of the available ring."""
        waiting = (load16(self.driver, 2) - self.next) % _WRAP
        if waiting == 0:
            return None
        if waiting > self.size:
            raise BadChainError("the available index moved by more than the queue has entries")
        chain = self.again(load16(self.driver, 4 + 2 * (self.next % self.size)))
        self.next = (self.next + 1) % _WRAP
        return chain

    def again(self, head: int) -> Chain:
        """Read the chain of a head, taken before or not.

        Raises:
            BadChainError: it is no chain.
        """
        try:
            readable, writable = self._walk(self._descriptor(head), self._follow(head))
        except BadAddressError as error:
            raise BadChainError(str(error)) from None
        return Chain(head, 1, readable, writable)

    def _descriptor(self, slot: int) -> tuple[int, int, int, int]:
        if slot >= self.size:
            raise BadChainError(f"descriptor {slot} is not in a queue of {self.size}")
        return _DESC.unpack_from(self.desc, DESC_BYTES * slot)

    def _follow(self, head: int) -> Iterator[tuple[int, int, int, int]]:
        _, _, flags, following = self._descriptor(head)
        for _ in range(self.size):
            if not flags & NEXT:
                return
            found = self._descriptor(following)
            _, _, flags, following = found
            yield found
        raise BadChainError("a chain leads back to itself")

    def _table(self, address: int, length: int) -> Iterator[tuple[int, int, int]]:
        data = bytes(self._table_bytes(address, length))
        count, at = length // DESC_BYTES, 0
        for _ in range(count):
            where, many, flags, following = _DESC.unpack_from(data, DESC_BYTES * at)
            if flags & INDIRECT:
                raise BadChainError("an indirect table refers to another")
            yield where, many, flags
            if not flags & NEXT:
                return
            if following >= count:
                raise BadChainError("a descriptor leads out of its indirect table")
            at = following if self.linked_tables else (at + 1) % count
        raise BadChainError("an indirect table leads back to itself")

    def push(self, chain: Chain, length: int) -> None:
        """Write a used entry, then the index (section 2.7.8.2)."""
        at = 4 + 8 * (self.used % self.size)
        self.device[at : at + 8] = _USED.pack(chain.id, length)
        self.used = (self.used + 1) % _WRAP
        store16(self.device, 2, self.used)

    def skip(self) -> None:
        """The index moves over an entry with the next one."""
        self.used = (self.used + 1) % _WRAP

    def last_length(self, chain: Chain) -> memoryview:
        """Behind the id of the entry before the index."""
        at = 4 + 8 * ((self.used - 1) % self.size) + 4
        return self.device[at : at + 4]

    def request_notifications(self) -> None:
        """Set avail_event to the next entry; without EVENT_IDX the flags never suppress."""
        if self.event_idx:
            store16(self.device, 4 + 8 * self.size, self.next)

    def interrupt_wanted(self) -> bool:
        """Decide by used_event, or by the flags of the available ring (section 2.7.7)."""
        old, new = self._told, self.used
        if old == new:
            return False
        self._told = new
        if self.event_idx:
            event = load16(self.driver, 4 + 2 * self.size)
            return (new - event - 1) % _WRAP < (new - old) % _WRAP
        return not load16(self.driver, 0) & 1


class PackedQueue(Queue):
    """Section 2.8."""

    @staticmethod
    def _lengths(size: int) -> tuple[int, int, int]:
        return DESC_BYTES * size, 4, 4

    def _begin(self, base: int) -> None:
        self.next, self.wrap = base & 0x7FFF, bool(base & _WRAP_BIT)
        used = base >> 16 or base & 0xFFFF
        self.used, self.used_wrap = used & 0x7FFF, bool(used & _WRAP_BIT)
        self._since = 0

    @property
    def base(self) -> int:
        """Both positions with their wrap counters."""
        here = self.next | (_WRAP_BIT if self.wrap else 0)
        return here | (self.used | (_WRAP_BIT if self.used_wrap else 0)) << 16

    def _flags(self, slot: int) -> int:
        return load16(self.desc, DESC_BYTES * slot + 14)

    @property
    def more(self) -> bool:
        """By the flags of the next descriptor."""
        flags = self._flags(self.next)
        return bool(flags & _AVAIL) == self.wrap and bool(flags & _USED_FLAG) != self.wrap

    def pop(self) -> Chain | None:
        """Take the next list whose first descriptor is available."""
        if not self.more:
            return None
        found, at, wrap = [], self.next, self.wrap
        while True:
            address, length, number, flags = _DESC.unpack_from(self.desc, DESC_BYTES * at)
            if bool(flags & _AVAIL) != wrap or bool(flags & _USED_FLAG) == wrap:
                raise BadChainError("a list has an element that is not available")
            found.append((address, length, flags))
            at += 1
            if at == self.size:
                at, wrap = 0, not wrap
            if not flags & NEXT:
                break
            if len(found) == self.size:
                raise BadChainError("a list has more elements than the queue")
        chain = self.chain(number, found)
        self.next, self.wrap = at, wrap
        return chain

    def chain(self, number: int, found: list[tuple[int, int, int]]) -> Chain:
        """Make a chain of a list's descriptors: address, length, flags.

        Raises:
            BadChainError: they are no chain.
        """
        if number >= self.size:
            raise BadChainError(f"buffer id {number} in a queue of {self.size}")
        first, *more = ((*descriptor, 0) for descriptor in found)
        try:
            readable, writable = self._walk(first, iter(more))
        except BadAddressError as error:
            raise BadChainError(str(error)) from None
        return Chain(number, len(found), readable, writable, tuple(found))

    def is_used(self, slot: int, wrap: bool) -> bool:
        """Whether a slot has a used descriptor of the round with this wrap counter."""
        flags = self._flags(slot)
        return bool(flags & _AVAIL) == bool(flags & _USED_FLAG) == wrap

    def _table(self, address: int, length: int) -> Iterator[tuple[int, int, int]]:
        data = bytes(self._table_bytes(address, length))
        for where, many, _, flags in _DESC.iter_unpack(data):
            yield where, many, flags & WRITE

    def push(self, chain: Chain, length: int, flip: int = 0) -> None:
        """Write a used descriptor, its flags last (section 2.8.6); ``flip`` makes them wrong."""
        at = DESC_BYTES * self.used
        self.desc[at + 8 : at + 12] = struct.pack("<I", length)
        store16(self.desc, at + 12, chain.id)
        flags = (_AVAIL | _USED_FLAG) if self.used_wrap else 0
        store16(self.desc, at + 14, (flags | (WRITE if chain.writable else 0)) ^ flip)
        self._advance(chain.slots)
        self._since += chain.slots

    def skip(self) -> None:
        """A descriptor stays as it was."""
        self._advance(1)

    def _advance(self, slots: int) -> None:
        self.used += slots
        if self.used >= self.size:
            self.used, self.used_wrap = self.used - self.size, not self.used_wrap

    def last_length(self, chain: Chain) -> memoryview:
        """In the descriptor where the chain's list began."""
        at = DESC_BYTES * ((self.used - chain.slots) % self.size) + 8
        return self.desc[at : at + 4]

    def request_notifications(self) -> None:
        """Ask for the next descriptor with EVENT_IDX, else for any (section 2.8.14)."""
        position = self.next | (_WRAP_BIT if self.wrap else 0)
        store16(self.device, 0, position if self.event_idx else 0)
        store16(self.device, 2, _AT_DESCRIPTOR if self.event_idx else 0)

    def interrupt_wanted(self) -> bool:
        """Decide by the driver's event suppression structure."""
        count, self._since = self._since, 0
        if not count:
            return False
        event, flags = load16(self.driver, 0), load16(self.driver, 2)
        if flags == _AT_DESCRIPTOR and self.event_idx:
            here = self.used
            if bool(event & _WRAP_BIT) != self.used_wrap:
                here += self.size
            return 0 < here - (event & 0x7FFF) <= count
        return flags != _DISABLE
