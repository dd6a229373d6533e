# SPDX-License-Identifier: GPL-2.0-only
"""What is behind a device: its features, its configuration, and what it does with a chain."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from pykit.device.memory import GuestMemory
from pykit.device.queue import Chain

#: Places in the driver's memory, and what goes there.
Writes = list[tuple[memoryview, bytes]]


class Served(ABC):
    """A device of some type, without its queues.

    Attributes:
        features: those of its type that it offers.
    """

    features: int = 0

    @abstractmethod
    def config(self) -> bytes:
        """The configuration space."""

    @abstractmethod
    def serve(self, memory: GuestMemory, chain: Chain, queue: int) -> tuple[int, Writes]:
        """Do what a chain of a queue asks for; return the used length, and what to write."""

    def accepts(self, features: int) -> bool:
        """Whether it can be driven with these features, all of which it offered."""
        return True

    def resized(self) -> bool:
        """Look at what it is made of again; return whether its configuration has changed.

        Raises:
            UsageError: that cannot be used any more.
        """
        return False

    def ready(self, queue: int) -> bool:
        """Whether it has a use for the next chain of a queue."""
        return True

    def due(self) -> Iterable[int]:
        """Queues whose chains it has a use for since it served another one."""
        return ()


def scatter(memory: GuestMemory, chain: Chain, data: bytes, start: int) -> Writes:
    """Lay data into the chain's writable buffers from a position on."""
    found, begin = [], 0
    for address, length in chain.writable:
        low, high = max(start, begin), min(start + len(data), begin + length)
        if low < high:
            view = memory.at(address + low - begin, high - low)
            found.append((view, data[low - start : high - start]))
        begin += length
    return found
