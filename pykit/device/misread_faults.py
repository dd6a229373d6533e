# SPDX-License-Identifier: GPL-2.0-only
"""Deliberate faults of how a device walks a ring: what it takes for what, and for how long."""

from __future__ import annotations

import itertools
import struct
import time
from collections.abc import Iterator
from dataclasses import replace
from weakref import WeakKeyDictionary

from pykit.device.faults import FAULTS, MOMENT, DeviceFault, Returning, fault
from pykit.device.memory import load16, store16
from pykit.device.queue import Chain, PackedQueue, Queue, SplitQueue
from pykit.spec import bits
from pykit.spec.bits import DESC_BYTES, NEXT

_WRAP = 1 << 16
_WRAP_BIT, _DISABLED, _AT_DESCRIPTOR, _RESERVED = 1 << 15, 1, 2, 3
#: Each so many chains is treated otherwise than the others; so many are served before a change.
_FEW, _SELDOM, _ENOUGH = 16, 20, 64

_numbers: WeakKeyDictionary[Queue, itertools.count[int]] = WeakKeyDictionary()


def _number(queue: Queue) -> int:
    """Count the chains of a queue, from 1."""
    return next(_numbers.setdefault(queue, itertools.count(1)))


@fault("index-torn", "publish the used index a byte at a time", ring="split")
def _index_torn(step: Returning) -> None:
    queue, chain, length = step.queue, step.chain, step.length
    if not isinstance(queue, SplitQueue) or (queue.used + 1) & 0xFF:
        return
    step.times = 0

    def push() -> None:
        index = (queue.used + 1) % _WRAP
        store16(queue.device, 2, queue.used & 0xFF00)
        time.sleep(MOMENT)
        queue.push(chain, length)
        store16(queue.device, 2, index)

    step.then = push


@fault("id-late", "write the id when its entry is used already")
def _id_late(step: Returning) -> None:
    queue, chain = step.queue, step.chain
    step.chain = replace(chain, id=(chain.id + 1) % queue.size)

    def write() -> None:
        time.sleep(MOMENT)
        if isinstance(queue, PackedQueue):
            at = DESC_BYTES * ((queue.used - chain.slots) % queue.size) + 12
            store16(queue.desc, at, chain.id)
        elif isinstance(queue, SplitQueue):
            at = 4 + 8 * ((queue.used - 1) % queue.size)
            queue.device[at : at + 4] = struct.pack("<I", chain.id)

    step.then = write


@fault("each-descriptor-returned", "return each descriptor of a chain", ring="split")
def _each_descriptor_returned(step: Returning) -> None:
    queue, chain, length = step.queue, step.chain, step.length
    if not isinstance(queue, SplitQueue):
        return
    heads = list(_links(queue, chain.id))

    def push() -> None:
        for head in heads:
            queue.push(replace(chain, id=head), length)

    step.then = push


def _links(queue: SplitQueue, head: int) -> Iterator[int]:
    at = head
    for _ in range(queue.size):
        _, _, flags, following = struct.unpack_from("<QIHH", queue.desc, DESC_BYTES * at)
        if not flags & NEXT or following >= queue.size:
            return
        at = following
        yield at


@fault("status-wide", "write the status as four bytes")
def _status_wide(step: Returning) -> None:
    if step.chain.writable and step.writes:
        address, length = step.chain.writable[-1]
        (_, status), at = step.writes[-1], address + length - 1
        step.writes[-1] = (step.memory.at(at, 4), status + bytes(3))


@fault("interrupt-stops", "interrupt for the first 64 chains of a queue only")
def _interrupt_stops(step: Returning) -> None:
    if _number(step.queue) > _ENOUGH:
        step.interrupt = False


@fault("slots-more", "go on one slot too far behind each 20th list", ring="packed")
def _slots_more(step: Returning) -> None:
    if not _number(step.queue) % _SELDOM:
        step.chain = replace(step.chain, slots=step.chain.slots + 1)


@fault("wrap-early", "change the wrap counter one slot before the ring's end", ring="packed")
def _wrap_early(step: Returning) -> None:
    queue, chain, length = step.queue, step.chain, step.length
    if isinstance(queue, PackedQueue) and queue.used == queue.size - 1:
        step.times = 0
        step.then = lambda: queue.push(chain, length, 1 << 7 | 1 << 15)


@fault("next-slot-touched", "write into the descriptor behind the used one", ring="packed")
def _next_slot_touched(step: Returning) -> None:
    queue = step.queue
    if not isinstance(queue, PackedQueue):
        return

    def touch() -> None:
        if not queue.more:
            at = DESC_BYTES * queue.next
            queue.desc[at + 8 : at + 12] = struct.pack("<I", 0xA5A5)

    step.then = touch


@fault("used-slot-touched", "write into a used descriptor again", ring="packed")
def _used_slot_touched(step: Returning) -> None:
    queue, chain = step.queue, step.chain
    if not isinstance(queue, PackedQueue):
        return

    def touch() -> None:
        time.sleep(MOMENT)
        at = DESC_BYTES * ((queue.used - chain.slots) % queue.size)
        queue.desc[at : at + 8] = struct.pack("<Q", 0xA5A5)

    step.then = touch


@fault("index-jumps", "move the used index on by a ring's size behind the 64th chain", ring="split")
def _index_jumps(step: Returning) -> None:
    queue = step.queue
    if isinstance(queue, SplitQueue) and _number(queue) == _ENOUGH:
        queue.used = (queue.used + queue.size) % _WRAP


