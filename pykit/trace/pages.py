# SPDX-License-Identifier: GPL-2.0-only
"""Read sub-buffer pages: the raw data of all CPUs, a window of each at a time.

A trace may be far larger than memory. Only some pages of each CPU are in memory; a row of
``cursors`` has their position and progress.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from pykit.files import open_regular, reason
from pykit.trace.errors import (
    BadChunkError,
    BadDatError,
    CaptureError,
    DamageError,
    TruncatedPageError,
)
from pykit.trace.formats import PageLayout
from pykit.trace.tracedat import DatPart

Endian = Literal["<", ">"]
Array = npt.NDArray[Any]

#: Data length and flags of a page's commit field.
LENGTH = (1 << 27) - 1
MISSED = 1 << 31
STORED = 1 << 30

#: Bytes of all windows together, and pages that each has at least.
BUDGET = 32 << 20
_LEAST = 2
#: Bytes of all windows where each has only its least: 8192 CPUs with sub-buffers of 64 KiB.
_WINDOWS_MAX = 1 << 30
#: Bytes after the last window, so that reading one word ahead stays inside the buffer.
GUARD = 16
#: Pages of each CPU that the byte order is derived from.
_ASKED = 256

#: Where the walk is in one CPU's pages; offsets in bytes. ``start`` of its window in the buffer,
#: ``pages`` in it of which ``page`` have been opened, ``number`` of the first one in the file;
#: ``pos`` and ``end`` of what is left of the open page; ``ts`` running time, ``top`` its highest
#: value. ``at`` is the payload of the next record, of ``size`` bytes and kind ``slot``, where
#: ``ready`` says that it was found. ``last``: nothing is behind the window. ``seen`` counts
#: records, ``late`` those that went back in time, ``beyond`` those after 2^63 ns.
CURSOR = np.dtype(
    [
        (name, np.int64)
        for name in (
            *("start", "pages", "page", "number", "pos", "end", "ts", "top"),
            *("at", "size", "slot", "ready", "last", "seen", "late", "beyond"),
        )
    ]
)


@dataclass(frozen=True)
class CpuFile:
    """One CPU's raw pages: a file (``per_cpu/cpu<cpu>/trace_pipe_raw``), or parts of one.

    ``stats`` is the kernel's own count, None if not saved.
    """

    cpu: int
    path: Path
    stats: str | None = None
    parts: tuple[DatPart, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of raw pages; raises CaptureError."""
        try:
            return sum(part.size for part in self.parts) or self.path.stat().st_size
        except OSError as error:
            raise CaptureError(f"{self.path}: cannot be read: {reason(error)}") from error


class _Stream:
    """The bytes of a CpuFile one after the other, without holding more than a chunk."""

    def __init__(self, source: CpuFile) -> None:
        self.source = source
        size = source.size
        self.parts = list(source.parts) or [DatPart(0, size, size)]
        self.file: BinaryIO | None = None
        #: Of the first part: what is unpacked, or how many bytes have been read.
        self.plain, self.done = memoryview(b""), 0

    def read(self, into: memoryview) -> int:
        """Fill ``into``; fewer bytes only at the end. Raises CaptureError, BadDatError."""
        filled = 0
        while filled < len(into) and self.parts:
            part = self.parts[0]
            try:
                self.file = self.file or open_regular(self.source.path)
                if part.codec == "none":
                    want = min(len(into) - filled, part.stored - self.done)
                    self.file.seek(part.offset + self.done)
                    got = self.file.readinto(into[filled : filled + want])  # type: ignore[attr-defined]
                    if got < want:
                        raise BadDatError(f"the file ends inside the pages at {part.offset:#x}")
                    size = part.stored
                else:
                    if not self.done:
                        self.plain = memoryview(part.read(self.file, self.source.path))
                    got = min(len(into) - filled, len(self.plain) - self.done)
                    into[filled : filled + got] = self.plain[self.done : self.done + got]
                    size = len(self.plain)
            except OSError as error:
                raise CaptureError(
                    f"{self.source.path}: cannot be read: {reason(error)}"
                ) from error
            filled += got
            self.done += got
            if self.done >= size:
                self.done = 0
                self.parts.pop(0)
        if not self.parts:
            self.close()
        return filled

    def close(self) -> None:
        if self.file:
            self.file.close()
        self.parts, self.file = [], None


