# SPDX-License-Identifier: GPL-2.0-only
"""Deliberate faults of a queue's life: what it serves, for how long, and what outlasts a reset."""

from __future__ import annotations

import itertools
import threading
from weakref import WeakKeyDictionary

from pykit.device.faults import FAULTS, MOMENT, DeviceFault, Returning, fault
from pykit.device.queue import Chain, PackedQueue, Queue, SplitQueue
from pykit.spec import bits

#: Chains served before the device stands still.
_ENOUGH = 100

_served = itertools.count(1)
#: By queue, the chain that it holds back, and the memory of the last one.
_held: WeakKeyDictionary[Queue, tuple[Chain, int]] = WeakKeyDictionary()
_last: WeakKeyDictionary[Queue, memoryview] = WeakKeyDictionary()
#: Set when a queue was stopped; where those stood that had served something.
_stopped = threading.Event()
_stood: list[tuple[int, bool, int, bool]] = []


@fault("one-behind", "return a chain when the next one is there")
def _one_behind(step: Returning) -> None:
    queue = step.queue
    before = _held.get(queue)
    _held[queue] = step.chain, step.length
    step.times = 0
    if before is not None:
        chain, length = before
        step.then = lambda: queue.push(chain, length)


@fault("lengths-swapped", "return two chains with each other's length")
def _lengths_swapped(step: Returning) -> None:
    queue = step.queue
    if queue in _held:
        chain, length = _held.pop(queue)
        now, step.length = step.length, length
        step.then = lambda: queue.push(chain, now)
    elif queue.more:
        _held[queue] = step.chain, step.length
        step.times = 0


@fault("queue-deaf", "serve the first queue only")
def _queue_deaf(step: Returning) -> None:
    # The other queues are named: queue 0 is among them unless it is this one.
    if 0 in step.others:
        step.times = 0


@fault("stops-serving", "return no chain behind the 100th")
def _stops_serving(step: Returning) -> None:
    if next(_served) > _ENOUGH:
        step.times = 0


@fault("flush-swallowed", "never return a flush")
def _flush_swallowed(step: Returning) -> None:
    if step.kind == bits.T_FLUSH:
        step.times = 0


def _silent_later(step: Returning) -> None:
    if _stopped.is_set():
        step.interrupt = False


def _noted_stop(queue: Queue) -> None:
    _stopped.set()


def _deaf_later(queue: Queue) -> None:
    """Take nothing any more, as a worker does that was not begun again."""
    if _stopped.is_set():
        setattr(queue, "pop", lambda: None)  # noqa: B010 - mypy knows methods as fixed


def _stood_at(queue: Queue) -> None:
    if isinstance(queue, PackedQueue):
        _stood.append((queue.next, queue.wrap, queue.used, queue.used_wrap))
    elif isinstance(queue, SplitQueue):
        _stood.append((queue.next, True, queue.used, True))


def _goes_on(queue: Queue) -> None:
    """Take chains from where the life before ended."""
    if not _stood:
        return
    at, wrap, used, used_wrap = max(_stood)
    if isinstance(queue, PackedQueue):
        queue.next, queue.wrap, queue.used, queue.used_wrap = at, wrap, used, used_wrap
    elif isinstance(queue, SplitQueue):
        queue.next = at


def _last_noted(step: Returning) -> None:
    if step.writes:
        _last[step.queue] = step.writes[-1][0]


def _writes_later(queue: Queue) -> None:
    """Write into a buffer when the driver was promised that memory is its own again."""
    view = _last.get(queue)
    if view is None:
        return

    def write() -> None:
        view[:1] = b"\xa5"

    timer = threading.Timer(MOMENT, write)
    timer.daemon = True
    timer.start()


for _more in (
    DeviceFault(
        "silent-later", "interrupt in the first life only", change=_silent_later, stops=_noted_stop
    ),
    DeviceFault(
        "deaf-later", "serve nothing in a second life", begins=_deaf_later, stops=_noted_stop
    ),
    DeviceFault(
        "position-kept",
        "take chains of a life from where the one before ended",
        begins=_goes_on,
        stops=_stood_at,
    ),
    DeviceFault(
        "writes-after-stop",
        "write into a buffer when the queue is stopped",
        change=_last_noted,
        stops=_writes_later,
    ),
    DeviceFault("call-kept", "interrupt by the first descriptor that it got", keeps_call=True),
):
    FAULTS[_more.name] = _more
