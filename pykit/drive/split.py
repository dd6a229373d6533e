# SPDX-License-Identifier: GPL-2.0-only
"""A split virtqueue as its driver (section 2.7)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pykit.drive.chain import Draft, RingDescriptor, UsedEntry
from pykit.drive.ring import STORED, Ring
from pykit.spec.bits import DESC_BYTES, NEXT

_USED = struct.Struct("<II")
_NO_NOTIFY = 1
WRAP = 1 << 16
#: What a legacy device's used ring is aligned to (section 2.7.2).
_PAGE = 4096


@dataclass
class SplitRing(Ring):
    """Descriptor table, available ring and used ring.

    Attributes:
        avail_idx: the available index in memory.
        last_used: the used index up to which entries were taken.
        kicked: the available index at the last decision whether to notify.
        decoy_event: how far used_event is off without EVENT_IDX, where no device reads it.
        decoy_flag: the available ring's flags with EVENT_IDX, which no device reads then.
    """

    avail_idx: int = 0
    last_used: int = 0
    kicked: int = 0
    decoy_event: int = 0
    decoy_flag: int = 0
    _unused: list[int] = field(default_factory=list)

    layout = 0

    def lay_out(self) -> None:
        """Allocate the areas; the device may write the used ring."""
        memory, size = self.memory, self.room
        if self.features.legacy:
            driver = DESC_BYTES * size
            device = -(-(driver + 6 + 2 * size) // _PAGE) * _PAGE
            self.desc = memory.allocate(device + 6 + 8 * size, _PAGE)
            self.driver, self.device = self.desc + driver, self.desc + device
        else:
            self.desc = memory.allocate(DESC_BYTES * size, 16)
            self.driver = memory.allocate(6 + 2 * size, 2)
            self.device = memory.allocate(6 + 8 * size, 4)
        memory.store(self.desc, bytes(DESC_BYTES * size))
        memory.store(self.driver, bytes(6 + 2 * size))
        memory.store(self.device, bytes(6 + 8 * size))
        for area in (self.driver, self.device):
            memory.store(area + 2, struct.pack("<H", self.start))
        memory.allow(self.device, self.device_bytes)
        self._unused = list(range(self.size))
        self.avail_idx = self.last_used = self.kicked = self.start
        self._record_set_up(self.start, self.start, self.index + 1)
        self.request_interrupt()

    @property
    def room(self) -> int:
        """How many slots there is room for in each area."""
        return self.size

    @property
    def device_bytes(self) -> int:
        """Length of the used ring with avail_event."""
        return 6 + 8 * self.size

    @property
    def free(self) -> int:
        """How many descriptors are free."""
        return len(self._unused)

    @property
    def vring_base(self) -> int:
        """The available index from which the device goes on."""
        return self.last_used

    def _slots(self, count: int) -> tuple[list[int], int]:
        taken, self._unused = self._unused[:count], self._unused[count:]
        return taken, taken[0]

    def _describe(self, buffers: Sequence[RingDescriptor], slots: list[int], head: int) -> Draft:
        chained = []
        for i, descriptor in enumerate(buffers):
            if i + 1 < len(buffers):
                address, length, flags = descriptor.address, descriptor.length, descriptor.flags
                descriptor = RingDescriptor(address, length, flags | NEXT, slots[i + 1])
            chained.append((slots[i], descriptor))
        return Draft(chained, head=head, chained=True)

    def _store_table(self, draft: Draft) -> None:
        if draft.backward:
            draft.table = [
                replace(d, next=draft.place(i + 1)) if d.flags & NEXT else d
                for i, d in enumerate(draft.table)
            ]
        for position, descriptor in enumerate(draft.table):
            at = draft.table_at + DESC_BYTES * draft.place(position)
            self.memory.store(at, _packed(descriptor))

    def write(self, draft: Draft) -> None:
        """Write descriptors, then the entry, then the index (section 2.7.13)."""
        for slot, descriptor in draft.slots:
            if slot < self.size:
                self.memory.store(self.desc + DESC_BYTES * slot, _packed(descriptor))
        for number in range(1 + draft.again):
            entry = self.driver + 4 + 2 * ((self.avail_idx + number) % self.size)
            self.memory.store(entry, struct.pack("<H", draft.head & 0xFFFF))
        self.avail_idx = (self.avail_idx + draft.step) % WRAP
        self.memory.store(self.driver + 2, struct.pack("<H", self.avail_idx))

    def store_used(self, draft: Draft) -> None:
        """Write the entry, then the index."""
        at = self.device + 4 + 8 * (self.used_idx % self.size)
        self.memory.store(at, _USED.pack(draft.head, 0))
        self.memory.store(self.device + 2, struct.pack("<H", (self.used_idx + 1) % WRAP))

    def _stored_used(self, entry: UsedEntry) -> UsedEntry:
        at = self.device + 4 + 8 * (entry.position % self.size)
        number, length = _USED.unpack(self.memory.load(at, 8))
        return UsedEntry(number, length, entry.position)

    def _altered(self, draft: Draft) -> int:
        slots = (self.desc + DESC_BYTES * slot for slot, _ in draft.slots)
        table = (draft.table_at + DESC_BYTES * i for i in range(len(draft.table)))
        return self._altered_in((*slots, *table))

    def rewrite(self, draft: Draft) -> None:
        """Write the descriptors again."""
        for slot, descriptor in draft.slots:
            self.memory.store(self.desc + DESC_BYTES * slot, _packed(descriptor))

    def _more(self, taken: int) -> list[int]:
        slots, self._unused = self._unused, []
        return slots

    def _link(self, following: int, draft: Draft) -> int:
        return following

    @property
    def position(self) -> int:
        """The available index."""
        return self.avail_idx

    def _release(self, draft: Draft) -> None:
        self._unused += [slot for slot, _ in draft.slots if slot < self.size]

    @staticmethod
    def _stored_flags(third: int, fourth: int) -> int:
        return third

    def kick_needed(self) -> bool:
        """Decide by avail_event, or by the flags of the used ring (section 2.7.10)."""
        new, old = self.avail_idx, self.kicked
        flags = self.memory.load16(self.device)
        event = 0
        if self.features.event_idx:
            event = self.memory.load16(self.device + 4 + 8 * self.size)
            needed = (new - event - 1) % WRAP < (new - old) % WRAP
        else:
            needed = not flags & _NO_NOTIFY
        shown = event if self.features.event_idx else flags
        self.recorder.event(
            "kick",
            self.index,
            old=old,
            new=new,
            event=shown,
            event_after=shown,
            flags=flags,
            flags_after=flags,
            event_idx=int(self.features.event_idx),
            needed=int(needed),
        )
        self.kicked = new
        return needed

    @property
    def to_end(self) -> int:
        """Entries of the available ring up to its end."""
        return self.size - self.avail_idx % self.size

    @property
    def used_position(self) -> int:
        """The used index in memory."""
        return self.used_idx

    @property
    def taken_position(self) -> int:
        """The used index up to which entries were taken."""
        return self.last_used

    @property
    def used_idx(self) -> int:
        """The used index in memory."""
        return self.memory.load16(self.device + 2)

    def take(self) -> list[UsedEntry]:
        """Take used entries up to the used index, at most one ring full."""
        used_idx = self.used_idx
        count = min((used_idx - self.last_used) % WRAP, self.size)
        return [self._take_next(used_idx) for _ in range(count)]

    def overtake(self) -> None:
        """Take an entry that is not there yet, for whatever it says."""
        self._take_next(self.used_idx, accepted=True)

    def _take_next(self, used_idx: int, *, accepted: bool = False) -> UsedEntry:
        at = self.device + 4 + 8 * (self.last_used % self.size)
        number, length = _USED.unpack(self.memory.load(at, 8))
        entry = UsedEntry(number, length, self.last_used)
        self.recorder.event(
            "used",
            self.index,
            id=number,
            len=length,
            index=self.last_used,
            used_idx=used_idx,
            accepted=int(accepted or number in self.outstanding),
        )
        self.last_used = (self.last_used + 1) % WRAP
        return entry

    def request_interrupt(self) -> None:
        """Set used_event to the next entry; the flags never suppress (section 2.7.7)."""
        event_idx = self.features.event_idx
        event = self.last_used if event_idx else 0
        if self.decoy_event:
            event = (self.last_used + self.decoy_event) % WRAP
        if event_idx or self.decoy_event:
            self.memory.store(self.driver + 4 + 2 * self.size, struct.pack("<H", event))
        if self.decoy_flag:
            self.memory.store(self.driver, struct.pack("<H", self.decoy_flag))
        self.recorder.event(
            "callback",
            self.index,
            avail_flags=self.decoy_flag,
            used_event=event,
            last_used=self.last_used,
            used_idx=self.used_idx,
            event_idx=int(event_idx),
            enable=1,
            pending=int(self.used_idx != self.last_used),
        )


def _packed(descriptor: RingDescriptor) -> bytes:
    return STORED.pack(
        descriptor.address & (1 << 64) - 1,
        descriptor.length & 0xFFFFFFFF,
        descriptor.flags & 0xFFFF,
        descriptor.next & 0xFFFF,
    )