@fault("available-exposed", "make an entry of its own available behind each 20th", ring="split")
def _available_exposed(step: Returning) -> None:
    queue = step.queue
    if isinstance(queue, SplitQueue) and not _number(queue) % _SELDOM:
        index = (load16(queue.driver, 2) + 1) % _WRAP
        step.writes.append((queue.driver[2:4], struct.pack("<H", index)))


@fault("entry-unwritten", "leave each 20th used entry as it was", ring="split")
def _entry_unwritten(step: Returning) -> None:
    queue = step.queue
    if not isinstance(queue, SplitQueue) or _number(queue) % _SELDOM:
        return
    step.times = 0

    def move() -> None:
        queue.used = (queue.used + 1) % _WRAP
        store16(queue.device, 2, queue.used)

    step.then = move


@fault("header-cleared", "clear the header of a request")
def _header_cleared(step: Returning) -> None:
    if step.chain.readable:
        address, length = step.chain.readable[0]
        size = min(length, bits.HEADER_BYTES)
        step.writes.append((step.memory.at(address, size), bytes(size)))


@fault("length-rounded", "round used lengths up to whole pages")
def _length_rounded(step: Returning) -> None:
    step.length = (step.length + 4095) // 4096 * 4096


def _asks_for_past(queue: Queue) -> None:
    """Ask for a notification of the chain that it took last."""
    if not queue.event_idx:
        return
    if isinstance(queue, SplitQueue):
        store16(queue.device, 4 + 8 * queue.size, (queue.next - 1) % _WRAP)
    elif isinstance(queue, PackedQueue):
        at, wrap = queue.next - 1, queue.wrap
        if at < 0:
            at, wrap = queue.size - 1, not wrap
        store16(queue.device, 0, at | (_WRAP_BIT if wrap else 0))


def _asks_reserved(queue: Queue) -> None:
    if isinstance(queue, PackedQueue):
        store16(queue.device, 2, _RESERVED)


def _asks_outside(queue: Queue) -> None:
    if isinstance(queue, PackedQueue) and queue.event_idx:
        store16(queue.device, 0, queue.size + 1 | (_WRAP_BIT if queue.wrap else 0))
        store16(queue.device, 2, _AT_DESCRIPTOR)


def _disabled_later(queue: Queue) -> None:
    """Disable notifications for good when some chains were served."""
    if _number(queue) <= _FEW:
        return
    if isinstance(queue, PackedQueue):
        store16(queue.device, 2, _DISABLED)
    elif isinstance(queue, SplitQueue) and not queue.event_idx:
        store16(queue.device, 0, 1)


def _ring_shorter(queue: Queue) -> None:
    """Read the available ring as if it had one entry less."""
    if not isinstance(queue, SplitQueue):
        return

    def pop() -> Chain | None:
        if not queue.more:
            return None
        at = queue.next % (queue.size - 1)
        queue.next = (queue.next + 1) % _WRAP
        return queue.again(load16(queue.driver, 4 + 2 * at))

    setattr(queue, "pop", pop)  # noqa: B010 - mypy knows methods as fixed


def _links_ignored(queue: Queue) -> None:
    """Go on with the descriptor behind, whatever a link says."""
    if not isinstance(queue, SplitQueue):
        return

    def follow(head: int) -> Iterator[tuple[int, int, int, int]]:
        at = head
        for _ in range(queue.size):
            if not queue._descriptor(at)[2] & NEXT:
                return
            at = (at + 1) % queue.size
            yield queue._descriptor(at)

    setattr(queue, "_follow", follow)  # noqa: B010 - mypy knows methods as fixed


def _descriptor_cached(queue: Queue) -> None:
    """Take a head's buffers for those that it had at first."""
    pop = queue.pop
    known: dict[int, Chain] = {}

    def cached() -> Chain | None:
        chain = pop()
        return None if chain is None else known.setdefault(chain.id, chain)

    setattr(queue, "pop", cached)  # noqa: B010 - mypy knows methods as fixed


def _kick_missed(queue: Queue) -> None:
    """Look at nothing at each fourth notification."""
    pop, looks, missed = queue.pop, itertools.count(1), [0, 0]

    def look() -> Chain | None:
        # A look that finds nothing is followed by one more, which ends it.
        if missed[0]:
            missed[0] -= 1
            return None
        if missed[1] > 1:
            missed[1] = 0
            if not next(looks) % 4:
                missed[0] = 1
                return None
        chain = pop()
        missed[1] = 0 if chain is not None else missed[1] + 1
        return chain

    setattr(queue, "pop", look)  # noqa: B010 - mypy knows methods as fixed


for _more in (
    DeviceFault(
        "asks-for-past", "ask for a notification of the last chain taken", asks=_asks_for_past
    ),
    DeviceFault("asks-reserved", "ask by reserved flags", ring="packed", asks=_asks_reserved),
    DeviceFault(
        "asks-outside", "ask by an offset outside the ring", ring="packed", asks=_asks_outside
    ),
    DeviceFault("disabled-later", "ask for nothing behind the 16th time", asks=_disabled_later),
    DeviceFault(
        "ring-shorter", "read the available ring as one shorter", ring="split", begins=_ring_shorter
    ),
    DeviceFault(
        "links-ignored", "go on with the descriptor behind", ring="split", begins=_links_ignored
    ),
    DeviceFault(
        "descriptor-cached", "use the buffers that a head had first", begins=_descriptor_cached
    ),
    DeviceFault("kick-missed", "look at nothing at each fourth notification", begins=_kick_missed),
):
    FAULTS[_more.name] = _more
