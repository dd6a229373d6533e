# SPDX-License-Identifier: GPL-2.0-only
"""A driver's events, made from what the access tracer saw of any guest.

Each store and load of the guest to its rings is there in program order, and what the rings held
at the accesses that count: a chain with its tables at the store that makes it available, a used
entry at the load that shows it. So the events are those that code in the guest would have traced,
without any. What no access shows is not made: whether an interrupt came, what the driver meant.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from pykit.trace.access import AREAS, FIELDS, Accesses, AccessStep, GivenRing, Record
from pykit.trace.align import LOG_STEP_NS
from pykit.trace.followed import Event, FollowedPackedQueue, FollowedQueue, Meaning, TakenEntry
from pykit.trace.kinds import BASE, SET_UP, Dtype, columns_of
from pykit.trace.requests import HEADER_BYTES, BlockRequests

#: Kinds that are made of every ring.
ALWAYS = ("queue", "add", "desc", "slot", "used")
#: Kinds that need a notification's queue, and those that need stores which show whether interrupts
#: were meant to be off.
NOTIFIED, WISHES = ("kick", "notify"), ("callback",)
_WRITE, _INDIRECT = 2, 4
_DESC_BYTES = 16
#: Where the ids of used entries are.
_RETURNED = [AREAS.index(name) for name in ("desc", "used")]
_ID = FIELDS.index("id")

#: Most of what columns of these types hold.
_LIMITS: dict[Dtype, int] = {
    pl.UInt8: (1 << 8) - 1, pl.UInt16: (1 << 16) - 1, pl.UInt32: (1 << 32) - 1
}  # fmt: skip


@dataclass(frozen=True)
class Rebuilt:
    """Rows of the events in program order, and the kinds that could be made of all queues."""

    rows: pl.DataFrame
    kinds: frozenset[str]


def driver_events(
    accesses: Accesses, disks: frozenset[int], logged: pl.DataFrame | None = None
) -> Rebuilt:
    """Return the events of all queues.

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
            if step.area in _RETURNED and step.field == _ID and not step.write
        }
        self._of_table: dict[int, FollowedQueue] = {}
        #: The queue whose chain's descriptors come now, its event, its table's address, and what
        #: is put before and after that event.
        self._adding: FollowedQueue | None = None
        self._add_event: Event = {}
        self._add_step: AccessStep | None = None
        self._table = 0
        self._slots: list[Event] = []
        self._descs: list[Event] = []
        #: The first bytes that it sends and how many they are, and the descriptors of its buffers:
        #: addr, len, flags.
        self._header: tuple[int, int, int] | None = None
        self._buffers: list[tuple[int, int, int]] = []
        self._of_name: dict[tuple[int, int, int], FollowedQueue] = {}
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
                # Records of before have no size, and all of the bytes.
                self._header = (step.first, step.second, step.size or HEADER_BYTES)
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

    def _put(
        self, queue: FollowedQueue, step: AccessStep, kind: str, **fields: int | None
    ) -> Event:
        event = _event(queue, step, kind, fields)
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
        if ring is None:
            return
        place = (ring.dev, ring.life, ring.vq)
        kind = FollowedPackedQueue if ring.packed else FollowedQueue
        queue = kind(ring, place in self._loading)
        words = queue.set_up(step)
        self.wishes &= queue.shows_wishes
        self.notified &= ring.event_idx is not None and self._logged.get(ring.dev) != []
        self._of_table[step.address] = self._of_name[place] = queue
        self._put(
            queue, step, "queue", desc=ring.desc, avail=ring.avail, used=ring.used, size=ring.size,
            layout=queue.layout, op=SET_UP, **words,
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
        self._slots, self._descs = [], []
        fields = {
            "before": self._before.get(step.cpu, 0), "readable": 0, "writable": 0, "chain": 0,
            "num_free": queue.free, "head": head, "avail_idx": queue.avail_idx, "slots": 0,
            "indirect": 0,
        }  # fmt: skip
        self._add_event = _event(queue, step, "add", fields)

    def _desc(self, step: AccessStep) -> None:
        queue, add = self._adding, self._add_event
        if queue is None:
            return
        head, pos = step.value & 0xFFFF, step.value >> 16 & 0xFFFF
        found = queue.descriptor(step)
        table = 0 if queue.is_of_ring(step.address, bool(add["indirect"])) else 1
        slot = (step.address - (self._table if table else queue.ring.desc)) // _DESC_BYTES
        fields = {
            "addr": found.addr, "len": found.len, "head": head, "slot": slot, "flags": found.flags,
            "pos": pos,
        }  # fmt: skip
        self._descs.append(
            _event(queue, step, "desc", {**fields, "next": found.last, "table": table})
        )
        if not table:
            if queue.ring.packed:
                self._slots.append(_event(queue, step, "slot", {**fields, "id": found.last}))
            add["slots"] += 1
            add["num_free"] -= 1
            queue.free -= 1
            queue.out[head] = queue.out.get(head, 0) + 1
        if found.flags & _INDIRECT and not table:
            add["indirect"], self._table = 1, found.addr
            return
        self._buffers.append((found.addr, found.len, found.flags))
        add["chain"] += 1
        add["writable" if found.flags & _WRITE else "readable"] += found.len

    def _added(self) -> None:
        """Put the chain whose descriptors have all come, and its request."""
        queue, step, self._adding = self._adding, self._add_step, None
        if queue is None or step is None:
            return
        self._events += [*self._slots, self._add_event, *self._descs]
        head, header = self._add_event["head"], self._header
        if queue.ring.dev not in self._disks:
            if header is not None:
                first, second, got = header
                self._put(
                    queue, step, "opening", head=head, first=first, second=second, third=0, got=got
                )
            return
        name = (queue.ring.dev, queue.ring.life, queue.ring.vq, head)
        whole = header[:2] if header is not None and header[2] == HEADER_BYTES else None
        found = self.requests.start(name, whole, self._buffers)
        if found is not None:
            self._put(queue, step, "blk_start", head=head, **found)

    def _entry(self, step: AccessStep) -> None:
        queue = next((q for q in self._of_table.values() if q.holds_entry(step.address)), None)
        if queue is not None:
            entry = queue.entries[step.first & 0xFFFF] = queue.entry(step)
            # This stands right behind the load that shows the entry.
            if not queue.loads_ids and step.first & 0xFFFF == queue.taken:
                self._take(queue, step, entry.id)

    def _ring(self, step: AccessStep) -> None:
        queue = self._of_name.get((step.dev, step.life, step.vq))
        if queue is None or not step.known:
            return
        match queue.meaning(step):
            case Meaning.WISH:
                queue.wish(step)
                self._wish(queue, step)
            case Meaning.EVENT if queue.event(step):
                self._wish(queue, step)
            case Meaning.EVENT:
                queue.using = None
            case Meaning.DECIDE:
                self._decide(queue, step)
            case Meaning.EVENT_OF_DEVICE:
                queue.event_of_device(step, queue.deciding.get(step.cpu, {}))
            case Meaning.LOOK:
                queue.looked(step)
                queue.using = None
            case Meaning.TAKE:
                self._take(queue, step, queue.id_of(step))
            case Meaning.LENGTH:
                if queue.using is not None:
                    queue.using["len"] = step.value & 0xFFFFFFFF

    def _wish(self, queue: FollowedQueue, step: AccessStep) -> None:
        queue.using = None
        if queue.shows_wishes:
            self._put(
                queue, step, "callback", avail_flags=queue.avail_flags,
                used_event=queue.used_event, last_used=queue.taken, used_idx=queue.used_idx,
                event_idx=int(bool(queue.ring.event_idx)), enable=int(queue.enabled),
                pending=int(queue.used_idx != queue.taken),
            )  # fmt: skip

    def _take(self, queue: FollowedQueue, step: AccessStep, head: int) -> None:
        entry = queue.entries.pop(queue.taken, TakenEntry(head, None, 0, 0))
        slots = queue.out.pop(head, 0)
        queue.free += slots
        queue.using = self._put(
            queue, step, "used", id=head, len=entry.len, index=queue.taken,
            used_idx=queue.taken if queue.ring.packed else queue.shown, flags=entry.flags,
            event=queue.used_event, event_flags=queue.avail_flags,
            # Behind a packed entry of an id that is not out, the next one may stand anywhere.
            accepted=int(slots > 0 or not queue.ring.packed),
        )  # fmt: skip
        queue.took(slots)
        name = (queue.ring.dev, queue.ring.life, queue.ring.vq, head)
        done = self.requests.end(name, entry.byte)
        if done is not None:
            self._put(queue, step, "blk_done", head=head, len=entry.len, **done)

    def _decide(self, queue: FollowedQueue, step: AccessStep) -> None:
        if queue.ring.event_idx is None:
            return
        self._settle(queue, step.cpu)
        queue.deciding[step.cpu] = self._put(
            queue, step, "kick", old=queue.kicked, new=queue.avail_idx,
            **queue.decision(step), event_idx=int(queue.ring.event_idx), needed=None,
        )  # fmt: skip
        queue.kicked = queue.avail_idx

    def _settle(self, queue: FollowedQueue, cpu: int) -> None:
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

    def _notified(self, queue: FollowedQueue, step: AccessStep) -> None:
        if (event := queue.deciding.pop(step.cpu, None)) is not None:
            event["needed"] = 1
        queue.using = None
        self._put(queue, step, "notify")


def _event(
    queue: FollowedQueue, step: AccessStep, kind: str, fields: Mapping[str, int | None]
) -> Event:
    """Return an event of a queue at the time of an access."""
    return {
        "ts": step.ts, "source": "access", "kind": kind, "cpu": step.cpu, "dev": queue.ring.dev,
        "life": queue.ring.life, "vq": queue.ring.vq, "seq": 0, **fields,
    }  # fmt: skip
