# SPDX-License-Identifier: GPL-2.0-only
"""Deliberate faults between two chains, two queues, or two lives: one gets what is the other's."""

from __future__ import annotations

import struct
from copy import copy
from dataclasses import replace
from weakref import WeakKeyDictionary

from pykit.device.faults import FAULTS, DeviceFault, Returning, fault
from pykit.device.queue import Chain, Queue, SplitQueue

#: Longer than any buffer.
_LENGTH = struct.pack("<I", 0x7FFFFFFF)

#: By queue, the id of a chain that was returned by the next one's.
_owed: WeakKeyDictionary[Queue, int] = WeakKeyDictionary()
#: The last chain of each queue that was stopped, and the first queue of this life.
_stopped: list[Chain] = []
_last: WeakKeyDictionary[Queue, Chain] = WeakKeyDictionary()
_first: list[SplitQueue] = []


@fault("ids-crossed", "return two chains by each other's id")
def _ids_crossed(step: Returning) -> None:
    queue, own = step.queue, step.chain.id
    if queue in _owed:
        step.chain = replace(step.chain, id=_owed.pop(queue))
    elif (following := copy(queue).pop()) is not None and following.id != own:
        _owed[queue] = own
        step.chain = replace(step.chain, id=following.id)


@fault("entry-changed", "write another length into a used entry later", ring="split")
def _entry_changed(step: Returning) -> None:
    queue = step.queue
    if isinstance(queue, SplitQueue):
        at = 4 + 8 * (queue.used % queue.size) + 4
        step.late = [(queue.device[at : at + 4], _LENGTH)]


@fault("suppression-crossed", "go by what the driver wants of the first queue")
def _suppression_crossed(step: Returning) -> None:
    queue, other = step.queue, step.others.get(0)
    if other is None:
        return

    def decide() -> None:
        mine, queue.driver = queue.driver, other.driver
        step.interrupt = queue.interrupt_wanted()
        queue.driver = mine

    step.then = decide


def _returned_once_more(step: Returning) -> None:
    _last[step.queue] = step.chain
    if _stopped:
        chain = _stopped.pop()
        _stopped.clear()
        own = chain.id == step.chain.id
        number = (chain.id + 1) % step.queue.size if own else chain.id
        step.queue.push(replace(chain, id=number), step.length)


def _last_kept(queue: Queue) -> None:
    if queue in _last:
        _stopped.append(_last[queue])


def _table_of_first(queue: Queue) -> None:
    if not isinstance(queue, SplitQueue):
        return
    if _first:
        queue.desc = _first[0].desc
    else:
        _first.append(queue)


def _first_gone(queue: Queue) -> None:
    _first.clear()


for _more in (
    DeviceFault(
        "returned-in-next-life",
        "return a chain of the life before in the next one",
        change=_returned_once_more,
        stops=_last_kept,
    ),
    DeviceFault(
        "table-crossed",
        "read all queues' descriptors from the first one's table",
        ring="split",
        begins=_table_of_first,
        stops=_first_gone,
    ),
):
    FAULTS[_more.name] = _more