class Windows:
    """The windows of all CPUs in one ``buffer`` (u8), and their ``cursors`` (CURSOR, one a CPU).

    ``damage`` is what was wrong with files themselves. ``endian`` is the pages' byte order.
    """

    def __init__(self, files: Sequence[CpuFile], layout: PageLayout, budget: int = BUDGET) -> None:
        self.files, self.layout = tuple(files), layout
        self.damage: list[DamageError] = []
        self._streams = [_Stream(file) for file in files]
        size = layout.page_size
        share = max(budget // max(len(files), 1) // size, _LEAST)
        # One page more than there is: so the end is seen at once.
        room = [min(file.size // size + 1, share) * size for file in files]
        starts = np.cumsum([0, *room])
        if starts[-1] > _WINDOWS_MAX:
            raise CaptureError(
                f"{files[0].path}: {len(files)} CPUs with sub-buffers of {size} bytes:"
                " no kernel has so many, the file is damaged"
            )
        self._room = room
        self.buffer: npt.NDArray[np.uint8] = np.zeros(int(starts[-1]) + GUARD, dtype=np.uint8)
        self.cursors = np.zeros(len(files), dtype=CURSOR)
        self.cursors["start"] = starts[:-1]
        self._tail = [0] * len(files)
        for cpu in range(len(files)):
            self._fill(cpu)
        self.endian = self._find_endian()

    def close(self) -> None:
        """Close all files."""
        for stream in self._streams:
            stream.close()

    def refill(self) -> bool:
        """Read on where half a window or more is finished; return False at the end of all."""
        moved = False
        for cpu, cursor in enumerate(self.cursors):
            if not cursor["last"] and cursor["page"] * 2 > cursor["pages"]:
                self._fill(cpu)
                moved = True
        return moved

    def place(self, cpu: int, page: int) -> tuple[Path, int, int]:
        """Return file, CPU and page for an error."""
        return self.files[cpu].path, self.files[cpu].cpu, page

    def find(self, at: int) -> tuple[Path, int, int, int]:
        """Return file, CPU, page and offset in the page of an offset in the buffer."""
        cpu = int(np.searchsorted(self.cursors["start"], at, side="right")) - 1
        page, offset = divmod(at - int(self.cursors["start"][cpu]), self.layout.page_size)
        return (*self.place(cpu, int(self.cursors["number"][cpu]) + page), offset)

    def _fill(self, cpu: int) -> None:
        cursor, size = self.cursors[cpu], self.layout.page_size
        start, room = int(cursor["start"]), self._room[cpu]
        # The open page stays: the record that was found last is in it.
        done = max(int(cursor["page"]) - 1, 0)
        kept = (int(cursor["pages"]) - done) * size + self._tail[cpu]
        window = self.buffer[start : start + room]
        window[:kept] = window[done * size : done * size + kept].copy()
        for name in ("pos", "end", "at"):
            cursor[name] -= done * size
        cursor["number"] += done
        cursor["page"] -= done
        try:
            got = self._streams[cpu].read(window[kept:].data)
        except BadDatError as error:
            at = int(cursor["number"]) + kept // size
            self.damage.append(BadChunkError(*self.place(cpu, at), kept % size, str(error)))
            self._streams[cpu].close()
            got = 0
        cursor["pages"], rest = divmod(kept + got, size)
        self._tail[cpu] = rest
        cursor["last"] = kept + got < room
        if cursor["last"] and rest:
            at = int(cursor["number"]) + int(cursor["pages"])
            self.damage.append(
                TruncatedPageError(*self.place(cpu, at), rest, f"{rest} of {size} bytes")
            )

    def _find_endian(self) -> Endian:
        """Return the byte order in which more pages have a plausible commit field."""
        size, room = self.layout.page_size, self.layout.page_size - self.layout.data_offset
        at, width = self.layout.commit_offset, self.layout.long_size
        raw = b"".join(
            self.buffer[start + page * size + at :][:width].tobytes()
            for start, pages in zip(self.cursors["start"], self.cursors["pages"], strict=True)
            for page in range(min(int(pages), _ASKED))
        )

        def plausible(endian: Endian) -> tuple[int, int]:
            commit = np.frombuffer(raw, dtype=f"{endian}u{width}").astype(np.uint64)
            length = commit & LENGTH
            good = (commit & ~np.uint64(LENGTH | MISSED | STORED)) == 0
            good &= (length <= room) & (length % 4 == 0) & (commit & (MISSED | STORED) != STORED)
            return int(np.count_nonzero(good & (length > 0))), int(np.count_nonzero(good))

        return ">" if plausible(">") > plausible("<") else "<"
