# SPDX-License-Identifier: GPL-2.0-only
"""Deliberate faults of how chains are returned: ids, lengths, places, order, whose memory."""

from __future__ import annotations

import itertools
import struct
import threading
import time
from collections import defaultdict
from dataclasses import replace

from pykit.device.faults import FAULTS, MOMENT, DeviceFault, Returning, fault
from pykit.device.memory import load16, store16
from pykit.device.queue import Chain, PackedQueue, Queue, SplitQueue
from pykit.device.served import Writes
from pykit.spec.bits import DESC_BYTES, INDIRECT, WRITE

_DESC = struct.Struct("<QIHH")
_AVAIL_FLAG, _USED_FLAG = 1 << 7, 1 << 15
#: Each so many chains is treated otherwise than the others.
_SELDOM = 20
#: So many chains later one is returned again.
_AGAIN = 8

_served = itertools.count(1)
#: By queue, what the device keeps from one chain to another.
_lengths: dict[int, int] = {}
_earlier: dict[int, list[tuple[Chain, int]]] = defaultdict(list)
_held: dict[int, tuple[Chain, int]] = {}
#: Where the life before ended.
_indices: list[int] = []


@fault("entry-late", "publish a used entry before its id and length are written")
def _entry_late(step: Returning) -> None:
    queue, chain, length = step.queue, step.chain, step.length
    step.times = 0

    def publish() -> None:
        if isinstance(queue, PackedQueue):
            at = DESC_BYTES * queue.used + 8
            entry = queue.desc[at : at + 6]
        else:
            assert isinstance(queue, SplitQueue)
            at = 4 + 8 * (queue.used % queue.size)
            entry = queue.device[at : at + 8]
        before = bytes(entry)
        queue.push(chain, length)
        after = bytes(entry)
        entry[:] = before
        time.sleep(MOMENT)
        entry[:] = after

    step.then = publish


@fault("data-late", "write data and status when the chain is used already")
def _data_late(step: Returning) -> None:
    writes: Writes = step.writes
    step.writes = []

    def write() -> None:
        time.sleep(MOMENT)
        for view, data in writes:
            view[: len(data)] = data

    step.then = write


@fault("status-late", "write the status when the chain is used already")
def _status_late(step: Returning) -> None:
    _last_write_late(step, 1)


@fault("tail-late", "write the last piece of data when the chain is used already")
def _tail_late(step: Returning) -> None:
    if len(step.writes) > 1:
        _last_write_late(step, 2)


def _last_write_late(step: Returning, behind: int) -> None:
    if not step.writes:
        return
    view, data = step.writes.pop(-behind)

    def write() -> None:
        time.sleep(MOMENT)
        view[: len(data)] = data

    step.then = write


@fault("id-wide", "set bits of the used id above the sixteenth", ring="split")
def _id_wide(step: Returning) -> None:
    if isinstance(step.queue, SplitQueue):
        step.chain = replace(step.chain, id=step.chain.id | 1 << 16)


@fault("id-of-slot", "return the place of a list in the ring for its buffer id", ring="packed")
def _id_of_slot(step: Returning) -> None:
    queue = step.queue
    if isinstance(queue, PackedQueue):
        step.chain = replace(step.chain, id=(queue.next - step.chain.slots) % queue.size)


@fault("length-readable", "count what it read in the used length, too")
def _length_readable(step: Returning) -> None:
    step.length += sum(length for _, length in step.chain.readable)


@fault("length-stale", "return the used length of the chain before")
def _length_stale(step: Returning) -> None:
    key = id(step.queue)
    now, step.length = step.length, _lengths.get(key, step.length)
    _lengths[key] = now


@fault("returned-again", "return each 20th chain once more, eight chains later")
def _returned_again(step: Returning) -> None:
    queue, earlier = step.queue, _earlier[id(step.queue)]
    earlier.append((step.chain, step.length))
    if len(earlier) > _AGAIN:
        chain, length = earlier.pop(0)
        if not next(_served) % _SELDOM:
            step.then = lambda: queue.push(chain, length)


@fault("swallowed-one", "never return each 20th chain")
def _swallowed_one(step: Returning) -> None:
    if not next(_served) % _SELDOM:
        step.times = 0


@fault("used-crossed", "return each 20th chain of a queue in another one")
def _used_crossed(step: Returning) -> None:
    if step.others and not next(_served) % _SELDOM:
        step.returned_in = step.signals = min(step.others)
        step.interrupt = True


@fault("order-swapped", "return the later of two chains first, also with IN_ORDER")
def _order_swapped(step: Returning) -> None:
    queue, key = step.queue, id(step.queue)
    if key in _held:
        chain, length = _held.pop(key)
        step.then = lambda: queue.push(chain, length)
    elif queue.more:
        _held[key] = step.chain, step.length
        step.times = 0


@fault("flags-unequal", "give used descriptors one of their two flags only", ring="packed")
def _flags_unequal(step: Returning) -> None:
    _change_flags(step, _AVAIL_FLAG)


