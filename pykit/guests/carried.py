# SPDX-License-Identifier: GPL-2.0-only
"""Read what ``carry`` left in memory (its source gives the layout)."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

MAGIC = 0x31796B6974797061
_HEAD = _PAGE = 4096
#: Names that the kit's own step gives (CARRY_LINES in kitsteps.py). A guest may write others into
#: the shared memory; none of them may replace what an observer outside of it recorded.
_NAME = re.compile(
    r"kallsyms|record\.dat|tasks/(?:[0-9]{1,10}|self)/(?:status|stack)|tracing/(?:trace_clock|saved_cmdlines"
    r"|events/(?:header_page|header_event|pykit/[a-z0-9_]{1,64}/format)"
    r"|per_cpu/cpu[0-9]{1,5}/(?:trace_pipe_raw|stats))"
)
_MOST_FILES = 20_000


class CarryError(Exception):
    """The guest left nothing, or not all of it."""


def unpack(memory: Path, target: Path) -> list[str]:
    """Write the files that came out of the guest below ``target``; returns their names.

    Raises CarryError for a missing head (the guest died before the end), a wrong
    checksum, and names that the kit's own step does not give.
    """
    if not memory.exists() or memory.stat().st_size < _HEAD:
        raise CarryError("there is no shared memory: QEMU never came to make it")
    import numpy as np

    data = np.memmap(memory, dtype=np.uint8, mode="r")
    magic, length, checksum = struct.unpack_from("<QQQ", data[:24].tobytes())
    if magic != MAGIC:
        raise CarryError("the guest brought nothing out")
    end = _HEAD + length
    if end > len(data):
        raise CarryError("the head claims more than the memory holds")
    if int(data[_HEAD:end].sum(dtype=np.uint64)) != checksum:
        raise CarryError("the checksum is wrong: the guest was cut off while it wrote")
    names: list[str] = []
    at = _HEAD
    while at < end:
        (name_length,) = struct.unpack("<I", _take(data, at, 4, end))
        name = _take(data, at + 4, name_length, end).decode(errors="replace")
        at += 4 + name_length
        (size,) = struct.unpack("<Q", _take(data, at, 8, end))
        at += 8
        content = _take(data, at, size, end)
        at += size
        if not _NAME.fullmatch(name):
            raise CarryError(f"the guest named a file that is no part of a capture: {name[:80]!r}")
        if len(names) == _MOST_FILES:
            raise CarryError(f"the guest named over {_MOST_FILES} files")
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(content)
        names.append(name)
    return names


def gather(memory: Path, base: int, first: int, target: Path) -> None:
    """Put the pages that ``carry --pages`` filled into one file, as ``unpack`` takes it.

    ``memory`` is the guest's, which begins at the physical address ``base``; ``first`` is that of
    the first list of pages.

    Raises CarryError for an address outside of the memory, and lists without an end.
    """
    import numpy as np

    data = np.memmap(memory, dtype=np.uint8, mode="r")

    def page(address: int) -> bytes:
        at = address - base
        if not 0 <= at <= len(data) - _PAGE:
            raise CarryError(f"the guest named a page at {address:#x}, where it has no memory")
        return data[at : at + _PAGE].tobytes()

    left = len(data) // _PAGE
    with target.open("wb") as file:
        following = first
        while following:
            following, *pages = struct.unpack(f"<{_PAGE // 8}Q", page(following))
            filled = pages[: pages.index(0)] if 0 in pages else pages
            left -= len(filled) + 1
            if left < 0:
                raise CarryError("the guest named more pages than it has")
            for address in filled:
                file.write(page(address))


def _take(data: np.ndarray[tuple[int], np.dtype[np.uint8]], at: int, size: int, end: int) -> bytes:
    if at + size > end:
        raise CarryError("a record runs over the end")
    return bytes(data[at : at + size].tobytes())
