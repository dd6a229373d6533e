# SPDX-License-Identifier: GPL-2.0-only
"""Deliberate faults of the device: each changes one step of how a chain is served."""

from __future__ import annotations

import importlib
import itertools
import os
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from pykit.device.blk import ServedDisk
from pykit.device.memory import GuestMemory, load16, store16
from pykit.device.overwrite import OverwrittenNow
from pykit.device.queue import Chain, PackedQueue, Queue, SplitQueue
from pykit.device.served import Served, Writes
from pykit.spec import bits

#: A status that no device writes.
_NO_STATUS = b"\x7f"
#: Long enough for a driver that polls, in seconds.
MOMENT = 0.02

#: What faults that outlast a life go by: whether the device is dead, what it has not given back,
#: and how many chains it has served.
_wedged = threading.Event()
_leaked: list[bytes] = []
_chains = itertools.count(1)
_LEAK, _FLOOD = 8 << 10, 1 << 20
#: How many chains come between two changes of the configuration.
_CHANGES = 32

Ring = Literal["split", "packed", "both"]


@dataclass
class Returning:
    """A chain that is about to be returned; a fault changes what will be done.

    Attributes:
        writes: what goes into its buffers.
        length: the used length.
        times: how often it is returned.
        interrupt: True: always, False: never, None: as the driver wants.
        interrupts: how often it interrupts, if it does.
        early: interrupt before it is returned, not behind.
        late: writes that follow when the queue's next chain is there, so that the driver had time
            to take this one.
        then: what follows at once when it was returned, before the interrupt.
        served: what is behind the device.
        others: the device's other queues that are in use, by number.
        announces: notify the front-end that the configuration has changed.
        returned_in, signals: numbers of the queue that gets it, and whose interrupt is raised;
            None for its own.
    """

    queue: Queue
    memory: GuestMemory
    chain: Chain
    writes: Writes
    length: int
    served: Served
    others: dict[int, Queue] = field(default_factory=dict)
    times: int = 1
    interrupt: bool | None = None
    interrupts: int = 1
    early: bool = False
    late: Writes = field(default_factory=list)
    then: Callable[[], None] | None = None
    announces: bool = False
    returned_in: int | None = None
    signals: int | None = None

    @property
    def disk(self) -> ServedDisk:
        """What is behind a block device."""
        assert isinstance(self.served, ServedDisk)
        return self.served

    @property
    def kind(self) -> int:
        """Type of the request, -1 if it has no header, or is none of a disk's."""
        if not isinstance(self.served, ServedDisk):
            return -1
        if not self.chain.readable or self.chain.readable[0][1] < 4:
            return -1
        (kind,) = struct.unpack("<I", self.memory.at(self.chain.readable[0][0], 4))
        return int(kind)

    @property
    def sector(self) -> int:
        """Where the request begins, -1 if its header is not in one piece."""
        if not self.chain.readable or self.chain.readable[0][1] < bits.HEADER_BYTES:
            return -1
        (sector,) = struct.unpack("<Q", self.memory.at(self.chain.readable[0][0] + 8, 8))
        return int(sector)

    def is_done(self, kind: int) -> bool:
        """Whether this is a request of that type that ends well, and says where it begins."""
        return self.kind == kind and self.status == bits.S_OK and self.sector >= 0

    @property
    def sent(self) -> bytes:
        """All that the device can read of the chain."""
        return b"".join(bytes(self.memory.at(*span)) for span in self.chain.readable)

    def lay(self, data: bytes) -> None:
        """Put other data into the buffers of a read; the status stays."""
        *pieces, status = self.writes
        found: Writes = []
        for view, old in pieces:
            found.append((view, data[: len(old)]))
            data = data[len(old) :]
        self.writes = [*found, status]

    @property
    def status(self) -> int:
        """The status that will be written, -1 if none will."""
        return self.writes[-1][1][-1] if self.writes else -1

    @status.setter
    def status(self, value: int) -> None:
        if self.writes:
            self.writes[-1] = (self.writes[-1][0], bytes((value,)))


def _as_it_is(step: Returning) -> None:
    """Return a chain as it should be."""


