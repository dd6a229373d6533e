# SPDX-License-Identifier: GPL-2.0-only
"""A guest's driver and a host's device that conform to the specification, at random.

Both work on real rings: the driver cannot reuse what it did not get back, the device cannot
use what it was not given, and neither notifies unless it is requested. Tasks and the device take
turns in an order that the seed decides. Their actions are written to a Log as tracepoints and
QEMU would have.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any

from pykit.spec import bits
from pykit.spec import blkconfig as cfg
from pykit.spec.blkconfig import Field
from pykit.trace import QmpAnswer
from pykit.trace.kinds import DIFFERS_NONE
from tests.spec.log import HOST_TIME, Log

WRAP = 1 << 16
CAPACITY = 1 << 20
OFFERED = bits.mask(
    frozenset({bits.BLK_SEG_MAX, bits.BLK_SIZE_MAX, bits.BLK_GEOMETRY, bits.BLK_BLK_SIZE})
    | {bits.BLK_FLUSH, bits.BLK_TOPOLOGY, bits.BLK_CONFIG_WCE, bits.BLK_MQ, bits.BLK_DISCARD}
    | {bits.BLK_WRITE_ZEROES, bits.INDIRECT_DESC, bits.EVENT_IDX, bits.VERSION_1}
)
FIELDS = (
    (cfg.NUM_QUEUES, 2),
    (cfg.SEG_MAX, 6),
    (cfg.SIZE_MAX, 1 << 16),
    (cfg.BLK_SIZE, 512),
    (cfg.WRITEBACK, 1),
    (cfg.MAX_DISCARD_SECTORS, 4096),
    (cfg.MAX_DISCARD_SEG, 4),
    (cfg.MAX_ZEROES_SECTORS, 4096),
    (cfg.MAX_ZEROES_SEG, 4),
    (cfg.MAX_ERASE_SECTORS, 4096),
    (cfg.MAX_ERASE_SEG, 4),
)
#: QEMU's names of feature bits.
QEMU_NAMES = {
    bits.INDIRECT_DESC: "VIRTIO_RING_F_INDIRECT_DESC: text",
    bits.EVENT_IDX: "VIRTIO_RING_F_EVENT_IDX: text",
    bits.VERSION_1: "VIRTIO_F_VERSION_1: text",
}
TASKS = (100, 101, 102, 0)


@dataclass
class Setting:
    """Settings of a machine. ``start``: ring index to begin with; ``drop``/``add``: features."""

    seed: int = 1
    requests: int = 120
    queues: int = 2
    size: int = 16
    lives: int = 1
    start: int = 0
    offered: int = OFFERED
    declined: int = 0
    kinds: tuple[int, ...] = (0, 0, 1, 1, 4, 8, 11, 13)
    in_order: bool = False
    packed: bool = False
    errors: float = 0.05
    #: End while requests are under way: tracing stopped.
    cut: bool = False
    pieces: int = 0
    #: The device is pulled out with requests outstanding.
    pulled: bool = False
    read_only: bool = False
    outside: bool = True
    #: Interrupts come in the midst of the driver's operations as well.
    nested: bool = False


@dataclass
class Chain:
    head: int
    slots: list[int]
    kind: int
    data: int
    writable: int
    in_num: int
    out_num: int
    sector: int
    elem: int = 0
    status: int = 0
    #: Its first place in a packed ring, counted on from the set-up.
    place: int = 0


@dataclass
class Task:
    pid: int
    cpu: int
    bell: Queue | None = None


@dataclass
class Queue:
    """One virtqueue: ring memory, and the state that each side keeps of it."""

    vq: int
    free: list[int]
    avail: list[Chain] = field(default_factory=list)
    used: list[tuple[Chain, int]] = field(default_factory=list)
    outstanding: dict[int, Chain] = field(default_factory=dict)
    avail_event: int = 0
    used_event: int = 0
    avail_flags: int = 0
    used_flags: int = 0
    decided: int = 0
    last_used: int = 0
    popped: int = 0
    flying: list[Chain] = field(default_factory=list)
    kicked: bool = False
    busy: bool = False
    signalled: int = 0
    interrupt: bool = False
    broken: bool = False
    slot: int = 0
    #: Packed: places of the next list, and behind each used descriptor.
    place: int = 0
    used_places: list[int] = field(default_factory=lambda: [0])
    polling: bool = False
    #: Packed: interrupts of all descriptors are enabled, from the set-up to the first callback.
    always: bool = True


class Machine:
    """Runs lives of a device, and writes them down in ``log``."""

    def __init__(self, setting: Setting) -> None:
        # A packed ring begins at its first slot.
        self.set = replace(setting, start=0) if setting.packed else setting
        self.log = Log()
        self.random = random.Random(setting.seed)
        self.dev = 1
        self.life = 0
        self.tasks = [Task(pid, i % 2) for i, pid in enumerate(TASKS)]
        self.queues: list[Queue] = []
        self.memory = 0x1000_0000
        self.generation = 7

    # Writing down.

    def guest(
        self, kind: str, queue: Queue | None = None, task: Task | None = None, **f: Any
    ) -> Any:
        task = task or self.tasks[0]
        place = {"vq": queue.vq} if queue else {}
        f.setdefault("life", self.life)
        return self.log.add(kind, dev=self.dev, cpu=task.cpu, pid=task.pid, **place, **f)

    def host(self, kind: str, queue: Queue | None = None, **f: Any) -> None:
        if self.set.outside:
            place = {"vq": queue.vq} if queue else {}
            f.setdefault("life", self.life)
            self.log.add(kind, dev=self.dev, pid=1, **place, **f)

    def has(self, bit: int) -> bool:
        return bool(self.acked >> bit & 1)

    def buffer(self, length: int) -> int:
        self.memory += 0x1000 + length
        return self.memory

    # Lives.

    def run(self) -> Log:
        for life in range(self.set.lives):
            self.life = life
            self.start_up()
            self.work()
            if self.set.cut and self.life == self.set.lives - 1:
                return self.log
            self.ask_qmp()
            self.go_down()
        return self.log

    def start_up(self) -> None:
        extra = 1 << bits.IN_ORDER if self.set.in_order else 0
        extra |= 1 << bits.RING_PACKED if self.set.packed else 0
        extra |= 1 << bits.BLK_RO if self.set.read_only else 0
        self.offered = self.set.offered | extra
        self.acked = self.offered & ~(1 << bits.BLK_GEOMETRY) & ~self.set.declined
        if self.life == 0:
            self.host("dev_status", status=0)
            self.host("dev_status", status=1)
        self.host("dev_status", status=3)
        self.guest("driver", id=2, err=0, stage=0)
        self.features(0)
        if self.random.random() < 0.5:
            self.features(1)
        self.guest("status", status=3, op=1)
        self.write_status(0x0B)
        self.guest("status", status=0x0B, op=1)
        self.features(2)
        self.read_config()
        for vq in range(self.set.queues):
            self.set_up_queue(vq)
        self.read(cfg.CAPACITY, CAPACITY)
        self.guest("status", status=0x0B, op=1)
        self.write_status(0x0F)
        self.guest("driver", id=2, err=0, stage=1)

    def features(self, stage: int) -> None:
        self.guest(
            "features",
            offered=self.offered,
            driver=self.acked | 1 << bits.BLK_RO,
            acked=self.acked,
            stage=stage,
        )

    def write_status(self, value: int) -> None:
        self.guest("status", status=value, op=0)
        self.host("dev_status", status=value)

    def read(self, where: Field, value: int) -> None:
        wide = where.width > 4
        if wide:
            self.guest("generation", generation=self.generation)
        self.guest("config", offset=where.offset, len=where.width, value=value, write=0)
        if wide:
            self.guest("generation", generation=self.generation)

    def read_config(self) -> None:
        for where, value in FIELDS:
            if where.feature is not None and self.has(where.feature):
                # A request of so many segments, with header and status, fits the queue.
                fits = min(value, self.set.size - 2) if where == cfg.SEG_MAX else value
                self.read(where, fits)

    def set_up_queue(self, vq: int) -> None:
        queue = Queue(vq, list(range(self.set.size)))
        start = self.set.start
        queue.decided = queue.last_used = queue.popped = queue.signalled = start
        queue.avail_event = queue.used_event = start
        self.base = start
        self.queues[vq:] = [queue]
        desc = 0x10000 * (vq + 1)
        self.guest(
            "queue",
            queue,
            desc=desc,
            avail=desc + 16 * self.set.size,
            used=desc + 0x1000,
            size=self.set.size,
            num_queues=self.set.queues,
            avail_flags=0,
            avail_idx=start % WRAP,
            used_flags=0,
            used_idx=start % WRAP,
            layout=int(self.set.packed),
            op=0,
        )

    def go_down(self) -> None:
        self.guest("driver", id=2, err=0, stage=3)
        self.guest("status", status=0, op=2)
        last = self.life + 1 == self.set.lives
        self.host("dev_status", status=0, life=None)
        self.host("dev_status", status=0, life=None if last else self.life + 1)
        for queue in self.queues:
            for chain in queue.outstanding.values():
                queue.free += chain.slots
                count = {"num_free": len(queue.free), "slots": len(chain.slots)}
                self.guest("detach", queue, **count)
            self.guest("queue", queue, size=self.set.size, layout=int(self.set.packed), op=1)
        self.guest("driver", id=2, err=0, stage=4)
        # The life is over when the driver is; the core goes on.
        self.guest("status", status=0, op=1, life=None)
        self.guest("status", status=1, op=0, life=None)
        self.host("dev_status", status=1, life=None if last else self.life + 1)

    def ask_qmp(self) -> None:
        seen = self.acked & self.offered
        names = [name for bit, name in QEMU_NAMES.items() if seen >> bit & 1]
        known = sum(1 << bit for bit in QEMU_NAMES)
        features = {"transports": names, "dev-features": [], "unknown-dev-features": seen & ~known}
        answers: list[tuple[str, int | None, dict[str, Any]]] = [
            ("x-query-virtio-status", None, {"guest-features": features})
        ]
        for queue in self.queues:
            state = {
                "last-avail-idx": (self.base + len(queue.avail)) % WRAP,
                "used-idx": (self.base + len(queue.used)) % WRAP,
                "inuse": len(queue.flying),
                "vring-num": self.set.size,
            }
            answers.append(("x-query-virtio-queue-status", queue.vq, state))
        # With one life only it is plain which one was asked.
        when = None if self.set.lives == 1 and self.set.seed % 2 else self.log.now + HOST_TIME
        self.log.qmp += [QmpAnswer("quiesced", "vd0", q, n, s, when) for q, n, s in answers]

    # The workload: everybody takes turns.

    def work(self) -> None:
        left = self.set.requests
        while left > 0:
            left -= self.turn(submit=True)
        if self.set.cut:
            return
        if self.set.pulled:
            # Whoever was about to ring leaves it.
            for queue in self.queues:
                queue.broken = True
            return
        while any(q.outstanding or q.interrupt for q in self.queues) or any(
            task.bell for task in self.tasks
        ):
            self.turn(submit=False)

    def turn(self, *, submit: bool) -> int:
        queue = self.random.choice(self.queues)
        task = self.random.choice(self.tasks)
        match self.random.randrange(4):
            case 0 if task.bell:
                self.ring(task)
            case 0 | 1 if submit and not task.bell:
                return self.submit(task, queue)
            case 2 if queue.interrupt:
                self.handle(queue)
            case 2 | 3:
                self.step(queue)
            case _ if task.bell:
                self.ring(task)
        return 0

    # The driver.

    def submit(self, task: Task, queue: Queue) -> int:
        count = 0
        if queue.broken:
            return 0
        for _ in range(self.random.choice((1, 1, 1, 2, 4))):
            count += self.add(task, queue)
        if count:
            self.kick(task, queue)
        return count

    def add(self, task: Task, queue: Queue) -> int:
        kind = self.random.choice(self.set.kinds)
        chain, pieces, status_addr = self.request(kind)
        indirect = self.has(bits.INDIRECT_DESC) and self.random.random() < 0.6
        slots = 1 if indirect else len(pieces)
        if slots > len(queue.free) or len(pieces) > self.set.size:
            self.refuse(task, queue, slots, len(pieces))
            return 0
        if self.set.in_order:
            chain.slots = [(queue.slot + n) % self.set.size for n in range(slots)]
            queue.slot = (queue.slot + slots) % self.set.size
            for slot in chain.slots:
                queue.free.remove(slot)
        else:
            chain.slots = [
                queue.free.pop(self.random.randrange(len(queue.free))) for _ in range(slots)
            ]
        chain.head = chain.slots[0]
        chain.place = queue.place
        queue.place += slots
        queue.avail.append(chain)
        queue.outstanding[chain.head] = chain
        if self.set.packed:
            self.ring_slots(task, queue, chain, pieces, indirect=indirect)
        self.guest(
            "add",
            queue,
            task,
            readable=sum(size for size, write, _ in pieces if not write),
            writable=chain.writable,
            chain=len(pieces),
            num_free=len(queue.free),
            head=chain.head,
            avail_idx=self.avail_at(queue, self.base + len(queue.avail)),
            differs=DIFFERS_NONE,
            slots=slots,
            used_idx=self.used_seen(queue),
            indirect=int(indirect),
        )
        self.descs(task, queue, chain, pieces, indirect=indirect)
        self.guest(
            "blk_start",
            queue,
            task,
            sector=chain.sector,
            status_addr=status_addr,
            bytes=chain.data,
            type=kind,
            head=chain.head,
            segments=chain.data // 16 if kind in bits.RANGE_TYPES else 0,
        )
        if kind in bits.RANGE_TYPES:
            for pos in range(chain.data // 16):
                flags = 1 if kind == bits.T_WRITE_ZEROES and self.random.random() < 0.5 else 0
                self.guest(
                    "blk_range",
                    queue,
                    task,
                    sector=8 * pos,
                    sectors=8,
                    flags=flags,
                    head=chain.head,
                    pos=pos,
                )
        return 1

    def position(self, place: int) -> int:
        """A place of a packed ring as slot and wrap counter."""
        lap, slot = divmod(place, self.set.size)
        return slot | (0 if lap % 2 else 1 << 15)

    def avail_at(self, queue: Queue, count: int) -> int:
        """The available index after so many chains, or a packed ring's position."""
        if not self.set.packed:
            return count % WRAP
        done = count - self.base
        place = queue.avail[done].place if done < len(queue.avail) else queue.place
        return self.position(place)

    def used_at(self, queue: Queue, count: int) -> int:
        """The used index after so many entries, or a packed ring's position."""
        if not self.set.packed:
            return count % WRAP
        return self.position(queue.used_places[count - self.base])

    def used_seen(self, queue: Queue) -> int:
        """The used index as the driver reads it."""
        if not self.set.packed:
            return (self.base + len(queue.used)) % WRAP
        there = queue.last_used < self.base + len(queue.used)
        return self.used_at(queue, queue.last_used) + there

    def flags_at(self, place: int) -> int:
        """AVAIL and USED of an available descriptor."""
        return 1 << 15 if place // self.set.size % 2 else 1 << 7

    def used_flags(self, place: int) -> int:
        """AVAIL and USED of a used descriptor, and WRITE: each request has a status."""
        if not self.set.packed:
            return 0
        return bits.WRITE | (0 if place // self.set.size % 2 else 0x8080)

    def ring_slots(
        self,
        task: Task,
        queue: Queue,
        chain: Chain,
        pieces: list[tuple[int, bool, int]],
        *,
        indirect: bool,
    ) -> None:
        """What stands in a packed ring after the add."""
        parts = [(16 * len(pieces), bits.INDIRECT)] if indirect else []
        if not indirect:
            parts = [
                (size, (n + 1 < len(pieces) and bits.NEXT) | (write and bits.WRITE))
                for n, (size, write, _) in enumerate(pieces)
            ]
        for pos, (size, flags) in enumerate(parts):
            place = chain.place + pos
            self.guest(
                "slot",
                queue,
                task,
                addr=0,
                len=size,
                head=chain.head,
                slot=place % self.set.size,
                id=chain.head,
                flags=flags | self.flags_at(place),
                pos=pos,
            )

    def refuse(self, task: Task, queue: Queue, slots: int, pieces: int) -> None:
        """An add finds no room. It may notify the device if that requested a notification."""
        event, flags = self.wish(queue), self.device_flags(queue)
        if self.random.random() < 0.2:
            self.step(queue)
        notified = not self.set.packed and self.wanted(queue) and self.random.random() < 0.5
        queue.kicked |= notified
        if self.random.random() < 0.2:
            self.step(queue)
        self.guest(
            "add_failed",
            queue,
            task,
            err=-28,
            chain=pieces,
            slots=slots,
            num_free=len(queue.free),
            old=self.avail_at(queue, queue.decided),
            new=self.avail_at(queue, self.base + len(queue.avail)),
            event=event,
            event_after=self.wish(queue),
            flags=flags,
            flags_after=self.device_flags(queue),
            event_idx=int(self.has(bits.EVENT_IDX)),
            notified=int(notified),
        )
        if notified:
            self.guest("notify", queue, task)

    def request(self, kind: int) -> tuple[Chain, list[tuple[int, bool, int]], int]:
        """A request as pieces of memory: size, device-writable, address."""
        sizes: list[int] = []
        sector = 0
        if kind in (bits.T_IN, bits.T_OUT):
            most = min(5, self.set.size - 2)
            count = self.set.pieces or self.random.randrange(1, most + 1)
            sizes = [512 * self.random.randrange(1, 9) for _ in range(count)]
            sector = self.random.randrange(CAPACITY - 64)
        elif kind in bits.RANGE_TYPES:
            sizes = [16 * self.random.randrange(1, 4)]
        elif kind == bits.T_GET_ID:
            sizes = [bits.ID_BYTES]
        writes = kind in (bits.T_IN, bits.T_GET_ID)
        pieces = [(16, False, self.buffer(16))]
        if self.random.random() < 0.1:
            # A header may be cut in two.
            pieces = [(10, False, self.buffer(10)), (6, False, self.buffer(6))]
        pieces += [(size, writes, self.buffer(size)) for size in sizes]
        if writes and self.random.random() < 0.1:
            # The status may share a piece with the data before it.
            size, _, addr = pieces.pop()
            pieces.append((size + 1, True, addr))
            status = addr + size
        else:
            status = self.buffer(1)
            pieces.append((1, True, status))
        chain = Chain(
            head=0,
            slots=[],
            kind=kind,
            data=sum(sizes),
            writable=sum(size for size, write, _ in pieces if write),
            in_num=sum(write for _, write, _ in pieces),
            out_num=sum(not write for _, write, _ in pieces),
            sector=sector,
        )
        return chain, pieces, status

    def descs(
        self,
        task: Task,
        queue: Queue,
        chain: Chain,
        pieces: list[tuple[int, bool, int]],
        *,
        indirect: bool,
    ) -> None:
        pos = 0
        places = chain.slots
        if self.set.packed:
            places = [(chain.place + n) % self.set.size for n in range(len(pieces))]
        if indirect:
            # WRITE on the descriptor of a table means nothing.
            stray = bits.WRITE if self.random.random() < 0.1 else 0
            self.guest(
                "desc",
                queue,
                task,
                addr=self.buffer(16 * len(pieces)),
                len=16 * len(pieces),
                head=chain.head,
                slot=chain.place % self.set.size if self.set.packed else chain.head,
                flags=bits.INDIRECT | stray,
                next=0,
                pos=0,
                table=0,
            )
            pos = 1
            places = list(range(len(pieces)))
        for n, (size, write, addr) in enumerate(pieces):
            more = n + 1 < len(pieces)
            self.guest(
                "desc",
                queue,
                task,
                addr=addr,
                len=size,
                head=chain.head,
                slot=places[n],
                flags=(bits.NEXT if more else 0) | (bits.WRITE if write else 0),
                next=places[n + 1] if more else 0,
                pos=pos + n,
                table=int(indirect),
            )

    def wish(self, queue: Queue) -> int:
        if not self.has(bits.EVENT_IDX):
            return 0 if self.set.packed else queue.used_flags
        return self.avail_at(queue, queue.avail_event)

    def device_flags(self, queue: Queue) -> int:
        """Flags of the used ring or of the device event suppression structure."""
        return 2 if self.set.packed and self.has(bits.EVENT_IDX) else queue.used_flags

    def wanted(self, queue: Queue) -> bool:
        """Whether the device asks for something that is new since the last decision."""
        new = self.base + len(queue.avail)
        if self.has(bits.EVENT_IDX):
            return (new - queue.avail_event - 1) % WRAP < new - queue.decided
        return not queue.used_flags & 1

    def kick(self, task: Task, queue: Queue) -> None:
        old, new = queue.decided, self.base + len(queue.avail)
        event, flags = self.wish(queue), self.device_flags(queue)
        if self.random.random() < 0.2:
            self.step(queue)
        needed = self.wanted(queue)
        if self.random.random() < 0.2:
            self.step(queue)
        queue.decided = new
        self.guest(
            "kick",
            queue,
            task,
            old=self.avail_at(queue, old),
            new=self.avail_at(queue, new),
            event=event,
            event_after=self.wish(queue),
            flags=flags,
            flags_after=self.device_flags(queue),
            event_idx=int(self.has(bits.EVENT_IDX)),
            needed=int(needed),
        )
        if needed:
            task.bell = queue

    def ring(self, task: Task) -> None:
        queue, task.bell = task.bell, None
        assert queue is not None
        self.guest("notify", queue, task)
        queue.kicked = True

    def handle(self, queue: Queue) -> None:
        """The interrupt: take what is there, until there is nothing more."""
        task = self.random.choice(self.tasks)
        self.interrupt(task, queue)
        while True:
            self.callback(task, queue, enable=False)
            while queue.last_used < self.base + len(queue.used):
                self.take(task, queue)
                if self.random.random() < 0.2:
                    self.step(queue)
            if self.callback(task, queue, enable=True):
                return

    def interrupt(self, task: Task, queue: Queue) -> None:
        queue.interrupt = False
        self.guest(
            "interrupt",
            queue,
            task,
            used_idx=self.used_seen(queue),
            last_used=self.used_at(queue, queue.last_used),
        )

    def filled(self, queue: Queue) -> int:
        """How many entries the device has used, from where the ring began."""
        return self.base + len(queue.used)

    def driver_flags(self, queue: Queue) -> int:
        """Flags of the available ring or of the driver event suppression structure."""
        if self.set.packed and self.has(bits.EVENT_IDX):
            return 0 if queue.always else 1 if queue.polling else 2
        return queue.avail_flags

    def driver_event(self, queue: Queue) -> int:
        """used_event, or the position in the driver event suppression structure."""
        if not self.set.packed:
            return queue.used_event % WRAP
        return self.used_at(queue, max(queue.used_event, self.base))

    def callback(self, task: Task, queue: Queue, *, enable: bool) -> bool:
        queue.polling, queue.always = not enable, False
        if self.has(bits.EVENT_IDX):
            queue.used_event = queue.last_used if enable else 0
        else:
            queue.avail_flags = 0 if enable else 1
        if self.random.random() < 0.2:
            self.step(queue)
        if enable and self.set.nested and queue.interrupt and queue.last_used < self.filled(queue):
            # What it is for is pending, and will be taken.
            self.interrupt(task, queue)
        pending = enable and queue.last_used != self.base + len(queue.used)
        if self.random.random() < 0.1:
            self.step(queue)
        self.guest(
            "callback",
            queue,
            task,
            avail_flags=self.driver_flags(queue),
            used_event=self.driver_event(queue),
            last_used=self.used_at(queue, queue.last_used),
            used_idx=self.used_seen(queue),
            event_idx=int(self.has(bits.EVENT_IDX)),
            enable=int(enable),
            pending=int(pending),
        )
        return not pending

    def take(self, task: Task, queue: Queue) -> None:
        chain, length = queue.used[queue.last_used - self.base]
        self.guest(
            "used",
            queue,
            task,
            id=chain.head,
            len=length,
            index=self.used_at(queue, queue.last_used),
            used_idx=self.used_at(queue, queue.last_used)
            if self.set.packed
            else (self.base + len(queue.used)) % WRAP,
            flags=self.used_flags(queue.used_places[queue.last_used - self.base]),
            event=self.driver_event(queue),
            event_flags=self.driver_flags(queue),
            accepted=1,
        )
        queue.last_used += 1
        del queue.outstanding[chain.head]
        queue.free += chain.slots
        self.guest(
            "blk_done",
            queue,
            task,
            sector=chain.sector,
            type=chain.kind,
            len=length,
            head=chain.head,
            status=chain.status,
        )

    # The device.

    def step(self, queue: Queue) -> None:
        if queue.flying and self.random.random() < 0.5:
            self.complete(queue)
        elif queue.kicked and not queue.busy:
            self.host("dev_kick", queue)
            queue.kicked, queue.busy = False, True
            queue.used_flags = 0 if self.has(bits.EVENT_IDX) else 1
        elif queue.busy and queue.popped < self.base + len(queue.avail):
            self.pop(queue)
        elif queue.busy:
            queue.used_flags = 0
            queue.avail_event = queue.popped
            queue.busy = False

    def pop(self, queue: Queue) -> None:
        chain = queue.avail[queue.popped - self.base]
        queue.popped += 1
        queue.avail_event = queue.popped
        chain.elem = 0x7F00_0000_0000 + 64 * queue.popped
        queue.flying.append(chain)
        self.host(
            "dev_pop",
            queue,
            elem=chain.elem,
            in_num=chain.in_num,
            out_num=chain.out_num,
            avail_idx=queue.popped % WRAP,
        )

    def complete(self, queue: Queue) -> None:
        batch = self.random.choice((1, 1, 2))
        filled: list[tuple[Chain, int]] = []
        while queue.flying and len(filled) < batch:
            pick = 0 if self.set.in_order else self.random.randrange(len(queue.flying))
            chain = queue.flying.pop(pick)
            failed = self.random.random() < self.set.errors
            failed |= self.set.read_only and chain.kind == bits.T_OUT
            chain.status = bits.S_IOERR if failed else bits.S_OK
            length = 1 if failed else chain.writable
            self.host(
                "dev_fill",
                queue,
                elem=chain.elem,
                len=length,
                index=len(filled)
                if self.set.packed
                else (self.base + len(queue.used) + len(filled)) % WRAP,
            )
            filled.append((chain, length))
        if not self.set.packed:
            self.host("dev_flush", queue, count=len(filled))
        queue.used += filled
        for chain, _ in filled:
            queue.used_places.append(queue.used_places[-1] + len(chain.slots))
        self.notify(queue)

    def notify(self, queue: Queue) -> None:
        old, new = queue.signalled, self.base + len(queue.used)
        queue.signalled = new
        if self.has(bits.EVENT_IDX) and self.set.packed:
            wanted = queue.always or (not queue.polling and old <= queue.used_event < new)
        elif self.has(bits.EVENT_IDX):
            wanted = (new - queue.used_event - 1) % WRAP < new - old
        else:
            wanted = not queue.avail_flags & 1
        if wanted:
            self.host("dev_signal", queue)
            queue.interrupt = True


def run(**setting: Any) -> Log:
    """The log of one machine."""
    return Machine(Setting(**setting)).run()
