# SPDX-License-Identifier: GPL-2.0-only
"""Look at the regular file behind a disk: how large it is, and how much of it is allocated."""

from __future__ import annotations

import os
import stat
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

#: Bytes that are written to find out what a file system does with zeroes, and bytes of a block of
#: ``st_blocks``.
_TRIED, _BLOCK = 64 << 10, 512


class Storage(NamedTuple):
    """A regular file, in bytes; what is allocated may include what its file system needs itself."""

    length: int
    allocated: int


def look_at_storage(path: Path) -> Storage | None:
    """Return what a disk's data are in.

    None where that is no regular file, or its file system does not show what is deallocated: one
    without holes, or one that stores no zeroes that are written.
    """
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                return None
            # An empty one shows that there are holes, and has nothing that is not yet written.
            if found.st_blocks or not found.st_size:
                if not _keeps_zeroes(found.st_dev, path.parent):
                    return None
                # Until then space is promised, and not allocated.
                os.fsync(file.fileno())
                found = os.fstat(file.fileno())
    except OSError:
        return None
    return Storage(found.st_size, found.st_blocks * _BLOCK)


@cache
def _keeps_zeroes(_device: int, folder: Path) -> bool:
    """Whether the file system has holes, and none where zeroes were written over data."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.truncate(2 * _TRIED)
        filled = [_allocated(file.fileno(), data) for data in (os.urandom(_TRIED), bytes(_TRIED))]
    return filled[0] == filled[1] and _TRIED <= filled[0] < 2 * _TRIED


def _allocated(file: int, data: bytes) -> int:
    """Put data into a file's first half, and return how many bytes it has allocated then."""
    os.pwrite(file, data, 0)
    os.fsync(file)
    return os.fstat(file).st_blocks * _BLOCK