def _as_asked(queue: Queue) -> None:
    """Ask for notifications as it should be."""


def _as_set_up(queue: Queue) -> None:
    """Begin to use, or stop using, a queue as it should be."""


def _as_found(chain: Chain) -> Chain:
    """Read a chain as it is."""
    return chain


@dataclass(frozen=True)
class DeviceFault:
    """A fault: what it does, and the steps that it changes.

    Attributes:
        change: how a chain is returned.
        features: how what is offered changes.
        asks: what it does behind each request for notifications.
        begins, stops: what it does when it begins to use a queue, and when that is stopped.
        takes: how a chain is read.
        refuses: refuse the features that the driver accepts, always, or when a queue was stopped.
        idles: look for no further chain behind the first.
        forgets: look for none behind a request for notifications, which it makes late.
        size: entries that it takes a queue for, whatever the driver says; 0 for what it says.
        keeps_size: take a queue for the size that it had at first.
        keeps_call: interrupt by the descriptor that a queue had at first.
        config: how the configuration changes.
        records: what it does with the record of chains in flight: all that it has to, nothing at
            a new connection, or no more for chains that were returned.
        bugs: real bugs that it repeats, keys of mutants/real-bugs.toml.
        ring: the layout in which it does anything.
        beside: what of the ring a thread overwrites, again and again.
        lax: be driven with any features.
        unmasked: take the bit that says "no descriptor" for a part of a queue's number.
        zoned: it is one of a disk with zones.
    """

    name: str
    does: str
    change: Callable[[Returning], None] = _as_it_is
    features: Callable[[int], int] = int
    asks: Callable[[Queue], None] = _as_asked
    begins: Callable[[Queue], None] = _as_set_up
    stops: Callable[[Queue], None] = _as_set_up
    takes: Callable[[Chain], Chain] = _as_found
    refuses: Literal["", "always", "later"] = ""
    idles: bool = False
    forgets: bool = False
    size: int = 0
    keeps_size: bool = False
    keeps_call: bool = False
    config: Callable[[bytes], bytes] = bytes
    records: Literal["all", "ignored", "kept"] = "all"
    bugs: tuple[str, ...] = ()
    ring: Ring = "both"
    beside: OverwrittenNow | None = None
    lax: bool = False
    unmasked: bool = False
    zoned: bool = False

    def __reduce__(self) -> tuple[Callable[[str], DeviceFault], tuple[str]]:
        """Travel to another process by name: what a fault does is no data."""
        return named_fault, (self.name,)


def named_fault(name: str) -> DeviceFault:
    """Return the fault of this name, once all are known."""
    importlib.import_module("pykit.device.catalog")
    return FAULTS[name]


FAULTS: dict[str, DeviceFault] = {}


def fault(
    name: str, does: str, *bugs: str, ring: Ring = "both"
) -> Callable[[Callable[[Returning], None]], Callable[[Returning], None]]:
    """Register a fault of how a chain is returned."""

    def register(change: Callable[[Returning], None]) -> Callable[[Returning], None]:
        FAULTS[name] = DeviceFault(name, does, change, bugs=bugs, ring=ring)
        return change

    return register


@fault("data-wrong", "flip a bit of what it writes first")
def _data_wrong(step: Returning) -> None:
    # The last byte is the status.
    if len(step.writes) > 1:
        view, data = step.writes[0]
        step.writes[0] = (view, bytes((data[0] ^ 1,)) + data[1:])


