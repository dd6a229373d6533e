# SPDX-License-Identifier: GPL-2.0-only
"""Memory that a driver shares with a device, watched byte by byte.

Each byte is held twice: in the shared memory, and in a shadow that gets our own writes alone. A
byte that differs was written by the device. Whether it was allowed to is said by a mask, which
grows with each buffer that is exposed and shrinks when the buffer comes back.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pykit.errors import UsageError

Bytes = npt.NDArray[np.uint8]
#: Two values for memory that the device is expected to overwrite: a device that happens to write
#: one of them is seen with the other.
CANARIES = (0xEE, 0x11)
#: The bytes of a word.
_BYTES = np.arange(8)


@dataclass(frozen=True)
class Span:
    """Adjacent bytes of guest memory: first address, and how many."""

    address: int
    length: int

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.address + self.length


class SharedMemory:
    """One region of guest memory in a memfd.

    Args:
        base: guest-physical address of its first byte.
        size: in bytes, a multiple of the page size.
        ram: size of a guest's whole memory from address 0, of which the region is a part; without
            it the memory is the region alone.

    Attributes:
        fd: file descriptor of the memory, to be handed to the device.
        base, size: as given.
    """

    def __init__(self, base: int = 0x10000, size: int = 1 << 18, ram: int = 0) -> None:
        if size <= 0 or size % mmap.PAGESIZE or base % mmap.PAGESIZE:
            raise UsageError(f"memory of {size} bytes at {base:#x}: use whole pages")
        self.base, self.size = base, size
        self.fd = os.memfd_create("pykit-drive", os.MFD_CLOEXEC)
        os.ftruncate(self.fd, ram or size)
        self._map = mmap.mmap(self.fd, size, offset=base if ram else 0)
        self._memory: Bytes = np.frombuffer(self._map, np.uint8)
        self._halves, self._words = self._memory.view("<u2"), self._memory.view(np.uint64)
        #: The same shadow, for stores and for comparisons of many bytes.
        self._own = bytearray(size)
        self._shadow: Bytes = np.frombuffer(self._own, np.uint8)
        self._allowed = np.zeros(size, np.bool_)
        self._next = base

    def close(self) -> None:
        """Give the memory back."""
        del self._memory, self._halves, self._words
        self._map.close()
        os.close(self.fd)

    @property
    def path(self) -> str:
        """A path by which another process of this user opens the memory."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    @property
    def user_address(self) -> int:
        """Address of the region in this process, as vhost-user messages name it."""
        return int(self._memory.ctypes.data)

    def user(self, address: int) -> int:
        """Return the address in this process of a guest-physical one, mapped or not."""
        return self.user_address + address - self.base

    def covers(self, address: int, length: int) -> bool:
        """Whether all of these bytes belong to the region."""
        return self.base <= address and address + length <= self.base + self.size

    def fill(self, canary: int) -> None:
        """Set every byte to ``canary``, forget all buffers, and allow nothing."""
        self._memory[:] = canary
        self._shadow[:] = canary
        self._allowed[:] = False
        self._next = self.base

    def allocate(self, length: int, align: int = 16) -> int:
        """Return the address of ``length`` free bytes, with a guard of 64 bytes behind them.

        Raises:
            UsageError: the region is full.
        """
        address = -(-self._next // align) * align
        if not self.covers(address, length + 64):
            raise UsageError(
                f"{length} bytes do not fit into {self.size} bytes of guest memory: "
                "use smaller queues or requests"
            )
        self._next = address + length + 64
        return address

    @property
    def room(self) -> int:
        """How many bytes are left to allocate."""
        return self.base + self.size - self._next

    @contextmanager
    def borrowing(self) -> Iterator[None]:
        """Free what is allocated within this at its end."""
        before = self._next
        yield
        self._next = before

    def store(self, address: int, data: bytes) -> None:
        """Write bytes as the driver, with one copy: two aligned bytes are never seen torn.

        Raises:
            IndexError: not all of the bytes belong to the region.
        """
        length = len(data)
        at = self._at(address, length)
        self._own[at : at + length] = data
        if length == 2 and not at & 1:
            self._halves[at >> 1] = data[0] | data[1] << 8
        else:
            self._map[at : at + length] = data

    def take_over(self, offset: int, data: bytes) -> None:
        """Write bytes as the device, where it has written them in a memory that this copies."""
        self._memory[offset : offset + len(data)] = np.frombuffer(data, np.uint8)

    def load(self, address: int, length: int) -> bytes:
        """Read bytes as the driver.

        Raises:
            IndexError: not all of the bytes belong to the region.
        """
        at = self._at(address, length)
        return self._map[at : at + length]

    def load16(self, address: int) -> int:
        """Read two aligned bytes at once, little-endian."""
        return int(self._halves[self._at(address, 2) >> 1])

    def allow(self, address: int, length: int) -> None:
        """Let the device write these bytes; those outside of the region are left out."""
        start, end = max(address, self.base), min(address + length, self.base + self.size)
        if start < end:
            self._allowed[start - self.base : end - self.base] = True

    def forbid(self, address: int, length: int) -> None:
        """Take back what ``allow`` gave; what was written until now is the driver's from here on.

        The shadow takes over the bytes, so that a later write shows.
        """
        start, end = max(address, self.base), min(address + length, self.base + self.size)
        if start < end:
            part = slice(start - self.base, end - self.base)
            self._shadow[part] = self._memory[part]
            self._allowed[part] = False

    def written(self, address: int, length: int) -> int:
        """Return how many bytes the device has written of these: up to the last that differs."""
        at = self._at(address, length)
        part = slice(at, at + length)
        if self._map[part] == self._own[part]:
            return 0
        changed = np.flatnonzero(self._memory[part] != self._shadow[part])
        return int(changed[-1]) + 1 if changed.size else 0

    def trespasses(self) -> tuple[Span, ...]:
        """Return the bytes that the device wrote and was not allowed to, in order."""
        # Most words are as they were.
        words = np.flatnonzero(self._words != self._shadow.view(np.uint64))
        if not words.size:
            return ()
        places = (words[:, None] * 8 + _BYTES).ravel()
        changed = self._memory[places] != self._shadow[places]
        return tuple(self._spans(places[changed & ~self._allowed[places]]))

    def _spans(self, places: npt.NDArray[np.intp]) -> Iterator[Span]:
        if not places.size:
            return
        for part in np.split(places, np.flatnonzero(np.diff(places) > 1) + 1):
            yield Span(self.base + int(part[0]), len(part))

    def _at(self, address: int, length: int) -> int:
        at = address - self.base
        if at < 0 or at + length > self.size:
            raise IndexError(f"{length} bytes at {address:#x} are not in the shared memory")
        return at
