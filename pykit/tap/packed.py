# SPDX-License-Identifier: GPL-2.0-only
"""A packed virtqueue with its shadow (section 2.8)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pykit.spec.bits import DESC_BYTES, INDIRECT, NEXT, WRITE
from pykit.tap.chain import STORED, Element, TappedChain, in_order
from pykit.tap.ring import Areas, TappedRing
from pykit.tap.shadow import ShadowMemory

_AVAIL, _USED = 1 << 7, 1 << 15
_LENGTH = struct.Struct("<I")
_WRAP_BIT = 1 << 15
#: Flags of an event suppression structure (section 2.8.14).
_ENABLE, _DISABLE, _AT_DESCRIPTOR = range(3)
#: Both positions of a ring that was never used.
FRESH = _WRAP_BIT << 16 | _WRAP_BIT


@dataclass
class Place:
    """A place in a ring of ``size`` descriptors, with its wrap counter."""

    slot: int
    wrap: bool
    size: int

    @classmethod
    def of(cls, word: int, size: int) -> Place:
        """Read a position as messages and event structures have it."""
        return cls(word & ~_WRAP_BIT & 0xFFFF, bool(word & _WRAP_BIT), size)

    @property
    def word(self) -> int:
        """Slot, with the wrap counter in bit 15."""
        return self.slot | (_WRAP_BIT if self.wrap else 0)

    def advance(self, count: int) -> None:
        """Go on by so many descriptors, less than the ring has; negative: go back."""
        self.slot += count
        if not 0 <= self.slot < self.size:
            self.slot, self.wrap = self.slot % self.size, not self.wrap

    def since(self, other: Place) -> int:
        """How many descriptors it is behind another place that it has passed."""
        return self.slot - other.slot + (self.size if self.wrap != other.wrap else 0)

    def passed(self, event: int, count: int) -> bool:
        """Whether the last ``count`` descriptors contain the one that an event word names."""
        here = self.slot + (0 if bool(event & _WRAP_BIT) == self.wrap else self.size)
        return 0 < here - (event & ~_WRAP_BIT) <= count


def _halves(base: int, size: int) -> tuple[Place, Place]:
    """Available and used place of a base; some front-ends send the first alone."""
    return Place.of(base & 0xFFFF, size), Place.of(base >> 16 or base & 0xFFFF, size)


def lay_out(index: int, size: int) -> Areas:
    """Return the user addresses of the shadow ring's areas."""
    end = DESC_BYTES * size
    return ShadowMemory.user(index, 0), ShadowMemory.user(index, end + 4), ShadowMemory.user(
        index, end
    )  # fmt: skip


def prepare(shadow: ShadowMemory, index: int, size: int, base: int | None) -> None:
    """Write a ring in which no descriptor is new: not available, and not used, from a base on."""
    avail, used = _halves(FRESH if base is None else base, size)
    ring = shadow.area(index, 0, DESC_BYTES * size).cast("H")
    for slot in range(size):
        # Both bits are those of the lap before, until this lap comes there.
        lap = avail.wrap if slot < avail.slot else not avail.wrap
        ring[8 * slot + 7] = (_AVAIL | _USED) if lap else 0
    while used.word != avail.word:
        ring[8 * used.slot + 7] = _AVAIL if used.wrap else _USED
        used.advance(1)
    events = shadow.area(index, DESC_BYTES * size, 8).cast("H")
    for at in range(4):
        events[at] = 0


