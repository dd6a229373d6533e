# SPDX-License-Identifier: GPL-2.0-only
"""Overwrite ring memory all the while, between two reads of a driver (double fetch).

A driver that reads a field twice gets two values. These faults run beside the serving of chains;
what was there is put back, and never overwritten while the device itself reads, so that requests
go on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pykit.device.queue import PackedQueue, Queue, SplitQueue
from pykit.spec import bits

Array = npt.NDArray[Any]

#: Beyond every queue; an address and a length that no guest has.
_ID, _ADDRESS, _LENGTH = 0xFFFF, 0x7FFF_FFFF_FFFF_F000, 0xFFFF_FFF0
_DESC = np.dtype([("addr", "<u8"), ("len", "<u4"), ("third", "<u2"), ("fourth", "<u2")])
_USED = np.dtype([("id", "<u4"), ("len", "<u4")])
#: How long values stay, and how long the device may work undisturbed.
_PAUSE_S = 50e-6


@dataclass(frozen=True)
class Overwritten:
    """Elements of a field of the ring, and the value that they get."""

    field: Array
    at: Array
    wild: int


#: What of a queue is overwritten now.
OverwrittenNow = Callable[[Queue], list[Overwritten]]


class Overwriter:
    """A thread that overwrites one queue's memory until it is stopped.

    Attributes:
        lock: to be held while the device reads or writes the queue.
    """

    def __init__(self, queue: Queue, targets: OverwrittenNow) -> None:
        self.lock = threading.Lock()
        self._queue, self._targets = queue, targets
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped.is_set():
            with self.lock:
                targets = self._targets(self._queue)
                own = [target.field[target.at] for target in targets]
                for target in targets:
                    target.field[target.at] = target.wild
                time.sleep(_PAUSE_S)
                for target, before in zip(targets, own, strict=True):
                    now = target.field[target.at]
                    # What the driver wrote in between stays.
                    target.field[target.at] = np.where(now == target.wild, before, now)
            time.sleep(_PAUSE_S)

    def stop(self) -> None:
        """End the thread, so that the queue's memory can be unmapped."""
        self._stopped.set()
        self._thread.join()


def ids_of_descriptors(queue: Queue) -> list[Overwritten]:
    """Packed queues: an id that there is not in each available descriptor."""
    if not isinstance(queue, PackedQueue):
        return []
    descriptors = np.frombuffer(queue.desc, _DESC)
    flags = descriptors["fourth"]
    available = np.flatnonzero((flags >> 7 ^ flags >> 15) & 1)
    return [Overwritten(descriptors["third"], available, _ID)]


def links_of_descriptors(queue: Queue) -> list[Overwritten]:
    """Split queues: a link to a descriptor that there is not."""
    if not isinstance(queue, SplitQueue):
        return []
    return [Overwritten(np.frombuffer(queue.desc, _DESC)["fourth"], np.arange(queue.size), _ID)]


def indirect_tables(queue: Queue) -> list[Overwritten]:
    """An address outside of all memory and the greatest length for each indirect table."""
    descriptors = np.frombuffer(queue.desc, _DESC)
    flags = descriptors["fourth" if isinstance(queue, PackedQueue) else "third"]
    tables = np.flatnonzero(flags & bits.INDIRECT)
    return [
        Overwritten(descriptors["len"], tables, _LENGTH),
        Overwritten(descriptors["addr"], tables, _ADDRESS),
    ]


def ids_of_used_entries(queue: Queue) -> list[Overwritten]:
    """Split queues: an id that there is not in each used entry."""
    if not isinstance(queue, SplitQueue):
        return []
    used = np.frombuffer(queue.device, _USED, queue.size, 4)["id"]
    return [Overwritten(used, np.arange(queue.size), _ID)]
