# SPDX-License-Identifier: GPL-2.0-only
"""Overwrite ring memory all the while, between two reads of a driver (double fetch).

Each of these hands a driver that reads a field twice two values. They are no faults of how a
chain is served: they run beside it, and put back what was there, so that most requests go on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pykit.device.queue import PackedQueue, Queue, SplitQueue
from pykit.spec import bits

#: Beyond every queue; an address and a length that no guest has.
_ID, _ADDRESS, _LENGTH = 0xFFFF, 0x7FFF_FFFF_FFFF_F000, 0xFFFF_FFF0
_DESC = np.dtype([("addr", "<u8"), ("len", "<u4"), ("third", "<u2"), ("fourth", "<u2")])
_USED = np.dtype([("id", "<u4"), ("len", "<u4")])

#: One round over a queue.
Round = Callable[[Queue], None]


class Overwriter:
    """A thread that overwrites one queue's memory until it is stopped."""

    def __init__(self, queue: Queue, turn: Round) -> None:
        self._queue, self._turn = queue, turn
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._turn(self._queue)

    def stop(self) -> None:
        """End the thread, so that the queue's memory can be unmapped."""
        self._stopped.set()
        self._thread.join()


def ids_of_descriptors(queue: Queue) -> None:
    """Packed queues: put an id that there is not into each descriptor, then its own again."""
    if isinstance(queue, PackedQueue):
        _swap(np.frombuffer(queue.desc, _DESC)["third"], _ID)


def links_of_descriptors(queue: Queue) -> None:
    """Split queues: link each descriptor to one that there is not, then as it was."""
    if isinstance(queue, SplitQueue):
        _swap(np.frombuffer(queue.desc, _DESC)["fourth"], _ID)


def indirect_tables(queue: Queue) -> None:
    """Put address and length of each indirect table outside of all memory, then back."""
    descriptors = np.frombuffer(queue.desc, _DESC)
    flags = descriptors["fourth" if isinstance(queue, PackedQueue) else "third"]
    tables = np.flatnonzero(flags & bits.INDIRECT)
    addresses, lengths = descriptors["addr"][tables], descriptors["len"][tables]
    descriptors["len"][tables] = _LENGTH
    descriptors["addr"][tables] = _ADDRESS
    descriptors["addr"][tables] = addresses
    descriptors["len"][tables] = lengths


def ids_of_used_entries(queue: Queue) -> None:
    """Put an id that there is not into each used entry, then its own again."""
    if isinstance(queue, SplitQueue):
        _swap(np.frombuffer(queue.device, _USED, queue.size, 4)["id"], _ID)
    else:
        ids_of_descriptors(queue)


def _swap(field: npt.NDArray[np.integer], wild: int) -> None:
    own = field.copy()
    field[:] = wild
    # What the driver wrote in between stays.
    field[:] = np.where(field == wild, own, field)
