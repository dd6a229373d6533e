# SPDX-License-Identifier: GPL-2.0-only
"""The front-end's memory, as a back-end maps it."""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass

import numpy as np

from pykit.errors import PykitError


class BadAddressError(PykitError):
    """A descriptor or a ring names memory that the front-end did not share."""


@dataclass(frozen=True)
class MappedRegion:
    """A shared region: guest-physical and front-end's user address of its first byte, its bytes."""

    guest: int
    user: int
    size: int
    bytes: memoryview


class GuestMemory:
    """All regions that the front-end shares."""

    def __init__(self) -> None:
        self._regions: list[MappedRegion] = []

    def add(self, guest: int, size: int, user: int, offset: int, fd: int) -> None:
        """Map a region; the descriptor is closed.

        Raises:
            BadAddressError: the file is shorter than the region, or cannot be mapped.
        """
        try:
            if size <= 0 or os.fstat(fd).st_size < offset + size:
                raise BadAddressError(
                    f"region of {size} bytes at {guest:#x} is longer than its file"
                )
            mapped = mmap.mmap(fd, offset + size)
        except (OSError, ValueError, OverflowError) as error:
            raise BadAddressError(f"region at {guest:#x} cannot be mapped: {error}") from None
        finally:
            os.close(fd)
        view = memoryview(mapped)[offset : offset + size]
        self._regions.append(MappedRegion(guest, user, size, view))

    def clear(self) -> None:
        """Forget all regions; their mappings go with the last view of them."""
        self._regions.clear()

    def remove(self, guest: int, size: int, user: int) -> None:
        """Forget a region.

        Raises:
            BadAddressError: there is none like it.
        """
        left = [r for r in self._regions if (r.guest, r.size, r.user) != (guest, size, user)]
        if len(left) == len(self._regions):
            raise BadAddressError(f"there is no region of {size} bytes at {guest:#x}")
        self._regions = left

    def guest_address(self, user: int) -> int:
        """The guest-physical address of one of the front-end's own.

        Raises:
            BadAddressError: it is in no region.
        """
        for region in self._regions:
            if region.user <= user < region.user + region.size:
                return region.guest + user - region.user
        raise BadAddressError(f"the front-end's {user:#x} is not shared")

    def at(self, address: int, length: int) -> memoryview:
        """The bytes at a guest-physical address.

        Raises:
            BadAddressError: not all of them are in one region.
        """
        for region in self._regions:
            at = address - region.guest
            if at >= 0 and at + length <= region.size:
                return region.bytes[at : at + length]
        raise BadAddressError(f"{length} bytes at {address:#x} are not shared")

    def at_user(self, address: int, length: int) -> memoryview:
        """The bytes at one of the front-end's own addresses, as messages name rings."""
        for region in self._regions:
            at = address - region.user
            if at >= 0 and at + length <= region.size:
                return region.bytes[at : at + length]
        raise BadAddressError(f"{length} bytes at the front-end's {address:#x} are not shared")


def load16(area: memoryview, offset: int) -> int:
    """Read two aligned bytes at once, little-endian."""
    return int(np.frombuffer(area, "<u2", 1, offset)[0])


def store16(area: memoryview, offset: int, value: int) -> None:
    """Write two aligned bytes at once: another process never sees half of them."""
    np.frombuffer(area, "<u2", 1, offset)[:] = value & 0xFFFF
