# SPDX-License-Identifier: GPL-2.0-only
"""A virtqueue as the access tracer's records show it: split (section 2.7) or packed (2.8).

It says what a record of a descriptor or of a used entry holds, and what an access to the ring
means. Positions are indices modulo 2^16 in a split ring, and a slot with its wrap counter in bit 15
in a packed one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, NamedTuple

from pykit.trace.access import AREAS, FIELDS, AccessStep, GivenRing

_WRAP16, _WRAP = 1 << 16, 1 << 15
_DESC_BYTES = 16
_DESC, _AVAIL, _USED = map(AREAS.index, ("desc", "avail", "used"))
_FLAGS, _IDX, _ID, _LEN, _EVENT = map(FIELDS.index, ("flags", "idx", "id", "len", "event"))
_WORD = 0xFFFF
#: Bytes from the start of a packed ring's event suppression structure to its flags.
_AT_OFFSET, _AT_FLAGS = 0, 2
#: Interrupts are off: flags of a split available ring, and of a driver's event suppression.
_NO_INTERRUPT, _DISABLE = 1, 1
#: An interrupt is wanted of one descriptor.
_AT_DESC = 2

Event = dict[str, Any]


class Meaning(Enum):
    """What a driver does by an access to its ring."""

    NOTHING = auto()
    #: It wrote whether interrupts are wanted, or of which entry.
    WISH = auto()
    EVENT = auto()
    #: It looks whether the device wants a notification, or of which entry.
    DECIDE = auto()
    EVENT_OF_DEVICE = auto()
    #: It looks how far the device is, at the next used entry's id, at the length of the last.
    LOOK = auto()
    TAKE = auto()
    LENGTH = auto()


class FoundDescriptor(NamedTuple):
    """What a record of a descriptor holds; ``last`` is its next field, or its buffer id."""

    addr: int
    len: int
    flags: int
    last: int


class TakenEntry(NamedTuple):
    """A used entry; ``byte``: see RECORD_USED in plugin/access.h."""

    id: int
    len: int | None
    flags: int
    byte: int


@dataclass
class FollowedQueue:
    """One split virtqueue from its set-up on."""

    ring: GivenRing
    #: Whether the driver loads ids of used entries: else it takes entries by their number.
    loads_ids: bool
    avail_flags: int = 0
    used_event: int = 0
    avail_idx: int = 0
    #: The next used entry to be taken, and the device's index as the driver loaded it last.
    taken: int = 0
    shown: int = 0
    #: The available index at the last decision to notify.
    kicked: int = 0
    free: int = 0
    #: Descriptors of the ring by head, of chains that are out.
    out: dict[int, int] = field(default_factory=dict)
    #: Used entries that came, by index.
    entries: dict[int, TakenEntry] = field(default_factory=dict)
    #: The entry that was taken last, while a store to used_event may belong to that.
    using: Event | None = None
    #: Decisions by CPU after which it has not notified yet.
    deciding: dict[int, Event] = field(default_factory=dict)

    layout = 0

    @property
    def shows_wishes(self) -> bool:
        """Whether each store that turns interrupts on or off shows that: not one to used_event."""
        return self.ring.event_idx is False

    @property
    def enabled(self) -> bool:
        """Whether interrupts are on, by what the driver wrote last."""
        return not self.avail_flags & _NO_INTERRUPT

    @property
    def used_idx(self) -> int:
        """How far the driver has seen the device to be."""
        return self.shown

    def set_up(self, step: AccessStep) -> Event:
        """Take the ring's words at its set-up, and return the event's fields."""
        flags, _, used_flags, used_idx = _words(step.value)
        self.avail_flags, self.used_event, self.free = flags, step.first, self.ring.size
        # A device begins at 0; what the ring holds already is made available behind this.
        return {
            "avail_flags": flags, "avail_idx": 0, "used_flags": used_flags, "used_idx": used_idx,
        }  # fmt: skip

    def is_of_ring(self, address: int, table: bool) -> bool:
        """Whether a descriptor at an address is one of the ring; ``table``: a table came before."""
        return not table and 0 <= address - self.ring.desc < self.ring.size * _DESC_BYTES

    def descriptor(self, step: AccessStep) -> FoundDescriptor:
        """Return a record's descriptor."""
        length, flags, last = _half(step.second)
        return FoundDescriptor(step.first, length, flags, last)

    def entry(self, step: AccessStep) -> TakenEntry:
        """Return a record's used entry."""
        return TakenEntry(step.value & 0xFFFFFFFF, step.value >> 32, 0, step.second)

    def holds_entry(self, address: int) -> bool:
        """Whether a used entry at an address is one of this queue."""
        return 0 <= address - self.ring.used < 4 + 8 * self.ring.size

    def meaning(self, step: AccessStep) -> Meaning:
        """Return what the driver does by an access to this queue."""
        if step.write:
            if step.area != _AVAIL:
                return Meaning.NOTHING
            meanings = {_FLAGS: Meaning.WISH, _EVENT: Meaning.EVENT}
            return meanings.get(step.field, Meaning.NOTHING)
        if step.area != _USED:
            return Meaning.NOTHING
        if step.field == (_EVENT if self.ring.event_idx else _FLAGS):
            return Meaning.DECIDE
        if step.field == _IDX:
            return Meaning.LOOK
        return self._of_entry(step, self.taken % self.ring.size, (self.taken - 1) % self.ring.size)

    def _of_entry(self, step: AccessStep, slot: int, last: int) -> Meaning:
        if step.field == _ID and step.slot == slot:
            return Meaning.TAKE
        if step.field == _LEN and step.slot == last:
            return Meaning.LENGTH
        return Meaning.NOTHING

    def wish(self, step: AccessStep) -> None:
        """Take what the driver wrote of its interrupts."""
        self.avail_flags = step.value & _WORD

    def event(self, step: AccessStep) -> bool:
        """Take of which used entry the driver wants an interrupt; whether it is a wish by itself.

        It is none where the driver only moves it behind the entry that it has just taken.
        """
        self.used_event = step.value & _WORD
        if self.using is not None and self.used_event == self.taken:
            self.using["event"] = self.used_event
        return False

    def decision(self, step: AccessStep) -> Event:
        """Return what the device wants, as the driver loaded it."""
        word = step.value & _WORD
        flags = 0 if self.ring.event_idx else word
        return {"event": word, "event_after": word, "flags": flags, "flags_after": flags}

    def event_of_device(self, step: AccessStep, decision: Event) -> None:
        """Put into a decision of which entry the device wants a notification."""

    def looked(self, step: AccessStep) -> None:
        """Take how far the driver sees that the device is."""
        self.shown = step.value & _WORD

    def id_of(self, step: AccessStep) -> int:
        """Return the id that the driver loaded."""
        return step.value & 0xFFFFFFFF

    def took(self, slots: int) -> None:
        """Go on behind a used entry that returned a chain of so many descriptors."""
        del slots
        self.taken = (self.taken + 1) % _WRAP16


