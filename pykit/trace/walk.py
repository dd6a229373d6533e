# SPDX-License-Identifier: GPL-2.0-only
"""Walk through a whole trace, window after window, and collect its damage."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pykit.trace import errors, records
from pykit.trace.errors import DamageError
from pykit.trace.formats import Format, PageLayout
from pykit.trace.pages import BUDGET, Array, CpuFile, Windows

#: File, CPU, page and offset.
Place = tuple[Path, int, int, int]

#: Notes of one call of the walk; it returns when they are full, and is called again.
_NOTES = 4096
#: Malformations of each class that are listed; further ones are only counted.
_LISTED = 100


class FoundRecords(NamedTuple):
    """Records in the order of (time, CPU), a CPU's own in its order; arrays of one element each.

    They are valid until the next ones are requested.
    """

    #: u32, offset of the payload in the windows' buffer, and its bytes.
    at: npt.NDArray[np.uint32]
    size: npt.NDArray[np.uint32]
    #: i64, in the trace clock's unit.
    ts: npt.NDArray[np.int64]
    #: u16, index into the files.
    owner: npt.NDArray[np.uint16]
    #: u16, as ``slots`` has it.
    slot: npt.NDArray[np.uint16]


@dataclass(frozen=True)
class PageLoss:
    """Events lost before a page.

    ``cpu`` is the index of the file, ``count`` how many (-1 if unknown), ``pages``
    how many pages this entry stands for.
    """

    cpu: int
    page: int
    count: int
    pages: int = 1


class Walk:
    """Finds all records of all files.

    Attributes:
        windows: the parts of the files in memory.
        damage: the first malformations of each class; after the walk by CPU, page and offset.
        unlisted: by class, how many more there were.
        lost: losses in page headers; beyond some number, one entry stands for all others.
    """

    def __init__(
        self,
        files: Sequence[CpuFile],
        layout: PageLayout,
        formats: Mapping[int, Format],
        budget: int = BUDGET,
    ) -> None:
        """``formats`` are all events that the trace can have, ``budget`` bytes of all windows.

        Raises:
            CaptureError: a file cannot be read.
        """
        self.windows = Windows(files, layout, budget)
        self.damage: list[DamageError] = []
        self.unlisted: dict[type[DamageError], int] = {}
        self.lost: list[PageLoss] = []
        self._formats = formats
        self._needs = np.full(1 << 16, -1, dtype=np.int32)
        self._needs[list(formats)] = [*map(attrgetter("size"), formats.values())]
        self._wrong = np.zeros(1 << 16, dtype=np.int64)
        self._counts: dict[type[DamageError], int] = {}
        self._counted: list[tuple[type[DamageError], Place, int, str]] = []

    def records(self, slots: npt.NDArray[np.int32], batch: int) -> Iterator[FoundRecords]:
        """Records whose event ids have a slot, at most ``batch`` at a time.

        Raises:
            CaptureError: a file cannot be read.
        """
        windows, layout = self.windows, self.windows.layout
        native = "<" if sys.byteorder == "little" else ">"
        header = (
            layout.page_size,
            layout.data_offset,
            layout.long_size,
            layout.stamps,
            windows.endian != native,
            windows.endian == ">",
        )
        notes = np.zeros(_NOTES, dtype=records.NOTE)
        out = (
            np.empty(batch, dtype=np.uint32),
            np.empty(batch, dtype=np.uint32),
            np.empty(batch, dtype=np.int64),
            np.empty(batch, dtype=np.uint16),
            np.empty(batch, dtype=np.uint16),
        )
        words, halves = windows.buffer.view(np.uint32), windows.buffer.view(np.uint16)
        try:
            while True:
                count, noted = records.merge(
                    words, halves, windows.cursors, header, slots, self._needs, self._wrong,
                    notes, out,
                )  # fmt: skip
                self._read(notes[:noted])
                if count:
                    at, size, ts, owner, slot = out
                    yield FoundRecords(
                        at[:count], size[:count], ts[:count], owner[:count], slot[:count]
                    )
                if not windows.refill() and not count and not noted:
                    break
        finally:
            windows.close()
        self._finish()

    def report(self, error: DamageError) -> None:
        """Count a malformation, and keep it if it is one of the first of its class."""
        count = self._counts[type(error)] = self._counts.get(type(error), 0) + 1
        if count > _LISTED:
            self.unlisted[type(error)] = count - _LISTED
        else:
            self.damage.append(error)

    def _read(self, notes: Array) -> None:
        windows, formats = self.windows, self._formats
        layout = windows.layout
        room = layout.page_size - layout.data_offset
        for code, owner, page, offset, a, b in notes.tolist():
            place = (*windows.place(owner, page), offset)
            if code == records.LOST:
                self._lose(PageLoss(owner, page, a))
            elif code == records.COMMIT:
                detail = f"commit {a % (1 << 64):#x}, room for {room} bytes"
                self.report(errors.BadCommitError(*place, detail))
            elif code == records.BEYOND:
                self.report(errors.RecordBeyondPageError(*place, f"{a} bytes, {b} are left"))
            elif code == records.LENGTH_WORD:
                self.report(errors.BadLengthError(*place, f"{a}, less than its own 4"))
            elif code == records.NO_ID:
                self.report(errors.BadLengthError(*place, "no room for an event id"))
            elif code == records.EARLY:
                self.report(errors.EarlyPaddingError(*place, f"{a} bytes are left"))
            elif code == records.STAMP:
                detail = "31, header_event does not have it"
                self.report(errors.UnknownTypeError(*place, detail))
            elif code == records.UNKNOWN:
                self._counted.append((errors.UnknownEventError, place, a, str(a)))
            elif code == records.SHORT:
                detail = f"{formats[a].name}: {b} of {formats[a].size} bytes"
                self._counted.append((errors.ShortRecordError, place, a, detail))
            elif code == records.BACK:
                self._counted.append((errors.BadTimeError, place, -1 - owner, f"by {a} ns"))
            else:
                self._counted.append((errors.BadTimeError, place, owner, "beyond 2^63"))

    def _finish(self) -> None:
        for error in self.windows.damage:
            self.report(error)
        for kind, place, key, detail in self._counted:
            if kind is not errors.BadTimeError:
                self.report(kind(*place, f"{detail}, {self._wrong[key]} records"))
                continue
            late, owner = key < 0, key if key >= 0 else -1 - key
            out = self.windows.cursors["late" if late else "beyond"][owner]
            self.report(kind(*place, f"{detail}, {out} records left out"))
        self.lost.sort(key=lambda lost: (lost.cpu, lost.page))
        self.damage.sort(key=lambda error: (error.cpu, error.page, error.offset))

    def _lose(self, lost: PageLoss) -> None:
        # A buffer that overwrote itself all the time has a loss in each page.
        if len(self.lost) > _LISTED:
            before = self.lost.pop()
            count = max(before.count, 1) + max(lost.count, 1)
            lost = PageLoss(lost.cpu, lost.page, count, before.pages + 1)
        self.lost.append(lost)


def load_compiled() -> None:
    """Have numba load the compiled walk, which takes as long as decoding a small trace."""
    none = PageLayout(commit_offset=8, long_size=8, data_offset=16, page_size=4096, stamps=True)
    list(Walk((), none, {}).records(np.full(1 << 16, -1, dtype=np.int32), 1))