class PackedTap(TappedRing):
    """Descriptor ring and two event suppression structures, twice."""

    layout = 1
    _fresh_base = FRESH

    def _map(self, shadow: ShadowMemory) -> None:
        desc, device, driver = self.shape.areas
        size, memory = self.size, self.memory
        self._front = memory.at_user(desc, DESC_BYTES * size)
        self._front16 = self._front.cast("H")
        self._front_device = memory.at_user(device, 4).cast("H")
        self._front_driver = memory.at_user(driver, 4).cast("H")
        self._back = shadow.area(self.index, 0, DESC_BYTES * size)
        self._back16 = self._back.cast("H")
        self._back_driver = shadow.area(self.index, DESC_BYTES * size, 4).cast("H")
        self._back_device = shadow.area(self.index, DESC_BYTES * size + 4, 4).cast("H")

    def _begin(self) -> None:
        self.avail_in, self.used_out = _halves(self.shape.base, self.size)
        self.avail_out, self.used_in = _halves(self.shape.base, self.size)
        self._new = self._old = 0

    def _positions(self) -> tuple[int, int]:
        return self.avail_out.word, self.used_out.word

    def _front_positions(self) -> tuple[int, int]:
        return self.avail_in.word, self.used_out.word

    def _asked_for(self, position: int) -> tuple[int, int]:
        return (position, _AT_DESCRIPTOR) if self.event_idx else (0, _ENABLE)

    def _offer(self) -> int:
        before, found, slots = self._looked, 0, 0
        while slots < self.size:
            here = self.avail_in
            if not _available(self._front16[8 * here.slot + 7], here.wrap):
                break
            chain, ready = self._read()
            slots += chain.slots
            self._took(chain)
            step = self._spoilt(chain)
            self._write(step.elements, step.heads[0], ready)
            self._note_chain(chain, step.elements, step.heads[0], self.avail_out.word, before)
            found += 1
        self._looked_now()
        return found

    def _read(self) -> tuple[TappedChain, list[bool]]:
        """Read the list at the available place; say of each element whether it is available."""
        ring: list[Element] = []
        inner: list[Element] = []
        ready: list[bool] = []
        here = self.avail_in
        while len(ring) < self.size:
            address, length, number, flags = STORED.unpack_from(self._front, DESC_BYTES * here.slot)
            ring.append(Element(here.slot, address, length, flags, number))
            ready.append(_available(flags, here.wrap))
            if flags & INDIRECT:
                inner = in_order(self.memory, address, length)
            here.advance(1)
            if not flags & NEXT:
                break
        return TappedChain(ring[-1].next, ring, inner, len(ring)), ready

    def _write(self, elements: list[Element], number: int, ready: list[bool]) -> None:
        """Write a list into the shadow ring, the flags of its first descriptor last."""
        flags: list[tuple[int, int]] = []
        for element, available in zip(elements, ready, strict=True):
            here = self.avail_out
            value = element.flags & ~(_AVAIL | _USED)
            value |= _AVAIL if here.wrap == available else _USED
            at = DESC_BYTES * here.slot
            self._back[at : at + 14] = STORED.pack(
                element.address, element.length, element.next, 0
            )[:14]  # fmt: skip
            flags.append((here.slot, value))
            here.advance(1)
        self._back16[8 * flags[-1][0] + 6] = number
        for slot, value in reversed(flags):
            self._back16[8 * slot + 7] = value
        self._new += len(flags)

    def _collect(self) -> int:
        count = 0
        while count < self.size:
            here = self.used_in
            at = DESC_BYTES * here.slot
            flags = self._back16[8 * here.slot + 7]
            if not bool(flags & _AVAIL) == bool(flags & _USED) == here.wrap:
                break
            (length,) = _LENGTH.unpack_from(self._back, at + 8)
            number = self._back16[8 * here.slot + 6]
            given = self._given(number, length)
            chain = self._returned(number)
            slots = chain.slots if chain else 1
            here.advance(slots)
            for entry in given:
                self._give(*entry, flags & WRITE, chain if entry[0] == number else None, slots)
            count += 1
        return count

    def _give(
        self, number: int, length: int, write: int, chain: TappedChain | None, slots: int
    ) -> None:
        """Write a used descriptor into the front-end's ring, its flags last."""
        here = self.used_out
        at = DESC_BYTES * here.slot
        flags = write | (_AVAIL | _USED if here.wrap else 0)
        self._note_used(number, length, here.word, here.word, flags, chain)
        self._front[at + 8 : at + 12] = _LENGTH.pack(length)
        self._front16[8 * here.slot + 6] = number
        self._front16[8 * here.slot + 7] = flags
        here.advance(slots)
        self._old += slots

    def _ask_front(self) -> None:
        self._front_device[0], self._front_device[1] = self._asked_for(self.avail_in.word)

    def _ask_back(self) -> None:
        self._back_driver[0], self._back_driver[1] = self._asked_for(self.used_in.word)

    def _front_wants(self) -> bool:
        count, self._old = self._old, 0
        return self._wanted(self._front_driver, self.used_out, count)

    def _back_wants(self) -> bool:
        count, self._new = self._new, 0
        return self._wanted(self._back_device, self.avail_out, count)

    def _wanted(self, events: memoryview, here: Place, count: int) -> bool:
        event, flags = events[0], events[1]
        if flags == _AT_DESCRIPTOR and self.event_idx:
            return here.passed(event, count)
        return bool(count) and flags != _DISABLE

    def base_of(self, base: int) -> int:
        """Both positions, or the available one alone where the back-end gave no more."""
        untaken = self.avail_out.since(Place.of(base & 0xFFFF, self.size))
        place = Place.of(self.avail_in.word, self.size)
        place.advance(-untaken)
        return place.word | (self.used_out.word << 16 if base >> 16 else 0)

    def unfinished(self, base: int) -> bool:
        """Whether the back-end has returned less than it took."""
        return Place.of(base & 0xFFFF, self.size).word != self.used_in.word

    def heal(self) -> int:
        """Offer what is outstanding in a new ring."""
        self.avail_out, self.used_in = _halves(FRESH, self.size)
        for at in (0, 1):
            self._back_device[at] = 0
        for slot in range(self.size):
            self._back16[8 * slot + 7] = 0
        for chain in self.outstanding.values():
            self._write(chain.ring, chain.head, [True] * len(chain.ring))
        self._asked_back = self._call_due = None
        self._ask_back()
        self._new = 0
        return FRESH


def _available(flags: int, wrap: bool) -> bool:
    return bool(flags & _AVAIL) == wrap and bool(flags & _USED) != wrap
