# SPDX-License-Identifier: GPL-2.0-only
"""What stood in the memory of a ring whose guest hung, beyond what the driver had taken of it.

QEMU reads it for the kit, also where another process serves the device. It is neither side's own
word.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pykit.spec.arrays import WRAP, Ints
from pykit.spec.asked_packed import used_is_there
from pykit.spec.packed import AVAIL_BIT, USED_BIT, entries, ids, is_packed, lists, one_by_one
from pykit.spec.rings import SPLIT
from pykit.trace.capture import RING_MEMORY

if TYPE_CHECKING:
    from pykit.spec.view import View


def left_in_ring(view: View, q: int) -> int | None:
    """Return how many used entries stood there that the driver had not taken.

    None where the memory was not read, or does not say.
    """
    rings, used = view.rings, view.used
    if not rings.whole[q]:
        return None
    for answer in memory_at_hang(view, q):
        index = answer.get("used-index")
        if index is not None and rings.layout[q] == SPLIT:
            taken = int(np.count_nonzero(used.fresh & (used.q == q)))
            ahead = (int(index) - int(rings.used[q]) - taken) % WRAP
            return ahead if ahead < WRAP // 2 else None
        if "flags" in answer and (ring := _packed(view, q, answer)):
            return ring.filled()
        if rings.layout[q] != SPLIT and used_is_there(answer):
            return 1
    return None


@dataclass(frozen=True)
class StraySlot:
    """A descriptor that is used where no list begins whose turn it is.

    Attributes:
        q: the queue.
        row: of the event that made the first list that waits available.
        slot, id: the descriptor's place and its buffer id.
    """

    q: int
    row: int
    slot: int
    id: int


def stray_slots(view: View) -> Iterator[StraySlot]:
    """Yield the first such descriptor of each packed ring whose next list is not back."""
    for q in range(len(view.rings.queue)):
        for answer in memory_at_hang(view, q):
            ring = _packed(view, q, answer) if "flags" in answer else None
            if ring and not ring.filled() and (slot := ring.stray()) is not None:
                yield StraySlot(q, int(ring.rows[0]), slot, int(ring.ids[slot]))


def memory_at_hang(view: View, q: int) -> Iterator[dict[str, Any]]:
    """Yield what was read of a queue's memory where its guest hung (see AskedQueue)."""
    dev, _, vq = view.rings.queue[q]
    for answer in view.events.capture.qmp:
        mine = view.events.devices.get(answer.device) == dev and answer.queue == vq
        if mine and answer.query == RING_MEMORY and answer.at == "hang":
            yield answer.answer


@dataclass(frozen=True)
class _PackedRing:
    """A packed ring in memory.

    Attributes:
        flags, ids: of each descriptor.
        start, end: places from the next used descriptor up to behind the last list.
        slots: descriptors of each list that waits, by its buffer id.
        rows: events of these lists.
    """

    flags: list[int]
    ids: list[int]
    start: int
    end: int
    slots: dict[int, int]
    rows: Ints

    def _is_used(self, place: int) -> bool:
        size = len(self.flags)
        flags, wrap = self.flags[place % size], 1 - place // size % 2
        return flags >> AVAIL_BIT & 1 == flags >> USED_BIT & 1 == wrap

    def filled(self) -> int:
        """Count the used descriptors one behind the other; the last may have a wrong id."""
        count, place = 0, self.start
        while place < self.end and self._is_used(place):
            count += 1
            slots = self.slots.get(self.ids[place % len(self.ids)])
            if slots is None:
                break
            place += slots
        return count

    def stray(self) -> int | None:
        """Return the first slot that is used, by either wrap counter."""
        size = len(self.flags)
        for place in range(self.start, self.end):
            flags = self.flags[place % size]
            if flags >> AVAIL_BIT & 1 == flags >> USED_BIT & 1:
                return place % size
        return None


def _packed(view: View, q: int, answer: dict[str, Any]) -> _PackedRing | None:
    """Return a ring's memory with the lists that wait in it; None where none does."""
    number = np.array([q])
    size = int(view.rings.size[q])
    if not is_packed(view, number)[0] or not one_by_one(view, number)[0]:
        return None
    if len(answer["flags"]) != size or len(answer["ids"]) != size:
        return None
    found, taken = lists(view), entries(view)
    mine = np.flatnonzero(found.q == q)
    back = taken.list[(taken.q == q) & (taken.list >= 0) & taken.accepted]
    waits = np.setdiff1d(mine, back)
    if not len(waits):
        return None
    start = int(found.base[q] + found.slots[back].sum())
    slots = dict(zip(ids(view)[waits].tolist(), found.slots[waits].tolist(), strict=True))
    end = int(found.end[mine].max())
    return _PackedRing(answer["flags"], answer["ids"], start, end, slots, found.row[waits])
