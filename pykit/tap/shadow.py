# SPDX-License-Identifier: GPL-2.0-only
"""Memory of the tap's own that the back-end takes for more of the front-end's."""

from __future__ import annotations

import mmap
import os
import threading

from pykit.vhost_user import REGION

#: Queues that a tap can carry, and bytes for the areas of each: a packed ring of 32768 descriptors
#: takes half a MiB, a split one with a table of its own somewhat more.
QUEUES, ROOM = 64, 1 << 20
#: Where no front-end has memory: guest-physical, and among its user addresses.
GUEST_ADDRESS, USER_ADDRESS = 1 << 44, 1 << 47 | 1 << 44

_LOCK = threading.Lock()


def fence() -> None:
    """Keep loads behind this from passing stores before it: taking a lock does."""
    with _LOCK:
        pass


class ShadowMemory:
    """One sparse file with room for the rings of each queue.

    Attributes:
        fd: the file, to be handed to the back-end.
        region: the payload of a message that describes it.
    """

    def __init__(self) -> None:
        size = QUEUES * ROOM
        self.fd = os.memfd_create("pykit-tap", os.MFD_CLOEXEC)
        os.ftruncate(self.fd, size)
        self._map = mmap.mmap(self.fd, size)
        self.region = REGION.pack(GUEST_ADDRESS, size, USER_ADDRESS, 0)

    def area(self, queue: int, offset: int, length: int) -> memoryview:
        """Bytes of one queue's room."""
        start = queue * ROOM + offset
        return memoryview(self._map)[start : start + length]

    @staticmethod
    def user(queue: int, offset: int) -> int:
        """The user address of a place in one queue's room, as messages name it."""
        return USER_ADDRESS + queue * ROOM + offset

    def close(self) -> None:
        """Give the file back; the mapping goes with the last view of it."""
        os.close(self.fd)
