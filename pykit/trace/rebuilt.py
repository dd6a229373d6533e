# SPDX-License-Identifier: GPL-2.0-only
"""A driver's events, made from what the access tracer saw of any guest.

Each store and load of the guest to its rings is there in program order, and what the rings held
at the accesses that count: a chain with its tables at the store that makes it available, a used
entry at the load that shows it. So the events are those that code in the guest would have traced,
without any. What no access shows is not made: whether an interrupt came, what the driver meant.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import polars as pl

from pykit.trace.access import AREAS, FIELDS, Accesses, AccessStep, GivenRing, Record
from pykit.trace.align import LOG_STEP_NS
from pykit.trace.kinds import BASE, SET_UP, Dtype, columns_of
from pykit.trace.requests import BlockRequests

#: Kinds that are made of every ring.
ALWAYS = ("queue", "add", "desc", "used")
#: Kinds that need a notification's queue, and those that need a driver without EVENT_IDX: with it
#: a store to used_event does not show whether interrupts were meant to be off.
NOTIFIED, WISHES = ("kick", "notify"), ("callback",)
_WRAP = 1 << 16
_WRITE, _INDIRECT = 2, 4
_NO_INTERRUPT = 1
_DESC_BYTES = 16
_USED, _AVAIL = AREAS.index("used"), AREAS.index("avail")
_FLAGS, _IDX, _ID, _LEN, _EVENT = map(FIELDS.index, ("flags", "idx", "id", "len", "event"))

#: Most of what columns of these types hold.
_LIMITS: dict[Dtype, int] = {
    pl.UInt8: (1 << 8) - 1, pl.UInt16: (1 << 16) - 1, pl.UInt32: (1 << 32) - 1
}  # fmt: skip

Event = dict[str, Any]


@dataclass(frozen=True)
class Rebuilt:
    """Rows of the events in program order, and the kinds that could be made of all queues."""

    rows: pl.DataFrame
    kinds: frozenset[str]


@dataclass
class _Queue:
    """One virtqueue from its set-up on. Indices run modulo 2^16."""

    dev: int
    life: int
    vq: int
    desc: int
    used: int
    size: int
    #: None where QEMU's answer does not have it.
    event_idx: bool | None
    #: Whether the driver loads ids of used entries: else it takes entries by their number.
    loads_ids: bool
    avail_idx: int = 0
    #: The next used entry to be taken, and the device's index as the driver loaded it last.
    taken: int = 0
    shown: int = 0
    avail_flags: int = 0
    used_event: int = 0
    #: The available index at the last decision to notify.
    kicked: int = 0
    free: int = 0
    #: Descriptors of the ring by head, of chains that are out.
    out: dict[int, int] = field(default_factory=dict)
    #: Used entries that came, by index: id, len, last byte (see RECORD_USED in plugin/access.h).
    entries: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    #: The entry that was taken last, while a store to used_event may belong to that.
    using: Event | None = None
    #: Decisions by CPU after which it has not notified yet.
    deciding: dict[int, Event] = field(default_factory=dict)


def driver_events(
    accesses: Accesses, disks: frozenset[int], logged: pl.DataFrame | None = None
) -> Rebuilt:
    """Return the events of all split queues.

    A decision to notify after which the trace does not show what came is left out.

    Args:
        accesses: what was seen.
        disks: the numbers of block devices.
        logged: rows of QEMU's log of registers, which alone shows notifications by a port.
    """
    maker = _Maker(accesses, disks, _by_log(logged))
    rows = maker.run()
    kinds_of_rows = dict.fromkeys(str(event["kind"]) for event in rows)
    schema: dict[str, Dtype] = {
        "source": pl.String,
        "kind": pl.String,
        **BASE,
        **columns_of(kinds_of_rows, {}),
    }
    kinds = (*ALWAYS, *NOTIFIED * maker.notified, *WISHES * maker.wishes, *maker.requests.kinds)
    return Rebuilt(_fitted(rows, schema).drop("row", "time"), frozenset(kinds))


def _fitted(rows: list[Event], schema: dict[str, Dtype]) -> pl.DataFrame:
    """Make the table; what a guest drives beyond a column's range becomes its nearest end.

    Counts go there where a driver uses a descriptor twice, or a table lies below the ring's.
    """
    narrow = [name for name, dtype in schema.items() if dtype in _LIMITS]
    table = pl.DataFrame(rows, schema={**schema, **dict.fromkeys(narrow, pl.Int64)})
    return table.with_columns(
        pl.col(name).clip(0, _LIMITS[schema[name]]).cast(schema[name]) for name in narrow
    )


class _Notification(NamedTuple):
    ts: int
    dev: int
    life: int
    vq: int


def _by_log(logged: pl.DataFrame | None) -> dict[int, list[_Notification]]:
    """By device that notifies by a register whose value is the queue: its notifications.

    Of a device whose notifications QEMU does not log the list is empty.
    """
    found: dict[int, list[_Notification]] = {}
    if logged is None or "structure" not in logged.columns:
        return found
    mine = logged.filter(
        pl.col("source") == "registers",
        pl.col("structure").is_in(("legacy", "mmio", "mmio-legacy")),
        pl.col("write") == 1,
    ).drop_nulls(("dev", "life", "ts"))
    for ts, dev, life, vq, register in mine.select("ts", "dev", "life", "vq", "register").rows():
        known = found.setdefault(dev, [])
        if register == "queue_notify" and vq is not None:
            known.append(_Notification(ts + LOG_STEP_NS - 1, dev, life, vq))
    return found


class _Maker:
    """Goes through the records once."""

    def __init__(
        self, accesses: Accesses, disks: frozenset[int], logged: dict[int, list[_Notification]]
    ) -> None:
        self._accesses = accesses
        self._loading = {
            (step.dev, step.life, step.vq)
            for step in accesses.steps
            if step.area == _USED and step.field == _ID and not step.write
        }
        self._of_table: dict[int, _Queue] = {}
        #: The queue whose chain's descriptors come now, its event, and its table's address.
        self._adding: _Queue | None = None
        self._add_event: Event = {}
        self._add_step: AccessStep | None = None
        self._table = 0
        #: The first bytes that it sends, and the descriptors of its buffers: addr, len, flags.
        self._header: tuple[int, int] | None = None
        self._buffers: list[tuple[int, int, int]] = []
        self._of_name: dict[tuple[int, int, int], _Queue] = {}
        self._events: list[Event] = []
        self._seq: dict[tuple[int, int, int], int] = {}
        #: By CPU, the times of its last access and of the one before.
        self._last: dict[int, int] = {}
        self._before: dict[int, int] = {}
        self.notified = self.wishes = True
        self._disks, self.requests = disks, BlockRequests()
        self._logged = logged
        self._due = deque(sorted(one for device in logged.values() for one in device))

    def run(self) -> list[Event]:
        """Return the events in order."""
        for step in self._accesses.steps:
            if step.kind not in (Record.DESC, Record.HEADER):
                self._added()
            if step.kind in (Record.RING, Record.REGISTER):
                # The store that makes a chain available stands in front of the chain.
                self._before[step.cpu] = self._last.get(step.cpu, 0)
                self._last[step.cpu] = step.ts
            while self._due and 0 < self._due[0].ts < step.ts:
                self._notify_by_log(self._due.popleft(), step)
            if step.kind == Record.RINGS:
                self._answer(self._rings(step))
            elif step.kind == Record.QUEUE:
                self._set_up(step)
            elif step.kind == Record.CHAIN:
                self._add(step)
            elif step.kind == Record.DESC:
                self._desc(step)
            elif step.kind == Record.HEADER:
                self._header = (step.first, step.second)
            elif step.kind == Record.USED:
                self._entry(step)
            elif step.kind == Record.REGISTER:
                self._notify(step)
            elif step.kind == Record.RING:
                self._ring(step)
        self._added()
        events = [event for event in self._events if event.get("needed", 0) is not None]
        queues = Counter((e["dev"], e["life"]) for e in events if e["kind"] == "queue")
        for event in events:
            if event["kind"] == "queue":
                event["num_queues"] = queues[event["dev"], event["life"]]
            name = (event["dev"], event["life"], event["vq"])
            event["seq"] = self._seq[name] = self._seq.get(name, 0) + 1
        return events

    def _put(self, queue: _Queue, step: AccessStep, kind: str, **fields: int | None) -> Event:
        event: Event = {
            "ts": step.ts, "source": "access", "kind": kind, "cpu": step.cpu,
            "dev": queue.dev, "life": queue.life, "vq": queue.vq, "seq": 0, **fields,
        }  # fmt: skip
        self._events.append(event)
        return event

    def _rings(self, step: AccessStep) -> dict[int, GivenRing]:
        """By descriptor table: the queues as QEMU has them from a step on."""
        found = self._accesses.rings[step.answer : step.answer + 1]
        return {ring.desc: ring for rings in found for ring in rings}

    def _answer(self, rings: dict[int, GivenRing]) -> None:
        for table in [table for table in self._of_table if table not in rings]:
            queue = self._of_table.pop(table)
            for event in queue.deciding.values():
                # The queue is gone, and the device was not notified.
                event["needed"] = 0

    def _set_up(self, step: AccessStep) -> None:
        ring = self._rings(step).get(step.address)
        if ring is None or ring.packed:
            return
        flags, _, used_flags, used_idx = (step.value >> 16 * n & 0xFFFF for n in range(4))
        place = (ring.dev, ring.life, ring.vq)
        queue = _Queue(
            *place, ring.desc, ring.used, ring.size, ring.event_idx, place in self._loading,
            avail_flags=flags, used_event=step.first, free=ring.size,
        )  # fmt: skip
        self.wishes &= ring.event_idx is False
        self.notified &= ring.event_idx is not None and self._logged.get(ring.dev) != []
        self._of_table[step.address] = self._of_name[place] = queue
        # A device begins at 0; what the ring holds already is made available behind this.
        self._put(
            queue, step, "queue", desc=ring.desc, avail=ring.avail, used=ring.used, size=ring.size,
            avail_flags=flags, avail_idx=0, used_flags=used_flags, used_idx=used_idx, layout=0,
            op=SET_UP,
        )  # fmt: skip

    def _add(self, step: AccessStep) -> None:
        queue = self._adding = self._of_table.get(step.address)
        if queue is None:
            return
        self._settle(queue, step.cpu)
        head, queue.avail_idx = step.value & 0xFFFF, step.value >> 16 & 0xFFFF
        queue.free += queue.out.pop(head, 0)
        queue.out[head] = 0
        queue.using = None
        self._header, self._buffers, self._add_step = None, [], step
        self._add_event = self._put(
            queue, step, "add", before=self._before.get(step.cpu, 0), readable=0, writable=0,
            chain=0, num_free=queue.free, head=head, avail_idx=queue.avail_idx, slots=0, indirect=0,
        )  # fmt: skip

    def _desc(self, step: AccessStep) -> None:
        queue, add = self._adding, self._add_event
        if queue is None:
            return
        head, pos = step.value & 0xFFFF, step.value >> 16 & 0xFFFF
        addr, length = step.first, step.second & 0xFFFFFFFF
        flags, follows = step.second >> 32 & 0xFFFF, step.second >> 48
        end = queue.desc + queue.size * _DESC_BYTES
        table = 0 if not add["indirect"] and queue.desc <= step.address < end else 1
        start = self._table if table else queue.desc
        slot = (step.address - start) // _DESC_BYTES
        self._put(
            queue, step, "desc", addr=addr, len=length, head=head, slot=slot, flags=flags,
            next=follows, pos=pos, table=table,
        )  # fmt: skip
        if not table:
            add["slots"] += 1
            add["num_free"] -= 1
            queue.free -= 1
            queue.out[head] += 1
        if flags & _INDIRECT and not table:
            add["indirect"], self._table = 1, addr
            return
        self._buffers.append((addr, length, flags))
        add["chain"] += 1
        add["writable" if flags & _WRITE else "readable"] += length

    def _added(self) -> None:
        """Put the request of the chain whose descriptors have all come."""
        queue, step, self._adding = self._adding, self._add_step, None
        if queue is None or step is None or queue.dev not in self._disks:
            return
        head = self._add_event["head"]
        name = (queue.dev, queue.life, queue.vq, head)
        found = self.requests.start(name, self._header, self._buffers)
        if found is not None:
            self._put(queue, step, "blk_start", head=head, **found)

    def _entry(self, step: AccessStep) -> None:
        if (queue := self._of_used(step.address)) is not None:
            entry = (step.value & 0xFFFFFFFF, step.value >> 32, step.second)
            queue.entries[step.first & 0xFFFF] = entry
            # This stands right behind the load that shows the entry.
            if not queue.loads_ids and step.first & 0xFFFF == queue.taken:
                self._take(queue, step, entry[0])

    def _of_used(self, address: int) -> _Queue | None:
        for queue in self._of_table.values():
            if 0 <= address - queue.used < 4 + 8 * queue.size:
                return queue
        return None

    def _ring(self, step: AccessStep) -> None:
        queue = self._of_name.get((step.dev, step.life, step.vq))
        if queue is None or not step.known:
            return
        if step.write and step.area == _AVAIL and step.field == _FLAGS:
            self._wish(queue, step)
        elif step.write and step.area == _AVAIL and step.field == _EVENT:
            queue.used_event = step.value & 0xFFFF
            if queue.using is not None and queue.used_event == queue.taken:
                queue.using["event"] = queue.used_event
            queue.using = None
        elif not step.write and step.area == _USED:
            self._load(queue, step)

    def _wish(self, queue: _Queue, step: AccessStep) -> None:
        queue.avail_flags = step.value & 0xFFFF
        queue.using = None
        if queue.event_idx is False:
            self._put(
                queue, step, "callback", avail_flags=queue.avail_flags,
                used_event=queue.used_event, last_used=queue.taken, used_idx=queue.shown,
                event_idx=0, enable=int(not queue.avail_flags & _NO_INTERRUPT),
                pending=int(queue.shown != queue.taken),
            )  # fmt: skip

    def _load(self, queue: _Queue, step: AccessStep) -> None:
        if step.field == (_EVENT if queue.event_idx else _FLAGS):
            self._decide(queue, step)
        elif step.field == _IDX:
            queue.shown, queue.using = step.value & 0xFFFF, None
        elif step.field == _ID and step.slot == queue.taken % queue.size:
            self._take(queue, step, step.value & 0xFFFFFFFF)
        elif (
            step.field == _LEN
            and queue.using is not None
            and step.slot == (queue.taken - 1) % queue.size
        ):
            queue.using["len"] = step.value & 0xFFFFFFFF

    def _take(self, queue: _Queue, step: AccessStep, head: int) -> None:
        _, length, last = queue.entries.pop(queue.taken, (head, None, 0))
        queue.free += queue.out.pop(head, 0)
        queue.using = self._put(
            queue, step, "used", id=head, len=length, index=queue.taken, used_idx=queue.shown,
            flags=0, event=queue.used_event, event_flags=queue.avail_flags, accepted=1,
        )  # fmt: skip
        queue.taken = (queue.taken + 1) % _WRAP
        done = self.requests.end((queue.dev, queue.life, queue.vq, head), last)
        if done is not None:
            self._put(queue, step, "blk_done", head=head, len=length, **done)

    def _decide(self, queue: _Queue, step: AccessStep) -> None:
        if queue.event_idx is None:
            return
        self._settle(queue, step.cpu)
        word = step.value & 0xFFFF
        queue.deciding[step.cpu] = self._put(
            queue, step, "kick", old=queue.kicked, new=queue.avail_idx, event=word,
            event_after=word, flags=0 if queue.event_idx else word,
            flags_after=0 if queue.event_idx else word, event_idx=int(queue.event_idx),
            needed=None,
        )  # fmt: skip
        queue.kicked = queue.avail_idx

    def _settle(self, queue: _Queue, cpu: int) -> None:
        """Take a decision for one not to notify: its CPU goes on to the next chain."""
        if (event := queue.deciding.pop(cpu, None)) is not None:
            event["needed"] = 0

    def _notify_by_log(self, logged: _Notification, step: AccessStep) -> None:
        """Put a notification. The log does not name its CPU: one that has decided, if any."""
        queue = self._of_name.get(logged[1:])
        if queue is not None:
            cpu = next(iter(queue.deciding), step.cpu)
            self._notified(queue, step._replace(ts=logged.ts, cpu=cpu))

    def _notify(self, step: AccessStep) -> None:
        if not step.notifies or self._logged.get(step.dev):
            return
        queue = self._of_name.get((step.dev, step.life, step.vq))
        if queue is None:
            # MMIO before QEMU 9.2: the queue's number is the value, which is not known.
            self.notified &= step.vq >= 0
            return
        self._notified(queue, step)

    def _notified(self, queue: _Queue, step: AccessStep) -> None:
        if (event := queue.deciding.pop(step.cpu, None)) is not None:
            event["needed"] = 1
        queue.using = None
        self._put(queue, step, "notify")
