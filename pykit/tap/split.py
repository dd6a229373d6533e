# SPDX-License-Identifier: GPL-2.0-only
"""A split virtqueue with its shadow (section 2.7).

Both rings have the same heads at the same indices, as long as no fault comes between: the back-end
gets the front-end's own descriptor table, and records of what is in flight fit both.
"""

from __future__ import annotations

import struct

from pykit.device.memory import BadAddressError, GuestMemory
from pykit.spec.bits import DESC_BYTES
from pykit.tap.chain import STORED, Element, follow
from pykit.tap.ring import Areas, TappedRing
from pykit.tap.shadow import ShadowMemory

_USED = struct.Struct("<II")
_MASK = 0xFFFF


def _places(size: int) -> tuple[int, int, int]:
    """Where available ring, used ring and table are in a queue's room."""
    used = -(-(6 + 2 * size) // 64) * 64
    return 0, used, used + -(-(6 + 8 * size) // 64) * 64


def lay_out(index: int, size: int, areas: Areas, own_table: bool) -> Areas:
    """Return the user addresses of the shadow ring's areas."""
    avail, used, table = (ShadowMemory.user(index, place) for place in _places(size))
    return table if own_table else areas[0], used, avail


def prepare(
    shadow: ShadowMemory, memory: GuestMemory, index: int, size: int, areas: Areas, base: int | None
) -> None:
    """Write the indices that a back-end may read when it gets the ring's addresses."""
    avail_at, used_at, _ = _places(size)
    try:
        used = memory.at_user(areas[1], 4).cast("H")[1]
    except BadAddressError:
        used = 0
    avail = used if base is None else base & _MASK
    avail_ring = shadow.area(index, avail_at, 6 + 2 * size).cast("H")
    used_ring = shadow.area(index, used_at, 6 + 8 * size).cast("H")
    avail_ring[0], avail_ring[1], avail_ring[2 + size] = 0, avail, used
    # An earlier life's value would swallow the first notification.
    used_ring[0], used_ring[1], used_ring[2 + 4 * size] = 0, used, avail


class SplitTap(TappedRing):
    """Descriptor table, available ring and used ring, twice."""

    layout = 0

    def _map(self, shadow: ShadowMemory) -> None:
        desc, used, avail = self.shape.areas
        size, memory, event = self.size, self.memory, 2 * self.event_idx
        self._table = memory.at_user(desc, DESC_BYTES * size)
        self._front_avail = memory.at_user(avail, 4 + 2 * size + event).cast("H")
        self._front_used = memory.at_user(used, 4 + 8 * size + event)
        self._front_used16 = self._front_used.cast("H")
        avail_at, used_at, table_at = _places(size)
        self._back_avail = shadow.area(self.index, avail_at, 6 + 2 * size).cast("H")
        self._back_used = shadow.area(self.index, used_at, 6 + 8 * size)
        self._back_used16 = self._back_used.cast("H")
        self._own_table = shadow.area(self.index, table_at, DESC_BYTES * size)

    def _begin(self) -> None:
        self.avail_in = self.avail_out = self._kicked = self.shape.base & _MASK
        self.used_in = self.used_out = self._called = self._front_used16[1]

    def _positions(self) -> tuple[int, int]:
        return self.avail_out, self.used_out

    def _front_positions(self) -> tuple[int, int]:
        return self.avail_in, self.used_out

    def _offer(self) -> int:
        index = self._front_avail[1]
        count = (index - self.avail_in) & _MASK
        if not count:
            self._looked_now()
            return 0
        if count > self.size:
            return self._jump(index)
        before, size = self._looked, self.size
        for _ in range(count):
            head = self._front_avail[2 + self.avail_in % size]
            self.avail_in = (self.avail_in + 1) & _MASK
            chain = follow(self._table, size, head, self.memory)
            self._took(chain)
            step = self._spoilt(chain)
            self._write_table(step.elements)
            if step.elements != chain.ring:
                # It may lead elsewhere now.
                step.elements = follow(self._own_table, size, head, self.memory).ring
            for made in step.heads:
                self._back_avail[2 + self.avail_out % size] = made & _MASK
                self.avail_out = (self.avail_out + 1 + step.jump) & _MASK
                self._note_chain(chain, step.elements, made, self.avail_out, before)
        self._back_avail[1] = self.avail_out
        self._looked_now()
        return count

    def _jump(self, index: int) -> int:
        """Carry an index that moved by more than the queue has entries, as it is."""
        head = self._front_avail[2 + self.avail_in % self.size]
        chain = follow(self._table, self.size, head, self.memory)
        for slot in range(self.size):
            self._back_avail[2 + slot] = self._front_avail[2 + slot]
        self.avail_in = self.avail_out = index
        self._note_chain(chain, chain.ring, head, index, self._looked)
        self._back_avail[1] = index
        self._looked_now()
        return 1

    def _write_table(self, elements: list[Element]) -> None:
        if self.injection is None or not self.injection.fault.table:
            return
        for element in elements:
            STORED.pack_into(
                self._own_table, DESC_BYTES * element.slot,
                element.address, element.length, element.flags, element.next,
            )  # fmt: skip

    def _collect(self) -> int:
        index = self._back_used16[1]
        count = (index - self.used_in) & _MASK
        if not count:
            return 0
        size, done = self.size, []
        for _ in range(min(count, size)):
            number, length = _USED.unpack_from(self._back_used, 4 + 8 * (self.used_in % size))
            self.used_in = (self.used_in + 1) & _MASK
            given = self._given(number, length)
            chain = self._returned(number)
            for entry in given:
                _USED.pack_into(self._front_used, 4 + 8 * (self.used_out % size), *entry)
                same = chain if entry[0] == number else self._returned(entry[0])
                done.append((entry, self.used_out, same))
                self.used_out = (self.used_out + 1) & _MASK
                chain = None if same is chain else chain
        if count > size:
            self.used_in = index
            self.used_out = (self.used_out + count - size) & _MASK
        for (number, length), place, chain in done:
            self._note_used(number, length, place, self.used_out, 0, chain)
        self._front_used16[1] = self.used_out
        return count

    def _ask_front(self) -> None:
        if self.event_idx:
            self._front_used16[2 + 4 * self.size] = self.avail_in

    def _ask_back(self) -> None:
        if self.event_idx:
            self._back_avail[2 + self.size] = self.used_in

    def _front_wants(self) -> bool:
        old, new, self._called = self._called, self.used_out, self.used_out
        if self.event_idx:
            event = self._front_avail[2 + self.size]
            return (new - event - 1) & _MASK < (new - old) & _MASK
        return new != old and not self._front_avail[0] & 1

    def _back_wants(self) -> bool:
        old, new, self._kicked = self._kicked, self.avail_out, self.avail_out
        if self.event_idx:
            event = self._back_used16[2 + 4 * self.size]
            return (new - event - 1) & _MASK < (new - old) & _MASK
        return not self._back_used16[0] & 1

    def base_of(self, base: int) -> int:
        """The available index, with what the back-end has not taken left in front of it."""
        return (self.avail_in - ((self.avail_out - base) & _MASK)) & _MASK

    def unfinished(self, base: int) -> bool:
        """Whether the back-end has returned less than it took."""
        return bool((base - self.used_in) & _MASK)

    def heal(self) -> int:
        """Offer what is outstanding in a ring that begins where the front-end's used ring ends."""
        self.used_in = self.avail_out = self.used_out
        base = self.used_in
        for chain in self.outstanding.values():
            self._write_table(chain.ring)
            self._back_avail[2 + self.avail_out % self.size] = chain.head
            self.avail_out = (self.avail_out + 1) & _MASK
        self._back_avail[0], self._back_avail[1] = 0, self.avail_out
        self._back_used16[0], self._back_used16[1] = 0, self.used_in
        self._back_used16[2 + 4 * self.size] = base
        self._kicked = self.avail_out
        self._asked_back = self._call_due = None
        self._ask_back()
        return base
