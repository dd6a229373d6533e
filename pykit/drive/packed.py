# SPDX-License-Identifier: GPL-2.0-only
"""A packed virtqueue as its driver (section 2.8)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pykit.drive.chain import Draft, RingDescriptor, UsedEntry
from pykit.drive.ring import STORED, Ring
from pykit.spec.bits import DESC_BYTES, NEXT

AVAIL, USED = 1 << 7, 1 << 15
#: Flags of an event suppression structure (section 2.8.14).
ENABLE, DISABLE, AT_DESCRIPTOR = range(3)
WRAP_BIT = 1 << 15
#: Of the event ``slot``: no list is known for a descriptor that stands out of its turn.
_NO_HEAD, STRAY = 0xFFFF, 0xFFFF


@dataclass
class PackedRing(Ring):
    """Descriptor ring and two event suppression structures.

    Attributes:
        next_slot, wrap: where the next descriptor goes, and the driver's wrap counter.
        used_slot, used_wrap: where the next used descriptor is expected, with the device's counter.
        kicked: slot and wrap counter (bit 15) at the last decision whether to notify.
    """

    next_slot: int = 0
    wrap: bool = True
    used_slot: int = 0
    used_wrap: bool = True
    kicked: int = WRAP_BIT
    _free: int = 0
    _ids: list[int] = field(default_factory=list)
    _new: int = 0

    layout = 1

    def lay_out(self) -> None:
        """Allocate the areas; the device may write its own structure, and what is available."""
        memory, size = self.memory, self.size
        self.desc = memory.allocate(DESC_BYTES * size, 16)
        self.driver = memory.allocate(4, 4)
        self.device = memory.allocate(4, 4)
        memory.store(self.desc, bytes(DESC_BYTES * size))
        memory.store(self.driver, bytes(4))
        memory.store(self.device, bytes(4))
        memory.allow(self.device, 4)
        self.next_slot = self.used_slot = self._new = 0
        self.wrap = self.used_wrap = True
        self.kicked = WRAP_BIT
        self._free, self._ids = size, list(range(size))
        self._record_set_up(WRAP_BIT, WRAP_BIT, self.index + 1)
        self.request_interrupt()

    @property
    def free(self) -> int:
        """How many descriptors are free."""
        return self._free

    @property
    def vring_base(self) -> int:
        """Both positions with their wrap counters: available in the low half."""
        return self.taken_position | self.taken_position << 16

    def _slots(self, count: int) -> tuple[list[int], int]:
        self._free -= count
        slots = [(self.next_slot + i) % self.size for i in range(count)]
        return slots, self._ids.pop(0)

    def _describe(self, buffers: Sequence[RingDescriptor], slots: list[int], head: int) -> Draft:
        last = len(buffers) - 1
        chained = [
            (slots[i], replace(d.having(flags=NEXT) if i < last else d, next=head))
            for i, d in enumerate(buffers)
        ]
        return Draft(chained, head=head)

    def _store_table(self, draft: Draft) -> None:
        # In the table of a packed ring NEXT has no meaning and the id none (section 2.8.7).
        if not draft.linked:
            draft.table = [replace(d.having(without=NEXT), next=0) for d in draft.table]
        self.memory.store(draft.table_at, b"".join(_packed(d, d.flags) for d in draft.table))

    def write(self, draft: Draft) -> None:
        """Write the list, and the flags of its first descriptor last (section 2.8.6)."""
        flags: list[tuple[int, int]] = []
        self._begin = (self.next_slot, self.wrap)
        for pos, (slot, descriptor) in enumerate(draft.slots):
            ready = self.wrap != (pos in draft.unready)
            value = descriptor.flags | (AVAIL if ready else USED)
            if pos in draft.used:
                value |= AVAIL | USED
            flags.append((slot, value))
            self.memory.store(self.desc + DESC_BYTES * slot, _packed(descriptor, None))
            self.memory.allow(self.desc + DESC_BYTES * slot, DESC_BYTES)
            self.next_slot += 1
            if self.next_slot == self.size:
                self.next_slot, self.wrap = 0, not self.wrap
        self._new += len(draft.slots)
        for slot, value in flags if draft.forward else reversed(flags):
            at = self.desc + DESC_BYTES * slot + 14
            self.memory.store(at, struct.pack("<H", value & 0xFFFF))

    def store_used(self, draft: Draft) -> None:
        """Write the descriptor at the position up to which all were taken, its flags last."""
        at = self.desc + DESC_BYTES * self.used_slot
        self.memory.store(at + 8, struct.pack("<I", 0))
        self.memory.store(at + 12, struct.pack("<H", draft.head))
        flags = AVAIL | USED if self.used_wrap else 0
        self.memory.store(at + 14, struct.pack("<H", flags))

    def _stored_used(self, entry: UsedEntry) -> UsedEntry:
        at = self.desc + DESC_BYTES * (entry.position & ~WRAP_BIT)
        _, length, number, _ = STORED.unpack(self.memory.load(at, DESC_BYTES))
        return UsedEntry(number, length, entry.position)

    def _altered(self, draft: Draft) -> int:
        # The ring itself is the device's to write; the table is not.
        return self._altered_in(draft.table_at + DESC_BYTES * i for i in range(len(draft.table)))

    def rewrite(self, draft: Draft) -> None:
        """Write the descriptors again, without their flags."""
        for slot, descriptor in draft.slots:
            self.memory.store(self.desc + DESC_BYTES * slot, _packed(descriptor, None))

    def _more(self, taken: int) -> list[int]:
        count, self._free = self._free, 0
        return [(self.next_slot + taken + i) % self.size for i in range(count)]

    def _link(self, following: int, draft: Draft) -> int:
        return draft.head

    @property
    def position(self) -> int:
        """The slot of the next list, with the wrap counter there."""
        return self.next_slot | (WRAP_BIT if self.wrap else 0)

    def _flags_in_memory(self, descriptor: RingDescriptor, slot: int, table: int) -> int:
        if table:
            return descriptor.flags & 0xFFFF
        begin, wrap = self._begin
        if slot < begin:
            wrap = not wrap
        return (descriptor.flags | (AVAIL if wrap else USED)) & 0xFFFF

    def _release(self, draft: Draft) -> None:
        self._free += len(draft.slots)
        self._ids.append(draft.head)

    @staticmethod
    def _stored_flags(third: int, fourth: int) -> int:
        return fourth

    def kick_needed(self) -> bool:
        """Decide by the device's event suppression structure (section 2.8.14)."""
        event, flags = struct.unpack("<HH", self.memory.load(self.device, 4))
        new, old, count = self.position, self.kicked, self._new
        if flags == AT_DESCRIPTOR and self.features.event_idx:
            needed = self._passed(event, count)
        else:
            needed = flags != DISABLE
        self.recorder.event(
            "kick",
            self.index,
            old=old,
            new=new,
            event=event,
            event_after=event,
            flags=flags,
            flags_after=flags,
            event_idx=int(self.features.event_idx),
            needed=int(needed),
        )
        self.kicked, self._new = new, 0
        return needed

    def _passed(self, event: int, count: int) -> bool:
        """Whether the last ``count`` descriptors contain the one that the device waits for."""
        slot, wrap = event & ~WRAP_BIT, bool(event & WRAP_BIT)
        here = self.next_slot + (0 if wrap == self.wrap else self.size)
        return 0 < here - slot <= count

    @property
    def to_end(self) -> int:
        """Descriptors up to the end of the ring."""
        return self.size - self.next_slot

    @property
    def taken_position(self) -> int:
        """Slot of the next used descriptor, with the device's wrap counter in bit 15."""
        return self.used_slot | (WRAP_BIT if self.used_wrap else 0)

    @property
    def used_position(self) -> int:
        """The same, one further if that descriptor is used."""
        return self.taken_position + (1 if self._is_used(self.used_slot, self.used_wrap) else 0)

    def _is_used(self, slot: int, wrap: bool) -> bool:
        flags = self.memory.load16(self.desc + DESC_BYTES * slot + 14)
        return bool(flags & AVAIL) == bool(flags & USED) == wrap

    def note_stray(self) -> None:
        """Write down the first used descriptor out of its turn, if the next one is not used.

        Up to where the next list goes all are available, unless the device is wrong. What is
        behind that was the driver's again when the list was taken that it belonged to.
        """
        if self._is_used(self.used_slot, self.used_wrap):
            return
        for number in range(self.size):
            slot = (self.used_slot + number) % self.size
            at = self.desc + DESC_BYTES * slot
            address, length, name, flags = STORED.unpack(self.memory.load(at, DESC_BYTES))
            used = bool(flags & AVAIL) == bool(flags & USED)
            if number >= self.size - self.free:
                used &= bool(self.memory.written(at, DESC_BYTES))
            if used:
                place = {"slot": slot, "head": _NO_HEAD, "pos": STRAY}
                found = {"addr": address, "len": length, "id": name, "flags": flags}
                self.recorder.event("slot", self.index, **place, **found)
                return

    def take(self) -> list[UsedEntry]:
        """Take used descriptors in order, at most one ring full."""
        taken: list[UsedEntry] = []
        for _ in range(self.size):
            at = self.desc + DESC_BYTES * self.used_slot
            # The flags are read first: they say whether the rest is the device's.
            if not self._is_used(self.used_slot, self.used_wrap):
                break
            _, length, number, flags = STORED.unpack(self.memory.load(at, 16))
            event, event_flags = struct.unpack("<HH", self.memory.load(self.driver, 4))
            position, slot = self.taken_position, self.used_slot
            draft = self.outstanding.get(number)
            self.recorder.event(
                "used",
                self.index,
                id=number,
                len=length,
                index=position,
                used_idx=position,
                flags=flags,
                event=event,
                event_flags=event_flags,
                accepted=int(draft is not None),
            )
            taken.append(UsedEntry(number, length, position))
            for _ in range(len(draft.slots) if draft else 0):
                self.memory.forbid(self.desc + DESC_BYTES * (slot % self.size), DESC_BYTES)
                slot += 1
            self.used_slot += len(draft.slots) if draft else 1
            if self.used_slot >= self.size:
                self.used_slot, self.used_wrap = self.used_slot - self.size, not self.used_wrap
        return taken

    def request_interrupt(self) -> None:
        """Ask for the interrupt of the next used descriptor (section 2.8.14)."""
        position = self.taken_position
        flags = AT_DESCRIPTOR if self.features.event_idx else ENABLE
        event = position if self.features.event_idx else 0
        self.memory.store(self.driver, struct.pack("<HH", event, flags))
        self.recorder.event(
            "callback",
            self.index,
            avail_flags=flags,
            used_event=event,
            last_used=position,
            used_idx=position,
            event_idx=int(self.features.event_idx),
            enable=1,
            pending=0,
        )


def _packed(descriptor: RingDescriptor, flags: int | None) -> bytes:
    """A descriptor's bytes; without flags those of one that is not available yet are kept off."""
    data = STORED.pack(
        descriptor.address & (1 << 64) - 1,
        descriptor.length & 0xFFFFFFFF,
        descriptor.next & 0xFFFF,
        (flags or 0) & 0xFFFF,
    )
    return data if flags is not None else data[:14]
