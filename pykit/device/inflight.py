# SPDX-License-Identifier: GPL-2.0-only
"""Keep the record of chains in flight, and take up from it what another process has left.

The order of the writes is what makes a record right at each moment (QEMU,
docs/interop/vhost-user.rst, Inflight I/O tracking).
"""

from __future__ import annotations

import mmap
import os
from abc import ABC, abstractmethod

from pykit.device.memory import BadAddressError
from pykit.device.queue import BadChainError, Chain, PackedQueue, Queue, SplitQueue
from pykit.vhost_user import (
    INFLIGHT_VERSION,
    PACKED_HEADER,
    PACKED_STATE,
    SPLIT_HEADER,
    SPLIT_STATE,
    inflight_bytes,
)

_WRAP = 1 << 16
_ORDERS = 1 << 64
#: Offsets of single fields: in the headers, and in a state.
_LAST_BATCH, _SPLIT_USED = 12, 14
_FREE, _FREE_BEFORE, _USED, _USED_BEFORE = 12, 14, 16, 18
_USED_WRAP, _USED_WRAP_BEFORE = 20, 21
_TAKEN, _NEXT_SPLIT, _NEXT, _LAST, _COUNT, _ORDER = 0, 6, 2, 4, 6, 8


class InflightArea:
    """The record of all queues, in a file that the front-end shares; the descriptor is closed.

    Args:
        size: its bytes.
        offset: where it begins in the file.
        queues: how many queues it is for.
        entries: what size of theirs it has room for.

    Raises:
        BadAddressError: it is too small, or the file is, or it cannot be mapped.
    """

    def __init__(self, size: int, offset: int, queues: int, entries: int, fd: int) -> None:
        self._queues, self._part, self._entries = queues, inflight_bytes(entries), entries
        try:
            if size < queues * self._part or os.fstat(fd).st_size < offset + size or not queues:
                raise BadAddressError(f"a record of {size} bytes is too short for {queues} queues")
            self._bytes = memoryview(mmap.mmap(fd, offset + size))[offset:]
        except (OSError, ValueError, OverflowError) as error:
            raise BadAddressError(f"a record of {size} bytes cannot be mapped: {error}") from None
        finally:
            os.close(fd)

    @staticmethod
    def make(queues: int, entries: int) -> tuple[int, int]:
        """Make the file of an empty record; return its descriptor and size.

        Raises:
            BadAddressError: it is for no queue, or for queues without entries.
        """
        if not queues or not entries:
            raise BadAddressError(f"a record for {queues} queues of {entries}")
        size = queues * inflight_bytes(entries)
        fd = os.memfd_create("pykit-inflight", os.MFD_CLOEXEC)
        os.ftruncate(fd, size)
        return fd, size

    def part(self, index: int, queue: Queue) -> InflightPart:
        """The record of one queue.

        Raises:
            BadChainError: it has none, or one that is too small.
        """
        if index >= self._queues or queue.size > self._entries:
            raise BadChainError(f"the record has no room for queue {index} of {queue.size}")
        view = self._bytes[index * self._part : (index + 1) * self._part]
        return (PackedPart if isinstance(queue, PackedQueue) else SplitPart)(view, queue)