@dataclass
class FollowedPackedQueue(FollowedQueue):
    """One packed virtqueue from its set-up on.

    ``avail_flags`` and ``used_event`` are flags and position of the driver's event suppression.
    """

    #: The position in the device's event suppression, as the driver loaded it last.
    wanted: int = 0
    #: Where the entry stood that was taken last.
    last: int = -1
    #: The entry whose taking seemed to move the driver's position, and the position before.
    moved: tuple[Event, int] | None = None

    layout = 1
    shows_wishes = True

    @property
    def enabled(self) -> bool:
        """Whether interrupts are on, by what the driver wrote last."""
        return self.avail_flags != _DISABLE

    @property
    def used_idx(self) -> int:
        """How far the driver has seen the device to be: one ahead, if an entry is there."""
        return self.taken + (self.taken in self.entries)

    def set_up(self, step: AccessStep) -> Event:
        """Take the words of both event suppressions, and return the event's fields."""
        event, flags, device_event, device_flags = _words(step.value)
        self.avail_flags, self.used_event, self.free = flags, event, self.ring.size
        self.avail_idx = self.taken = self.kicked = _WRAP
        return {
            "avail_flags": flags, "avail_idx": event,
            "used_flags": device_flags, "used_idx": device_event,
        }  # fmt: skip

    def is_of_ring(self, address: int, table: bool) -> bool:
        """Whether a descriptor at an address is one of the ring."""
        return super().is_of_ring(address, False)

    def descriptor(self, step: AccessStep) -> FoundDescriptor:
        """Return a record's descriptor."""
        length, last, flags = _half(step.second)
        return FoundDescriptor(step.first, length, flags, last)

    def entry(self, step: AccessStep) -> TakenEntry:
        """Return a record's used descriptor."""
        length, number, flags = _half(step.value)
        return TakenEntry(number, length, flags, step.second)

    def holds_entry(self, address: int) -> bool:
        """Whether a used descriptor at an address is one of this queue."""
        return super().is_of_ring(address, False)

    def meaning(self, step: AccessStep) -> Meaning:
        """Return what the driver does by an access to this queue."""
        if step.write and step.area == _AVAIL:
            flags = _covers(step, self.ring.avail + _AT_FLAGS)
            return Meaning.WISH if flags else Meaning.EVENT
        if step.write:
            return Meaning.NOTHING
        if step.area == _USED:
            flags = _covers(step, self.ring.used + _AT_FLAGS)
            return Meaning.DECIDE if flags else Meaning.EVENT_OF_DEVICE
        if step.field == _FLAGS and step.slot == self.taken & ~_WRAP:
            return Meaning.LOOK
        return self._of_entry(step, self.taken & ~_WRAP, self.last)

    def wish(self, step: AccessStep) -> None:
        """Take what the driver wrote of its interrupts."""
        # A position that flags follow was not moved behind the entry that was taken.
        if self.moved is not None:
            taken, self.moved = self.moved, None
            taken[0]["event"] = taken[1]
        self.avail_flags = _word(step, self.ring.avail + _AT_FLAGS, self.avail_flags)
        self.used_event = _word(step, self.ring.avail + _AT_OFFSET, self.used_event)

    def event(self, step: AccessStep) -> bool:
        """Take of which used descriptor the driver wants an interrupt; whether it is a wish."""
        self.used_event = _word(step, self.ring.avail + _AT_OFFSET, self.used_event)
        if self.using is None or self.avail_flags != _AT_DESC:
            return True
        self.moved = self.using, self.using["event"]
        self.using["event"] = self.used_event
        return False

    def decision(self, step: AccessStep) -> Event:
        """Return what the device wants, as the driver loaded it."""
        flags = _word(step, self.ring.used + _AT_FLAGS, 0)
        self.wanted = _word(step, self.ring.used + _AT_OFFSET, self.wanted)
        return {
            "event": self.wanted, "event_after": self.wanted, "flags": flags, "flags_after": flags,
        }  # fmt: skip

    def event_of_device(self, step: AccessStep, decision: Event) -> None:
        """Put into a decision of which descriptor the device wants a notification."""
        self.wanted = _word(step, self.ring.used + _AT_OFFSET, self.wanted)
        decision["event"] = decision["event_after"] = self.wanted

    def looked(self, step: AccessStep) -> None:
        """Take nothing: the flags of a descriptor say whether it is used."""
        del step
        self.moved = None

    def id_of(self, step: AccessStep) -> int:
        """Return the id that the driver loaded."""
        return step.value & _WORD

    def took(self, slots: int) -> None:
        """Go on behind a used descriptor that returned a list of so many."""
        self.last = self.taken & ~_WRAP
        slot, wrap = self.last + slots, self.taken & _WRAP
        if slot >= self.ring.size:
            slot, wrap = slot - self.ring.size, wrap ^ _WRAP
        self.taken = slot | wrap


def _words(value: int) -> tuple[int, ...]:
    """Return four words of 16 bits, the lowest first."""
    return tuple(value >> 16 * n & _WORD for n in range(4))


def _half(value: int) -> tuple[int, int, int]:
    """Return the upper half of a descriptor: its length, and its last two words."""
    return value & 0xFFFFFFFF, value >> 32 & _WORD, value >> 48


def _covers(step: AccessStep, address: int) -> bool:
    return step.address <= address and address + 2 <= step.address + step.size


def _word(step: AccessStep, address: int, otherwise: int) -> int:
    """Return the word at an address, which an access covers; else ``otherwise``."""
    if not _covers(step, address):
        return otherwise
    return step.value >> 8 * (address - step.address) & _WORD
