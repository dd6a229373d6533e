# SPDX-License-Identifier: GPL-2.0-only
"""A driver's stores to what it has exposed of split rings, by the access tracer (section 3.3.1).

A chain is exposed by a store of the available index over its entry, and is the driver's again with
the read of a used entry that has its head.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from pykit.spec import bits
from pykit.spec.used_ring import split_queues

if TYPE_CHECKING:
    from pykit.spec.view import View

NO_VALUES = "the access tracer has no values"
_NO_HEADS = "the driver reads no heads, and had some of its chains back"
#: No chain is longer.
_LONGEST = 1 << 15


@dataclass(frozen=True)
class ExposedQueue:
    """What the tracer saw of a split queue.

    Attributes:
        place: dev, life, vq.
        exposed: how many chains were exposed.
        altered: by store to what the device may use: its row, and what it alters.
        doubt: why the rest is not known; empty if it is.
    """

    place: tuple[int, int, int]
    exposed: int = 0
    altered: tuple[tuple[int, str], ...] = ()
    doubt: str = ""


@dataclass
class _Ring:
    """A split queue as the driver's stores have it.

    ``entries``: slot and head of entries stored and not exposed; ``held``: slots of the outstanding
    chain of a head; ``holder``: the head whose chain holds a slot; ``filled``: the head that
    a slot of the available ring exposed last; ``at``: which slot exposed a head last; ``last``: the
    slot that was stored last.
    """

    flags: dict[int, int] = field(default_factory=dict)
    next: dict[int, int] = field(default_factory=dict)
    entries: deque[tuple[int, int]] = field(default_factory=deque)
    held: dict[int, list[int]] = field(default_factory=dict)
    holder: dict[int, int] = field(default_factory=dict)
    filled: dict[int, int] = field(default_factory=dict)
    at: dict[int, int] = field(default_factory=dict)
    last: int = -1
    index: int | None = None

    def expose(self, index: int) -> int:
        """Move the available index, and return how many chains that exposes."""
        step = 0 if self.index is None else (index - self.index) & 0xFFFF
        self.index = index
        step = min(step, len(self.entries))
        for _ in range(step):
            slot, head = self.entries.popleft()
            self.filled[slot], self.at[head] = head, slot
            self.take(head)
        return step

    def fill(self, slot: int, head: int) -> int | None:
        """Note an entry of the available ring; return the head that it takes from the device.

        An entry is not the device's any more where the next one is due at its place: the ring has
        gone round, and a chain may be outstanding for longer.
        """
        due = slot == self.last + 1 or (slot == 0 and self.last > 0)
        before = self.filled.get(slot)
        if not due and before in self.held and self.at[before] == slot:
            return before
        if slot != self.last or not self.entries:
            self.entries.append((slot, head))
        else:
            self.entries[-1] = slot, head
        self.last = slot
        return None

    def take(self, head: int) -> None:
        """Note which descriptors an exposed chain holds."""
        slots: list[int] = []
        slot: int | None = head
        while slot is not None and slot not in slots and len(slots) < _LONGEST:
            slots.append(slot)
            more = self.flags.get(slot, 0) & bits.NEXT
            slot = self.next.get(slot) if more else None
        self.held[head] = slots
        self.holder.update(dict.fromkeys(slots, head))

    def give_back(self, head: int) -> None:
        """Note that a used entry returns a chain."""
        for slot in self.held.pop(head, ()):
            if self.holder.get(slot) == head:
                del self.holder[slot]


def followed_queues(view: View) -> tuple[ExposedQueue, ...]:
    """Return the split queues without IN_ORDER that the access tracer saw."""
    return view.keep("stores to what is exposed", _followed)


def altered_queues(view: View) -> set[tuple[int, int, int]]:
    """Return the queues of which the driver altered what the device may use: dev, life, vq."""
    return {followed.place for followed in followed_queues(view) if followed.altered}


def _followed(view: View) -> tuple[ExposedQueue, ...]:
    found = []
    for life, name, rows in split_queues(view):
        if life.has(bits.IN_ORDER) is not False:
            continue
        place = life.dev, life.number, int(rows["vq"][0])
        stores = (pl.col("write") == 1) & pl.col("area").is_in(["desc", "avail"])
        loads = (pl.col("write") == 0) & (pl.col("area") == "used")
        heads = loads & (pl.col("field") == "id")
        by_head = not rows.filter(heads).is_empty()
        rows = rows.filter(stores | (heads if by_head else loads & (pl.col("field") == "idx")))
        if rows["value"].null_count():
            found.append(ExposedQueue(place, doubt=NO_VALUES))
        else:
            found.append(_follow(place, name, rows))
    return tuple(found)


def _follow(place: tuple[int, int, int], name: str, rows: pl.DataFrame) -> ExposedQueue:
    ring, exposed, found = _Ring(), 0, []
    named = rows.select("row", "area", "slot", "field", "value")
    last = 0
    for row, area, slot, part, value in named.iter_rows():
        if area == "used" and part == "idx":
            if value == ring.index:
                ring.held.clear()
                ring.holder.clear()
            elif value != last:
                return ExposedQueue(place, doubt=_NO_HEADS)
            last = value
        elif area == "used":
            ring.give_back(value)
        elif area == "avail":
            if part == "ring":
                if (head := ring.fill(slot, value)) is not None:
                    what = f"entry {slot} of the available ring"
                    found.append(
                        (row, f"{name}: {what} is altered while head {head} is outstanding")
                    )
            elif part == "idx":
                if ring.index is None:
                    # What was exposed before is not known.
                    ring.entries.clear()
                exposed += ring.expose(value)
        else:
            if slot in ring.holder:
                head = ring.holder[slot]
                text = f"{name}: descriptor {slot} is altered while head {head} is outstanding"
                found.append((row, text))
            if part == "flags":
                ring.flags[slot] = value
            elif part == "next":
                ring.next[slot] = value
    return ExposedQueue(place, exposed, tuple(found))
