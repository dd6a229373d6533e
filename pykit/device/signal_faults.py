# SPDX-License-Identifier: GPL-2.0-only
"""Deliberate faults of notifications: when the device interrupts, and what it asks for."""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from weakref import WeakKeyDictionary

from pykit.device.faults import FAULTS, DeviceFault, Returning, fault
from pykit.device.memory import load16, store16
from pykit.device.queue import PackedQueue, Queue, SplitQueue

_WRAP = 1 << 16
_WRAP_BIT = 1 << 15
_AT_DESCRIPTOR = 2
_DISABLED = 1

#: Long enough for a driver at work, in seconds.
_POLLED = 0.002

#: What the driver wanted at first, by queue.
_suppression: WeakKeyDictionary[Queue, bytes] = WeakKeyDictionary()
#: By queue, whether a batch of chains has begun.
_batches: WeakKeyDictionary[Queue, bool] = WeakKeyDictionary()
_returned: dict[int, itertools.count[int]] = defaultdict(lambda: itertools.count(1))


@fault("interrupt-early", "interrupt before the chain is returned")
def _interrupt_early(step: Returning) -> None:
    step.early, step.interrupt = True, True


@fault("interrupt-odd", "interrupt for each second chain only")
def _interrupt_odd(step: Returning) -> None:
    if next(_returned[id(step.queue)]) % 2:
        step.interrupt = False


@fault("interrupt-crossed", "interrupt for another queue")
def _interrupt_crossed(step: Returning) -> None:
    if step.others:
        step.signals = min(step.others)


@fault("event-last-only", "compare the driver's event index with a batch's last entry only")
def _event_last_only(step: Returning) -> None:
    queue = step.queue
    if not queue.event_idx:
        return
    if queue.more:
        step.interrupt = False
    elif isinstance(queue, SplitQueue):
        step.interrupt = load16(queue.driver, 4 + 2 * queue.size) == queue.used
    elif isinstance(queue, PackedQueue) and load16(queue.driver, 2) == _AT_DESCRIPTOR:
        here = queue.used | (_WRAP_BIT if queue.used_wrap else 0)
        step.interrupt = load16(queue.driver, 0) == here


@fault("event-wrap-flipped", "take the driver's event offset for the other round", ring="packed")
def _event_wrap_flipped(step: Returning) -> None:
    queue = step.queue
    if isinstance(queue, PackedQueue) and load16(queue.driver, 2) == _AT_DESCRIPTOR:
        event = load16(queue.driver, 0)
        same = bool(event & _WRAP_BIT) != queue.used_wrap
        ahead = (event & ~_WRAP_BIT) - queue.used + (0 if same else queue.size)
        step.interrupt = 0 <= ahead < step.chain.slots


@fault("disable-ignored", "take the driver's flag that it wants no interrupt for the opposite")
def _disable_ignored(step: Returning) -> None:
    queue = step.queue
    if isinstance(queue, SplitQueue) and not queue.event_idx:
        step.interrupt = bool(load16(queue.driver, 0) & 1)
    elif isinstance(queue, PackedQueue) and not queue.event_idx:
        step.interrupt = load16(queue.driver, 2) == _DISABLED


@fault("suppression-kept", "go by what the driver wanted at a queue's first chain")
def _suppression_kept(step: Returning) -> None:
    _decide_by(step, _suppression.setdefault(step.queue, bytes(step.queue.driver)))


@fault("suppression-early", "look at what the driver wants before it returns a chain")
def _suppression_early(step: Returning) -> None:
    _decide_by(step, bytes(step.queue.driver))


def _decide_by(step: Returning, seen: bytes) -> None:
    """Decide on an interrupt by an older copy of the driver's area."""
    queue = step.queue

    def decide() -> None:
        # A driver that polls has time to change its mind.
        time.sleep(_POLLED)
        now, queue.driver = queue.driver, memoryview(seen)
        step.interrupt = queue.interrupt_wanted()
        queue.driver = now

    step.then = decide


@fault("interrupt-first-of-batch", "interrupt for the first chain of a batch only")
def _interrupt_first_of_batch(step: Returning) -> None:
    if _batches.get(step.queue, False):
        step.interrupt = False
    _batches[step.queue] = step.queue.more


@fault("interrupt-behind", "decide on an interrupt before the chain is returned")
def _interrupt_behind(step: Returning) -> None:
    step.early = True


def _one_late(queue: Queue) -> None:
    if not queue.event_idx:
        return
    if isinstance(queue, SplitQueue):
        store16(queue.device, 4 + 8 * queue.size, (queue.next + 1) % _WRAP)
    elif isinstance(queue, PackedQueue):
        at, wrap = queue.next + 1, queue.wrap
        if at == queue.size:
            at, wrap = 0, not wrap
        store16(queue.device, 0, at | (_WRAP_BIT if wrap else 0))


def _other_round(queue: Queue) -> None:
    if isinstance(queue, PackedQueue) and queue.event_idx:
        store16(queue.device, 0, queue.next | (0 if queue.wrap else _WRAP_BIT))


def _offset_alone(queue: Queue) -> None:
    if isinstance(queue, PackedQueue) and not queue.event_idx:
        store16(queue.device, 0, queue.next | (_WRAP_BIT if queue.wrap else 0))
        store16(queue.device, 2, _AT_DESCRIPTOR)


def _flag_beside_event(queue: Queue) -> None:
    if isinstance(queue, SplitQueue) and queue.event_idx:
        store16(queue.device, 0, 1)


def _masked(queue: Queue) -> None:
    """Ask for a place in the ring, as if the indices were no more than that."""
    if isinstance(queue, SplitQueue) and queue.event_idx:
        store16(queue.device, 4 + 8 * queue.size, queue.next % queue.size)


def _event_unasked(queue: Queue) -> None:
    """The place is a legacy driver's padding, or nothing at all, where it was not agreed."""
    if isinstance(queue, SplitQueue) and not queue.event_idx:
        store16(queue.device, 4 + 8 * queue.size, queue.next)


for _more in (
    DeviceFault("event-one-late", "ask for the notification one chain too late", asks=_one_late),
    DeviceFault("event-masked", "ask by a place in the ring", ring="split", asks=_masked),
    DeviceFault(
        "asks-other-round",
        "ask for a notification in the other round",
        ring="packed",
        asks=_other_round,
    ),
    DeviceFault(
        "asks-by-offset",
        "ask by an event offset without EVENT_IDX",
        ring="packed",
        asks=_offset_alone,
    ),
    DeviceFault(
        "flag-beside-event",
        "set the flag against notifications with EVENT_IDX",
        ring="split",
        asks=_flag_beside_event,
    ),
    DeviceFault(
        "event-unasked", "write avail_event without EVENT_IDX", ring="split", asks=_event_unasked
    ),
    DeviceFault("recheck-missing", "ask for notifications, and look no more", forgets=True),
):
    FAULTS[_more.name] = _more
