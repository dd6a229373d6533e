# SPDX-License-Identifier: GPL-2.0-only
"""Descriptors that the tap waits for, and what it does when they are ready."""

from __future__ import annotations

import os
import select
from collections.abc import Callable

#: Descriptors that are seen ready by one call; the rest is by the next.
_AT_ONCE = 64


class Watch:
    """An epoll set.

    A descriptor that a peer has as well stays in the set when ours is closed, so it has to be
    dropped first: ``close`` does both.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._acts: dict[int, Callable[[], None]] = {}
        self._changed = False

    def add(self, fd: int, act: Callable[[], None]) -> None:
        """Call ``act`` whenever a descriptor is ready to be read."""
        self.drop(fd)
        self._epoll.register(fd, select.EPOLLIN)
        self._acts[fd] = act

    def drop(self, fd: int) -> None:
        """Do not wait for a descriptor any more."""
        if self._acts.pop(fd, None) is not None:
            self._epoll.unregister(fd)
            self._changed = True

    def close(self, fd: int) -> None:
        """Drop and close a descriptor; -1 is none."""
        if fd >= 0:
            self.drop(fd)
            os.close(fd)

    def wait(self, seconds: float) -> bool:
        """Wait at most so long, and do what is due; return whether anything was.

        Where something was dropped meanwhile, the rest is left for the next call: its numbers may
        be other descriptors' by now.
        """
        self._changed = False
        found = self._epoll.poll(seconds, _AT_ONCE)
        for fd, _ in found:
            act = self._acts.get(fd)
            if act is not None:
                act()
            if self._changed:
                break
        return bool(found)

    def end(self) -> None:
        """Close the set."""
        self._epoll.close()