@fault("data-short", "leave the last half of the first buffer unwritten")
def _data_short(step: Returning) -> None:
    if step.writes:
        view, data = step.writes[0]
        step.writes[0] = (view, data[: len(data) // 2])


@fault("status-unwritten", "leave the status byte unwritten")
def _status_unwritten(step: Returning) -> None:
    step.writes = step.writes[:-1]


@fault("status-undefined", "write a status that is not defined")
def _status_undefined(step: Returning) -> None:
    if step.writes:
        step.writes[-1] = (step.writes[-1][0], _NO_STATUS)


@fault("unsupported", "support no write")
def _unsupported(step: Returning) -> None:
    if step.kind == bits.T_OUT and step.writes:
        step.writes[-1] = (step.writes[-1][0], bytes((bits.S_UNSUPP,)))


@fault("read-zeroes", "read zeroes from everywhere")
def _read_zeroes(step: Returning) -> None:
    if step.kind == bits.T_IN:
        step.writes = [(view, bytes(len(data))) for view, data in step.writes]


@fault("failed-length", "fail reads, and claim to have written all of their data", "B64", "B76")
def _failed_length(step: Returning) -> None:
    if step.kind == bits.T_IN and step.writes:
        step.writes = [(step.writes[-1][0], bytes((bits.S_IOERR,)))]
        step.length = step.chain.capacity


@fault("length-short", "return a used length that is one byte too short")
def _length_short(step: Returning) -> None:
    step.length = max(step.length - 1, 0)


@fault("length-huge", "return the largest used length there is")
def _length_huge(step: Returning) -> None:
    step.length = (1 << 32) - 1


@fault("length-zero", "return a used length of 0", "B24")
def _length_zero(step: Returning) -> None:
    step.length = 0


@fault("length-greater", "return a used length beyond the writable buffers")
def _length_greater(step: Returning) -> None:
    step.length = step.chain.capacity + 1


@fault("length-late", "write the used length when its entry is used already")
def _length_late(step: Returning) -> None:
    queue, length = step.queue, step.length
    step.length = 0

    def write() -> None:
        # A driver that looks at the ring has time to see the entry without its length.
        time.sleep(MOMENT)
        view = queue.last_length(step.chain)
        view[:4] = struct.pack("<I", length)

    step.then = write


@fault("pieces-reversed", "lay data that are read into their buffers from the last to the first")
def _pieces_reversed(step: Returning) -> None:
    if step.kind != bits.T_IN or len(step.writes) < 2:
        return
    *pieces, status = step.writes
    data, found = b"".join(part for _, part in pieces), []
    for view, _ in reversed(pieces):
        found.append((view, data[: len(view)]))
        data = data[len(view) :]
    step.writes = [*found, status]


@fault("event-obeyed", "go by used_event without EVENT_IDX too", ring="split")
def _event_obeyed(step: Returning) -> None:
    queue = step.queue
    if isinstance(queue, SplitQueue) and not queue.event_idx:
        step.interrupt = load16(queue.driver, 4 + 2 * queue.size) == queue.used


@fault("event-swapped", "swap the bytes of the driver's event offset", "B29", ring="packed")
def _event_swapped(step: Returning) -> None:
    queue = step.queue
    if isinstance(queue, PackedQueue) and queue.event_idx:
        low, high = queue.driver[:2]
        here = queue.used | queue.used_wrap << 15
        step.interrupt = (low << 8 | high) == here


@fault("flag-obeyed", "go by the driver's flag with EVENT_IDX too", ring="split")
def _flag_obeyed(step: Returning) -> None:
    queue = step.queue
    if isinstance(queue, SplitQueue) and queue.event_idx and load16(queue.driver, 0) & 1:
        step.interrupt = False


@fault("id-wrong", "return the next id")
def _id_wrong(step: Returning) -> None:
    step.chain = replace(step.chain, id=(step.chain.id + 1) % step.queue.size)


@fault("id-outside", "return an id that is no descriptor")
def _id_outside(step: Returning) -> None:
    step.chain = replace(step.chain, id=step.queue.size)


@fault("returned-twice", "return each chain twice")
def _returned_twice(step: Returning) -> None:
    step.times = 2


@fault("index-ahead", "leave out an entry when returning a chain")
def _index_ahead(step: Returning) -> None:
    step.queue.skip()


@fault("index-late", "hide the last used entry", ring="split")
def _index_late(step: Returning) -> None:
    _shift_index(step, 1)


@fault("index-back", "take the used index back over an entry", ring="split")
def _index_back(step: Returning) -> None:
    _shift_index(step, 2)


def _shift_index(step: Returning, by: int) -> None:
    def shift() -> None:
        if isinstance(step.queue, SplitQueue):
            store16(step.queue.device, 2, (load16(step.queue.device, 2) - by) % (1 << 16))

    step.then = shift


@fault("wrap-wrong", "write used descriptors of the other round", ring="packed")
def _wrap_wrong(step: Returning) -> None:
    if isinstance(step.queue, PackedQueue):
        step.queue.used_wrap = not step.queue.used_wrap


@fault("wrap-kept", "keep the wrap counter where a list ends with the ring", "B50", ring="packed")
def _wrap_kept(step: Returning) -> None:
    queue = step.queue

    def keep() -> None:
        if isinstance(queue, PackedQueue) and queue.used == 0:
            queue.used_wrap = not queue.used_wrap

    step.then = keep


@fault("slots-one", "go on one slot behind the first of a list", ring="packed")
def _slots_one(step: Returning) -> None:
    step.chain = replace(step.chain, slots=1)


@fault("swallowed", "never return a chain")
def _swallowed(step: Returning) -> None:
    step.times = 0


@fault("interrupt-missing", "never interrupt")
def _interrupt_missing(step: Returning) -> None:
    step.interrupt = False


@fault("interrupt-always", "interrupt for each chain, wanted or not")
def _interrupt_always(step: Returning) -> None:
    step.interrupt = True


@fault("writes-readable", "write into a buffer that it may only read")
def _writes_readable(step: Returning) -> None:
    if step.chain.readable:
        address, _ = step.chain.readable[0]
        step.writes.append((step.memory.at(address, 1), b"\xa5"))


@fault("writes-behind", "write a byte behind the last buffer")
def _writes_behind(step: Returning) -> None:
    if step.chain.writable:
        address, length = step.chain.writable[-1]
        step.writes.append((step.memory.at(address + length, 1), b"\xa5"))


@fault("writes-descriptor", "write into the descriptor table", ring="split")
def _writes_descriptor(step: Returning) -> None:
    if isinstance(step.queue, SplitQueue):
        step.writes.append((step.queue.desc[:1], b"\xa5"))


@fault("writes-driver-area", "write into the driver area")
def _writes_driver_area(step: Returning) -> None:
    step.writes.append((step.queue.driver[:2], b"\xa5\xa5"))


@fault("writes-late", "write other bytes into the first buffer when the next chain is there")
def _writes_late(step: Returning) -> None:
    if step.writes:
        view, data = step.writes[0]
        step.late = [(view, bytes(byte ^ 0xFF for byte in data))]


@fault("capacity-changes", "lose half of the disk at a 32nd chain, get it back at the next, say so")
def _capacity_changes(step: Returning) -> None:
    if not next(_chains) % _CHANGES:
        step.disk.fold()
        step.announces = True


@fault("capacity-unannounced", "lose half of the disk at a 32nd chain, get it back at the next")
def _capacity_unannounced(step: Returning) -> None:
    if not next(_chains) % _CHANGES:
        step.disk.fold()


@fault("change-unfounded", "announce a change at every 16th chain, with nothing changed")
def _change_unfounded(step: Returning) -> None:
    step.announces = not next(_chains) % 16


@fault("spins", "never stop working at a chain")
def _spins(step: Returning) -> None:
    while True:
        pass


@fault("sleeps", "take a second for each chain")
def _sleeps(step: Returning) -> None:
    time.sleep(1)


@fault("wedges", "serve nothing any more, whatever is reset, behind a request of an unknown type")
def _wedges(step: Returning) -> None:
    if step.writes and step.writes[-1][1] == bytes((bits.S_UNSUPP,)):
        _wedged.set()
    if _wedged.is_set():
        step.times = 0


@fault("leaks-memory", "keep 8 KiB more at each chain")
def _leaks_memory(step: Returning) -> None:
    _leaked.append(b"\xa5" * _LEAK)


@fault("leaks-descriptors", "open one more descriptor at every 16th chain")
def _leaks_descriptors(step: Returning) -> None:
    if not next(_chains) % 16:
        os.open(os.devnull, os.O_RDONLY)


@fault("floods", "log a mebibyte for each chain")
def _floods(step: Returning) -> None:
    sys.stderr.write("a chain was served\n" * (_FLOOD // 19))


@fault("dies", "end by a signal at the first chain")
def _dies(step: Returning) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)