class InflightPart(ABC):
    """The record of one queue."""

    def __init__(self, view: memoryview, queue: Queue) -> None:
        self._view, self._size, self._count = view, queue.size, 0

    @abstractmethod
    def resume(self, queue: Queue) -> list[Chain]:
        """Put a queue where the record says; return the chains in flight, the oldest first.

        Raises:
            BadChainError: the record is of another queue, or makes no sense.
        """

    @abstractmethod
    def taken(self, chain: Chain) -> None:
        """Record a chain that was taken."""

    @abstractmethod
    def returning(self, chain: Chain, queue: Queue) -> None:
        """Record that a chain will be returned next."""

    @abstractmethod
    def returned(self, chain: Chain, queue: Queue) -> None:
        """Record that a chain was returned."""

    def _known(self, version: int, entries: int) -> bool:
        """Whether the record was used before; BadChainError where it is of another kind."""
        if not version:
            return False
        if version != INFLIGHT_VERSION or entries != self._size:
            raise BadChainError(
                f"a record of version {version} for {entries} entries, not {self._size}"
            )
        return True

    def _get(self, at: int) -> int:
        return int.from_bytes(self._view[at : at + 2], "little")

    def _set(self, at: int, value: int) -> None:
        self._view[at : at + 2] = value.to_bytes(2, "little")

    def _begin_chain(self, at: int) -> None:
        """Give a chain its place in the order, then mark it."""
        self._view[at + _ORDER : at + _ORDER + 8] = self._count.to_bytes(8, "little")
        self._count = (self._count + 1) % _ORDERS
        self._view[at + _TAKEN] = 1

    def _entry(self, number: int) -> int:
        """An entry that the record names; BadChainError if there is none."""
        if number >= self._size:
            raise BadChainError(f"the record names entry {number} of {self._size}")
        return number


class SplitPart(InflightPart):
    """A state for each descriptor, of which those of heads are used."""

    def _at(self, head: int) -> int:
        return SPLIT_HEADER.size + SPLIT_STATE.size * head

    def resume(self, queue: Queue) -> list[Chain]:
        """What came into the used ring is done, whether the record knows or not."""
        assert isinstance(queue, SplitQueue)
        _, version, entries, batch, recorded = SPLIT_HEADER.unpack_from(self._view)
        if not self._known(version, entries):
            SPLIT_HEADER.pack_into(self._view, 0, 0, INFLIGHT_VERSION, self._size, 0, queue.used)
            return []
        if recorded != queue.used:
            # A batch of this back-end is one chain.
            self._view[self._at(self._entry(batch)) + _TAKEN] = 0
            self._set(_SPLIT_USED, queue.used)
        states = [SPLIT_STATE.unpack_from(self._view, self._at(h)) for h in range(self._size)]
        heads = sorted((order, h) for h, (taken, _, order) in enumerate(states) if taken)
        self._count = (heads[-1][0] + 1) % _ORDERS if heads else 0
        queue.next = (queue.used + len(heads)) % _WRAP
        return [queue.again(head) for _, head in heads]

    def taken(self, chain: Chain) -> None:
        """Mark its head."""
        self._begin_chain(self._at(chain.id))

    def returning(self, chain: Chain, queue: Queue) -> None:
        """Make it the last batch."""
        self._set(self._at(chain.id) + _NEXT_SPLIT, self._get(_LAST_BATCH))
        self._set(_LAST_BATCH, chain.id)

    def returned(self, chain: Chain, queue: Queue) -> None:
        """Unmark its head, and follow the used index."""
        assert isinstance(queue, SplitQueue)
        self._view[self._at(chain.id) + _TAKEN] = 0
        self._set(_SPLIT_USED, queue.used)


