# SPDX-License-Identifier: GPL-2.0-only
"""What both layouts of a virtqueue have in common."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from pykit.drive.chain import Buffer, Draft, RingDescriptor, UsedEntry
from pykit.drive.memory import SharedMemory
from pykit.drive.record import Recorder
from pykit.errors import UsageError
from pykit.spec.bits import DESC_BYTES, INDIRECT, NEXT, WRITE

#: A descriptor in memory: address, length, and two fields that the layouts have in another order.
STORED = struct.Struct("<QIHH")


@dataclass(frozen=True)
class RingFeatures:
    """What was negotiated about virtqueues; ``legacy`` ones have one address (section 2.7.2)."""

    indirect: bool = False
    event_idx: bool = False
    legacy: bool = False


@dataclass
class Ring(ABC):
    """The driver's side of one virtqueue.

    Attributes:
        index: number of the queue.
        size: descriptors that it has.
        desc, driver, device: addresses of its three areas (section 2.6).
        outstanding: drafts that the device has not returned, by head or buffer id.
        lenient: whether buffers that came back may still be written.
        returned: used entries since the last chain was exposed, with the head of the chain that
            each returned, and how many of its descriptors the device had altered.
        start: the index that both sides begin with (split rings).
        neighbour: another queue of the device.
        asked: the size that the device is given; 0 for that of the queue.
    """

    memory: SharedMemory
    recorder: Recorder
    index: int
    size: int
    features: RingFeatures
    desc: int = 0
    driver: int = 0
    device: int = 0
    outstanding: dict[int, Draft] = field(default_factory=dict)
    lenient: bool = False
    returned: list[tuple[UsedEntry, int, int]] = field(default_factory=list)
    start: int = 0
    neighbour: Ring | None = None
    asked: int = 0

    #: As the column ``layout`` of the event ``queue``.
    layout = 0

    @abstractmethod
    def lay_out(self) -> None:
        """Allocate and clear the areas, and let the device write what is its own."""

    @abstractmethod
    def _slots(self, count: int) -> tuple[list[int], int]:
        """Take free slots; return them and the head or buffer id."""

    @abstractmethod
    def _describe(self, buffers: Sequence[RingDescriptor], slots: list[int], head: int) -> Draft:
        """Draft a chain of descriptors in these slots."""

    @abstractmethod
    def write(self, draft: Draft) -> None:
        """Write a draft into memory and make it available."""

    @abstractmethod
    def store_used(self, draft: Draft) -> None:
        """Write a used entry in the device's place, with a length of 0."""

    @abstractmethod
    def kick_needed(self) -> bool:
        """Decide by the device's suppression whether what is new needs a notification."""

    @abstractmethod
    def take(self) -> list[UsedEntry]:
        """Take all used entries."""

    @abstractmethod
    def request_interrupt(self) -> None:
        """Ask for an interrupt at the next used buffer."""

    @property
    @abstractmethod
    def free(self) -> int:
        """How many descriptors are free."""

    @property
    @abstractmethod
    def vring_base(self) -> int:
        """The position from which a device goes on, as vhost-user's SET_VRING_BASE has it."""

    @property
    @abstractmethod
    def to_end(self) -> int:
        """How many entries are left up to the end of the ring that the driver writes."""

    @property
    @abstractmethod
    def used_position(self) -> int:
        """The device's used position, as the event ``interrupt`` has it."""

    @property
    @abstractmethod
    def taken_position(self) -> int:
        """The position up to which used entries were taken, in the same form."""

    def draft(self, buffers: Sequence[Buffer], indirect: bool = False, ahead: int = 0) -> Draft:
        """Draft a chain for a request, with its descriptors in the ring or in a table.

        Args:
            buffers: of the request, in order.
            indirect: use a table.
            ahead: how many buffers stand in the ring before the table (split rings).

        Raises:
            UsageError: the queue has no room, or the request has no buffers.
        """
        if not buffers:
            raise UsageError("a request needs at least one buffer")
        needed = ahead + 1 if indirect else len(buffers)
        if needed > self.free:
            raise UsageError(f"queue {self.index} has {self.free} free descriptors, not {needed}")
        slots, head = self._slots(needed)
        if indirect:
            inner = buffers[ahead:]
            at = self.memory.allocate(DESC_BYTES * len(inner))
            outer = RingDescriptor(at, DESC_BYTES * len(inner), INDIRECT)
            draft = self._describe((*map(_plain, buffers[:ahead]), outer), slots, head)
            draft.table, draft.table_at = self._table(inner), at
        else:
            draft = self._describe([_plain(buffer) for buffer in buffers], slots, head)
        draft.buffers = tuple(buffers)
        draft.writable = sum(b.length for b in buffers if b.write)
        draft.readable = sum(b.length for b in buffers if not b.write)
        return draft

    def _table(self, buffers: Sequence[Buffer]) -> list[RingDescriptor]:
        """The descriptors of an indirect table (section 2.7.5.3)."""
        last = len(buffers) - 1
        return [
            RingDescriptor(
                buffer.address,
                buffer.length,
                (WRITE if buffer.write else 0) | (NEXT if i < last else 0),
                i + 1 if i < last else 0,
            )
            for i, buffer in enumerate(buffers)
        ]

    def expose(self, draft: Draft, before: int | None = None) -> None:
        """Make a draft available, let the device write its buffers, and write it down.

        ``before`` is when the driver began with it, if that was not just now.
        """
        self.look_again()
        for descriptor in draft.granted():
            self.memory.allow(descriptor.address, descriptor.length)
        if draft.table:
            self._store_table(draft)
        self.outstanding[draft.head] = draft
        before = before or self.recorder.now()
        self.write(draft)
        self._record(draft, before)

    def lengthen(self, draft: Draft) -> None:
        """Let a chain go through all free descriptors, and on to its first one again."""
        at = len(draft.slots)
        filling = draft.slots[at // 2][1]
        draft.slots += [(slot, filling) for slot in self._more(at)]
        for position, (slot, descriptor) in enumerate(draft.slots):
            following = draft.slots[(position + 1) % len(draft.slots)][0]
            linked = replace(descriptor, next=self._link(following, draft))
            draft.slots[position] = (slot, linked.having(flags=NEXT))

    @abstractmethod
    def _more(self, taken: int) -> list[int]:
        """Take all free slots behind so many that were taken for a draft."""

    @abstractmethod
    def _link(self, following: int, draft: Draft) -> int:
        """The last field of a descriptor that leads to a slot."""

    @abstractmethod
    def rewrite(self, draft: Draft) -> None:
        """Write the descriptors of a draft again that was made available, and no index or flag."""

    def grant_stale(self) -> None:
        """Let the device write what any descriptor names that stands in the descriptor area.

        Buffers that come back stay the device's from here on: a malformed ring may offer them
        again.
        """
        self.lenient = True
        area = self.memory.load(self.desc, DESC_BYTES * self.size)
        for at in range(0, len(area), DESC_BYTES):
            self._grant_stale(*STORED.unpack_from(area, at))

    def _grant_stale(self, address: int, length: int, third: int, fourth: int) -> None:
        flags = self._stored_flags(third, fourth)
        if flags & INDIRECT:
            inside = self.memory.covers(address, length)
            table = self.memory.load(address, length - length % DESC_BYTES) if inside else b""
            for at in range(0, len(table), DESC_BYTES):
                where, many, *_ = STORED.unpack_from(table, at)
                self.memory.allow(where, many)
        elif flags & WRITE:
            self.memory.allow(address, length)

    @staticmethod
    @abstractmethod
    def _stored_flags(third: int, fourth: int) -> int:
        """Which of a descriptor's last two fields has its flags."""

    def look_again(self) -> None:
        """Write down used entries as they stand now, which no device may have altered since."""
        for entry, head, changed in self.returned:
            now = self._stored_used(entry)
            self.recorder.event(
                "returned",
                self.index,
                id=now.id,
                len=now.length,
                index=entry.position,
                head=head & 0xFFFF,
                changed=changed,
            )
        self.returned = []

    @abstractmethod
    def _stored_used(self, entry: UsedEntry) -> UsedEntry:
        """The used entry as it stands in memory."""

    @abstractmethod
    def _altered(self, draft: Draft) -> int:
        """How many descriptors of a chain the device has altered, and may not."""

    def _altered_in(self, places: Iterable[int]) -> int:
        """How many of the descriptors at these addresses the device has altered."""
        inside = (at for at in places if self.memory.covers(at, DESC_BYTES))
        return sum(bool(self.memory.written(at, DESC_BYTES)) for at in inside)

    def settle(self, entry: UsedEntry) -> Draft | None:
        """Take a chain back; None if no such chain is outstanding."""
        draft = self.outstanding.pop(entry.id, None)
        if draft is not None:
            self.returned.append((entry, draft.head, self._altered(draft)))
            for descriptor in () if self.lenient else draft.granted():
                self.memory.forbid(descriptor.address, descriptor.length)
            self._release(draft)
        return draft

    @abstractmethod
    def _release(self, draft: Draft) -> None:
        """Make the slots of a draft free again."""

    @abstractmethod
    def _store_table(self, draft: Draft) -> None:
        """Write the indirect table of a draft."""

    @property
    @abstractmethod
    def position(self) -> int:
        """Where the driver goes on, as the event ``add`` has it, and data of notifications."""

    def _record(self, draft: Draft, before: int) -> None:
        self.recorder.event(
            "add",
            self.index,
            before=before,
            readable=draft.readable,
            writable=draft.writable,
            chain=len(draft.elements),
            num_free=self.free,
            head=draft.head & 0xFFFF,
            avail_idx=self.position,
            slots=len(draft.slots),
            differs=draft.differs(),
            indirect=int(draft.indirect),
        )
        for pos, (slot, descriptor) in enumerate(draft.slots):
            self._record_descriptor(draft, descriptor, slot, pos, table=0)
        for pos, descriptor in enumerate(draft.table):
            self._record_descriptor(draft, descriptor, draft.place(pos), pos, table=1)

    def _record_descriptor(
        self, draft: Draft, descriptor: RingDescriptor, slot: int, pos: int, table: int
    ) -> None:
        self.recorder.event(
            "desc",
            self.index,
            addr=descriptor.address & (1 << 64) - 1,
            len=descriptor.length & 0xFFFFFFFF,
            head=draft.head & 0xFFFF,
            slot=slot & 0xFFFF,
            flags=self._flags_in_memory(descriptor, slot, table),
            next=descriptor.next & 0xFFFF,
            pos=pos,
            table=table,
        )

    def _flags_in_memory(self, descriptor: RingDescriptor, slot: int, table: int) -> int:
        return descriptor.flags & 0xFFFF

    def _record_set_up(self, avail_idx: int, used_idx: int, queues: int) -> None:
        self.recorder.event(
            "queue",
            self.index,
            desc=self.desc,
            avail=self.driver,
            used=self.device,
            size=self.size,
            num_queues=queues,
            avail_flags=0,
            avail_idx=avail_idx,
            used_flags=0,
            used_idx=used_idx,
            layout=self.layout,
            op=0,
        )


def _plain(buffer: Buffer) -> RingDescriptor:
    return RingDescriptor(buffer.address, buffer.length, WRITE if buffer.write else 0)
