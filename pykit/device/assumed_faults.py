# SPDX-License-Identifier: GPL-2.0-only
"""Deliberate faults of a device that takes for granted what no driver promises.

Sizes of rings that are powers of two, lists that end before the ring does, requests of few pieces,
numbers of few bits, blocks of one size, a status in a buffer of its own.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from weakref import WeakKeyDictionary

from pykit.device.blk import ServedDisk
from pykit.device.faults import FAULTS, DeviceFault, Returning, fault
from pykit.device.memory import load16, store16
from pykit.device.queue import Chain, PackedQueue, Queue, SplitQueue
from pykit.spec import bits

#: The most buffers of one direction that a device has room for.
_PIECES = 4
#: Sectors in a block of a device that counts by blocks.
_BLOCK = 8

#: What was written, by the sector that the device takes for its place.
_blocks: dict[int, bytes] = {}
#: What disks held at their last flush.
_flushed: WeakKeyDictionary[ServedDisk, bytes] = WeakKeyDictionary()
_disks: list[ServedDisk] = []
#: What they held before the first request.
_begun: WeakKeyDictionary[ServedDisk, bytes] = WeakKeyDictionary()
#: By queue, the chain that is returned together with the next one.
_batches: WeakKeyDictionary[Queue, tuple[Chain, int]] = WeakKeyDictionary()
_announced = itertools.count(1)


def _whole(disk: ServedDisk) -> bytes:
    return disk.get(0, disk.sectors * bits.SECTOR)


@fault("blocks-counted", "take sectors for blocks of 4096 bytes")
def _blocks_counted(step: Returning) -> None:
    if step.sector < 0 or step.status != bits.S_OK:
        return
    first = step.sector * _BLOCK
    if step.kind == bits.T_OUT:
        data = step.sent[bits.HEADER_BYTES :]
        for n in range(len(data) // bits.SECTOR):
            _blocks[first + n] = data[n * bits.SECTOR : (n + 1) * bits.SECTOR]
    elif step.kind == bits.T_IN:
        count = sum(len(part) for _, part in step.writes[:-1]) // bits.SECTOR
        held = (_blocks.get(first + n, bytes(bits.SECTOR)) for n in range(count))
        step.lay(b"".join(held))


@fault("length-halfword", "return used lengths of 16 bits")
def _length_halfword(step: Returning) -> None:
    step.length &= 0xFFFF


@fault("status-at-start", "write the status at the start of the last writable buffer")
def _status_at_start(step: Returning) -> None:
    if step.writes and step.chain.writable:
        address, _ = step.chain.writable[-1]
        *pieces, (_, status) = step.writes
        step.writes = [*pieces, (step.memory.at(address, 1), status)]


@fault("event-by-greater", "interrupt whenever the used index is past the event", ring="split")
def _event_by_greater(step: Returning) -> None:
    queue = step.queue
    if not isinstance(queue, SplitQueue) or not queue.event_idx:
        return

    def decide() -> None:
        step.interrupt = queue.used > load16(queue.driver, 4 + 2 * queue.size)

    step.then = decide


@fault("used-as-change", "announce a change of the configuration for each 16th chain instead")
def _used_as_change(step: Returning) -> None:
    if not next(_announced) % 16:
        step.interrupt, step.announces = False, True


@fault("batch-by-first", "return two chains as one by the first's id, with IN_ORDER")
def _batch_by_first(step: Returning) -> None:
    queue = step.queue
    if queue in _batches:
        chain, length = _batches.pop(queue)
        step.times = 0
        whole = replace(chain, slots=chain.slots + step.chain.slots)

        def push() -> None:
            queue.push(whole, length)
            if isinstance(queue, SplitQueue):
                queue.skip()
                store16(queue.device, 2, queue.used)

        step.then = push
    elif queue.more:
        _batches[queue] = step.chain, step.length
        step.times = 0


@fault("cache-lost", "lose what was written behind the last flush when a queue is stopped")
def _cache_noted(step: Returning) -> None:
    if not isinstance(step.served, ServedDisk):
        return
    disk = step.disk
    if disk not in _flushed or step.kind == bits.T_FLUSH:
        _flushed[disk] = _whole(disk)
        _disks[:] = [disk]


def _cache_lost(queue: Queue) -> None:
    for disk in _disks:
        disk.put(0, _flushed[disk])


@fault("flush-in-vain", "lose what was written since it began, flushed or not, at a stop")
def _begin_noted(step: Returning) -> None:
    if isinstance(step.served, ServedDisk):
        _begun.setdefault(step.disk, _whole(step.disk))


def _all_lost(queue: Queue) -> None:
    for disk, held in _begun.items():
        disk.put(0, held)


def _few_pieces(chain: Chain) -> Chain:
    return replace(chain, readable=chain.readable[:_PIECES], writable=chain.writable[:_PIECES])


def _ends_with_the_ring(queue: Queue) -> None:
    """Find nothing where a list goes on at the ring's start."""
    if not isinstance(queue, PackedQueue):
        return
    taken = queue.pop

    def pop() -> Chain | None:
        at, wrap = queue.next, queue.wrap
        chain = taken()
        if chain is not None and at + chain.slots > queue.size:
            queue.next, queue.wrap = at, wrap
            return None
        return chain

    setattr(queue, "pop", pop)  # noqa: B010 - mypy knows methods as fixed


def _masks(queue: Queue) -> None:
    """Find the place behind a used list by a mask, as in a ring whose size is a power of two."""
    if not isinstance(queue, PackedQueue):
        return

    def advance(slots: int) -> None:
        if queue.used + slots >= queue.size:
            queue.used_wrap = not queue.used_wrap
        queue.used = (queue.used + slots) & (queue.size - 1)

    setattr(queue, "_advance", advance)  # noqa: B010 - mypy knows methods as fixed


for _more in (
    replace(FAULTS["cache-lost"], stops=_cache_lost),
    replace(FAULTS["flush-in-vain"], stops=_all_lost),
    DeviceFault("pieces-few", "take the first four buffers of each direction", takes=_few_pieces),
    DeviceFault(
        "list-over-end",
        "serve no list that goes on at the ring's start",
        ring="packed",
        begins=_ends_with_the_ring,
    ),
    DeviceFault(
        "size-masked",
        "go on in the used ring as if its size were a power of two",
        ring="packed",
        begins=_masks,
    ),
):
    FAULTS[_more.name] = _more
