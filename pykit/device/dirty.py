# SPDX-License-Identifier: GPL-2.0-only
"""The log of written pages, by which a front-end copies memory while a device is at work.

Layout: QEMU's docs/interop/vhost-user.rst, Migration: a bit for each page of 4 KiB, by the guest's
address.
"""

from __future__ import annotations

import mmap
import os

import numpy as np

from pykit.device.memory import BadAddressError

_PAGE = 12


class DirtyLog:
    """A log that the front-end shares; the descriptor is closed.

    Args:
        size: its bytes.
        offset: where it begins in the file.

    Raises:
        BadAddressError: it has no bytes, or the file is shorter or cannot be mapped.
    """

    def __init__(self, size: int, offset: int, fd: int) -> None:
        try:
            if size <= 0 or os.fstat(fd).st_size < offset + size:
                raise BadAddressError(f"a log of {size} bytes is empty, or longer than its file")
            mapped = mmap.mmap(fd, offset + size)
        except (OSError, ValueError, OverflowError) as error:
            raise BadAddressError(f"a log of {size} bytes cannot be mapped: {error}") from None
        finally:
            os.close(fd)
        self._bytes = np.frombuffer(mapped, np.uint8)[offset:]

    def mark(self, address: int, length: int) -> None:
        """Mark the pages of so many bytes; those that the log has no bit for are left out."""
        pages = np.arange(address >> _PAGE, (address + length - 1 >> _PAGE) + 1)
        pages = pages[pages < 8 * len(self._bytes)]
        np.bitwise_or.at(self._bytes, pages >> 3, (1 << (pages & 7)).astype(np.uint8))
