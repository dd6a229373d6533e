# SPDX-License-Identifier: GPL-2.0-only
"""Deliberate faults of where and how values lie in a ring: places, widths, byte orders, rounds."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import replace

from pykit.device.faults import FAULTS, MOMENT, DeviceFault, Returning, fault
from pykit.device.memory import load16, store16
from pykit.device.queue import PackedQueue, Queue, SplitQueue
from pykit.spec import bits

_USED = struct.Struct("<II")
_WRAP_BIT, _AT_DESCRIPTOR = 1 << 15, 2
_BOTH_FLAGS = 1 << 7 | 1 << 15
#: Each so many chains is treated otherwise than the others.
_SELDOM = 20


@fault("id-zero", "return id 0, whatever was taken")
def _id_zero(step: Returning) -> None:
    step.chain = replace(step.chain, id=0)


@fault("id-big-endian", "return ids in the other byte order")
def _id_big_endian(step: Returning) -> None:
    size = 4 if isinstance(step.queue, SplitQueue) else 2
    swapped = int.from_bytes(step.chain.id.to_bytes(size, "little"), "big")
    step.chain = replace(step.chain, id=swapped)


@fault("length-big-endian", "return used lengths in the other byte order")
def _length_big_endian(step: Returning) -> None:
    step.length = int.from_bytes(step.length.to_bytes(4, "little"), "big")


@fault("length-sectors", "return used lengths in sectors")
def _length_sectors(step: Returning) -> None:
    step.length //= bits.SECTOR


@fault("index-masked", "take the used index back to 0 where the ring ends", ring="split")
def _index_masked(step: Returning) -> None:
    queue = step.queue
    if isinstance(queue, SplitQueue) and (queue.used + 1) % queue.size == 0:
        queue.used = 0xFFFF


@fault("index-flickers", "publish a used entry more for a moment", ring="split")
def _index_flickers(step: Returning) -> None:
    queue = step.queue

    def flicker() -> None:
        if isinstance(queue, SplitQueue):
            store16(queue.device, 2, (queue.used + 1) % (1 << 16))
            time.sleep(MOMENT)
            store16(queue.device, 2, queue.used)

    step.then = flicker


def _push_to(step: Returning, slot: Callable[[SplitQueue], int]) -> None:
    """Write the used entry to the slot that ``slot`` says, by the index before it."""
    queue, chain, length = step.queue, step.chain, step.length
    if not isinstance(queue, SplitQueue):
        return
    step.times = 0

    def push() -> None:
        at = 4 + 8 * slot(queue)
        queue.device[at : at + 8] = _USED.pack(chain.id, length)
        queue.used = (queue.used + 1) % (1 << 16)
        store16(queue.device, 2, queue.used)

    step.then = push


@fault("slot-behind", "write used entries one slot too far", ring="split")
def _slot_behind(step: Returning) -> None:
    _push_to(step, lambda queue: (queue.used + 1) % queue.size)


@fault("used-ring-shorter", "write used entries as into a ring of one less", ring="split")
def _used_ring_shorter(step: Returning) -> None:
    _push_to(step, lambda queue: queue.used % (queue.size - 1))


@fault("wrap-of-available", "write used descriptors by the other wrap counter", ring="packed")
def _wrap_of_available(step: Returning) -> None:
    queue, chain, length = step.queue, step.chain, step.length
    if isinstance(queue, PackedQueue) and queue.wrap != queue.used_wrap:
        step.times = 0
        step.then = lambda: queue.push(chain, length, _BOTH_FLAGS)


@fault("slots-of-table", "count the descriptors of a table as the ring's", ring="packed")
def _slots_of_table(step: Returning) -> None:
    chain = step.chain
    step.chain = replace(chain, slots=len(chain.readable) + len(chain.writable))


@fault("taken-again", "take each 20th chain a second time", ring="split")
def _taken_again(step: Returning) -> None:
    queue = step.queue
    if isinstance(queue, SplitQueue) and queue.used % _SELDOM == _SELDOM - 1:
        # Its second time is the used index behind.
        queue.next = (queue.next - 1) % (1 << 16)


@fault("event-read-misplaced", "read used_event one place before it", ring="split")
def _event_read_misplaced(step: Returning) -> None:
    queue = step.queue
    if isinstance(queue, SplitQueue) and queue.event_idx:
        event = load16(queue.driver, 4 + 2 * (queue.size - 1))
        step.interrupt = event == queue.used


def _event_misplaced(queue: Queue) -> None:
    """Lay avail_event over the length of the last used entry, as with a size that is one less."""
    if not isinstance(queue, SplitQueue) or not queue.event_idx:
        return

    def request() -> None:
        store16(queue.device, 4 + 8 * (queue.size - 1), queue.next)

    _instead(queue, request)


def _asks_once(queue: Queue) -> None:
    """Ask when a queue begins, and never again."""
    asked = queue.request_notifications
    first = [True]

    def request() -> None:
        if first and first.pop():
            asked()

    _instead(queue, request)


def _area_swapped(queue: Queue) -> None:
    """Write the two fields of the device's event suppression structure in the other order."""
    if not isinstance(queue, PackedQueue) or not queue.event_idx:
        return

    def request() -> None:
        store16(queue.device, 2, queue.next | (_WRAP_BIT if queue.wrap else 0))
        store16(queue.device, 0, _AT_DESCRIPTOR)

    _instead(queue, request)


def _first_round(queue: Queue) -> None:
    if not isinstance(queue, PackedQueue) or not queue.event_idx:
        return

    def request() -> None:
        store16(queue.device, 0, queue.next | _WRAP_BIT)
        store16(queue.device, 2, _AT_DESCRIPTOR)

    _instead(queue, request)


def _instead(queue: Queue, request: Callable[[], None]) -> None:
    setattr(queue, "request_notifications", request)  # noqa: B010 - mypy knows methods as fixed


def _round_zero(queue: Queue) -> None:
    if isinstance(queue, PackedQueue):
        queue.used_wrap = False


for _more in (
    DeviceFault(
        "event-misplaced",
        "write avail_event over the last used entry",
        ring="split",
        begins=_event_misplaced,
    ),
    DeviceFault("asks-once", "ask for notifications when a queue begins only", begins=_asks_once),
    DeviceFault(
        "area-swapped",
        "swap offset and flags of what it asks for",
        ring="packed",
        begins=_area_swapped,
    ),
    DeviceFault(
        "asks-first-round",
        "ask for notifications in the first round always",
        ring="packed",
        begins=_first_round,
    ),
    DeviceFault(
        "wrap-zero", "begin with a used wrap counter of 0", ring="packed", begins=_round_zero
    ),
):
    FAULTS[_more.name] = _more