@fault("write-flag-lost", "leave WRITE out of used descriptors", ring="packed")
def _write_flag_lost(step: Returning) -> None:
    _change_flags(step, WRITE)


def _change_flags(step: Returning, flip: int) -> None:
    queue, chain, length = step.queue, step.chain, step.length
    if not isinstance(queue, PackedQueue):
        return
    step.times = 0

    def push() -> None:
        queue.push(chain, length, flip)

    step.then = push


@fault("slot-last", "write used descriptors where their list ends", ring="packed")
def _slot_last(step: Returning) -> None:
    queue, chain = step.queue, step.chain
    if isinstance(queue, PackedQueue) and chain.slots > 1:
        ahead = chain.slots - 1
        step.chain = replace(chain, slots=1)
        for _ in range(ahead):
            queue.skip()


@fault("list-cleared", "mark each descriptor of a list used", ring="packed")
def _list_cleared(step: Returning) -> None:
    queue, chain, length = step.queue, step.chain, step.length
    if not isinstance(queue, PackedQueue):
        return
    step.times = 0

    def push() -> None:
        for _ in range(chain.slots):
            queue.push(replace(chain, slots=1), length)

    step.then = push


@fault("address-cleared", "clear the address of used descriptors", ring="packed")
def _address_cleared(step: Returning) -> None:
    if isinstance(step.queue, PackedQueue):
        at = DESC_BYTES * step.queue.used
        step.writes.append((step.queue.desc[at : at + 8], bytes(8)))


@fault("entry-cleared", "clear entries of the available ring that it took", ring="split")
def _entry_cleared(step: Returning) -> None:
    queue = step.queue
    if isinstance(queue, SplitQueue):
        at = 4 + 2 * ((queue.next - 1) % queue.size)
        step.writes.append((queue.driver[at : at + 2], b"\xff\xff"))


@fault("descriptor-consumed", "leave a length of 0 in descriptors that it used up", ring="split")
def _descriptor_consumed(step: Returning) -> None:
    queue = step.queue
    if isinstance(queue, SplitQueue):
        at = DESC_BYTES * step.chain.id + 8
        step.writes.append((queue.desc[at : at + 4], bytes(4)))


@fault("available-index-written", "take the available index back to what it took", ring="split")
def _available_index_written(step: Returning) -> None:
    if isinstance(step.queue, SplitQueue):
        step.writes.append((step.queue.driver[2:4], struct.pack("<H", step.queue.next)))


@fault("suppression-written", "disable its interrupts in the driver's own area")
def _suppression_written(step: Returning) -> None:
    queue = step.queue
    if isinstance(queue, PackedQueue):
        step.writes.append((queue.driver[2:4], struct.pack("<H", 1)))
    elif isinstance(queue, SplitQueue) and queue.event_idx:
        at, never = 4 + 2 * queue.size, (queue.used - 1) % (1 << 16)
        step.writes.append((queue.driver[at : at + 2], struct.pack("<H", never)))
    else:
        step.writes.append((queue.driver[:2], struct.pack("<H", 1)))


@fault("table-written", "write into indirect tables")
def _table_written(step: Returning) -> None:
    queue = step.queue
    packed = isinstance(queue, PackedQueue)
    at = queue.used if isinstance(queue, PackedQueue) else step.chain.id
    address, length, third, fourth = _DESC.unpack_from(queue.desc, DESC_BYTES * at)
    if (fourth if packed else third) & INDIRECT and length >= DESC_BYTES:
        step.writes.append((step.memory.at(address + 8, 4), b"\xa5\xa5\xa5\xa5"))


@fault("payload-written", "write into data that the driver sends")
def _payload_written(step: Returning) -> None:
    if len(step.chain.readable) > 1:
        address, length = step.chain.readable[-1]
        step.writes.append((step.memory.at(address + length - 1, 1), b"\xa5"))


def _index_kept(queue: Queue) -> None:
    """Begin where the life before ended, which a queue that is new has not."""
    if isinstance(queue, SplitQueue) and _indices:
        queue.used = max(_indices)


def _index_noted(queue: Queue) -> None:
    if isinstance(queue, SplitQueue):
        _indices.append(queue.used)


def _used_late(queue: Queue) -> None:
    """Return something when the driver was promised that nothing comes any more."""
    wrote = Chain(0, 1, (), ((0, 1),))
    timer = threading.Timer(MOMENT, lambda: queue.push(wrote, 1))
    timer.daemon = True
    timer.start()


def _first_index(queue: Queue) -> None:
    """Publish an entry before there was anything to return."""
    if isinstance(queue, SplitQueue):
        store16(queue.device, 2, (load16(queue.device, 2) + 1) % (1 << 16))


for _more in (
    DeviceFault(
        "index-kept",
        "begin a life with the used index of the one before",
        ring="split",
        begins=_index_kept,
        stops=_index_noted,
    ),
    DeviceFault("used-after-stop", "return a chain when the queue is stopped", stops=_used_late),
    DeviceFault(
        "index-not-zero", "begin with a used index of 1", ring="split", begins=_first_index
    ),
):
    FAULTS[_more.name] = _more