class PackedPart(InflightPart):
    """A list of states that are free, and one for each chain with copies of its descriptors."""

    def __init__(self, view: memoryview, queue: Queue) -> None:
        super().__init__(view, queue)
        #: The first state of each chain, by buffer id.
        self._heads: dict[int, int] = {}

    def _at(self, state: int) -> int:
        return PACKED_HEADER.size + PACKED_STATE.size * state

    def resume(self, queue: Queue) -> list[Chain]:
        """Undo what was begun and not done, then list what is in flight."""
        assert isinstance(queue, PackedQueue)
        _, version, entries, *_ = PACKED_HEADER.unpack_from(self._view)
        if not self._known(version, entries):
            here = (queue.used, queue.used, queue.used_wrap, queue.used_wrap)
            PACKED_HEADER.pack_into(self._view, 0, 0, INFLIGHT_VERSION, self._size, 0, 0, *here)
            for state in range(self._size):
                self._set(self._at(state) + _NEXT, (state + 1) % self._size)
            return []
        self._finish(queue)
        queue.used, queue.used_wrap = self._entry(self._get(_USED)), bool(self._view[_USED_WRAP])
        found, slots = [], 0
        for state in range(self._size):
            if self._view[self._at(state) + _TAKEN]:
                order = int.from_bytes(self._view[self._at(state) + _ORDER :][:8], "little")
                found.append((order, state))
                slots += self._get(self._at(state) + _COUNT)
        if slots > self._size:
            raise BadChainError(f"the record has {slots} descriptors in flight")
        found.sort()
        self._count = (found[-1][0] + 1) % _ORDERS if found else 0
        queue.next, queue.wrap = queue.used + slots, queue.used_wrap
        if queue.next >= self._size:
            queue.next, queue.wrap = queue.next - self._size, not queue.wrap
        return [self._again(queue, state) for _, state in found]

    def _finish(self, queue: PackedQueue) -> None:
        """Go back to before a chain that was not all recorded, or returned; or behind it."""
        before, wrap = self._entry(self._get(_USED_BEFORE)), bool(self._view[_USED_WRAP_BEFORE])
        if (self._get(_USED), bool(self._view[_USED_WRAP])) != (before, wrap):
            if queue.is_used(before, wrap):
                self._view[self._at(self._entry(self._get(_FREE))) + _TAKEN] = 0
                self._settle()
            else:
                self._set(_USED, before)
                self._view[_USED_WRAP] = wrap
                self._set(_FREE, self._get(_FREE_BEFORE))
        elif self._view[self._at(self._entry(self._get(_FREE_BEFORE))) + _TAKEN]:
            self._set(_FREE_BEFORE, self._get(_FREE))
        else:
            self._set(_FREE, self._get(_FREE_BEFORE))

    def _again(self, queue: PackedQueue, state: int) -> Chain:
        found, at = [], state
        self._entry(self._get(self._at(state) + _LAST))
        for _ in range(self._get(self._at(state) + _COUNT)):
            _, at_next, _, _, _, number, flags, length, address = PACKED_STATE.unpack_from(
                self._view, self._at(self._entry(at))
            )
            found.append((address, length, flags))
            at = at_next
        if not found:
            raise BadChainError("the record has a chain without a descriptor")
        self._heads[number] = state
        return queue.chain(number, found)

    def taken(self, chain: Chain) -> None:
        """Copy its descriptors into free states, the first of which stands for it."""
        head = at = self._entry(self._get(_FREE))
        for address, length, flags in chain.descriptors:
            last, following = at, self._entry(self._get(self._at(at) + _NEXT))
            PACKED_STATE.pack_into(
                self._view, self._at(at), 0, following, 0, 0, 0, chain.id, flags, length, address
            )
            at = following
        self._set(self._at(head) + _LAST, last)
        self._set(self._at(head) + _COUNT, len(chain.descriptors))
        self._set(_FREE, at)
        self._begin_chain(self._at(head))
        self._set(_FREE_BEFORE, at)
        self._heads[chain.id] = head

    def returning(self, chain: Chain, queue: Queue) -> None:
        """Put its states before the free ones, and the position behind its used descriptor."""
        assert isinstance(queue, PackedQueue)
        head = self._heads[chain.id]
        self._set(self._at(self._get(self._at(head) + _LAST)) + _NEXT, self._get(_FREE))
        self._set(_FREE, head)
        position, wrap = queue.used + chain.slots, queue.used_wrap
        if position >= self._size:
            position, wrap = position - self._size, not wrap
        self._set(_USED, position)
        self._view[_USED_WRAP] = wrap

    def returned(self, chain: Chain, queue: Queue) -> None:
        """Unmark it, and give up what stood before."""
        self._view[self._at(self._heads.pop(chain.id)) + _TAKEN] = 0
        self._settle()

    def _settle(self) -> None:
        self._set(_FREE_BEFORE, self._get(_FREE))
        self._set(_USED_BEFORE, self._get(_USED))
        self._view[_USED_WRAP_BEFORE] = self._view[_USED_WRAP]
