# SPDX-License-Identifier: GPL-2.0-only
"""Copy fields of records into columns, one array for each field of a kind. Compiled by numba.

Values keep the pages' byte order, which numpy's types express.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from pykit.trace.formats import EventField
from pykit.trace.pages import Array, Endian

#: Records sorted by kind at a time, while their pages are in the cache.
_BLOCK = 8192
#: Every column begins at a multiple of this.
_ALIGN = 8


@dataclass(frozen=True)
class Varying:
    """Values of changing length: of row ``k`` ``data[ends[k - 1] : ends[k]]`` (from 0 for k 0)."""

    data: npt.NDArray[np.uint8]
    ends: npt.NDArray[np.int64]

    def tolist(self) -> list[bytes]:
        """Each row's bytes."""
        starts = [0, *self.ends[:-1].tolist()]
        return [self.data[a:b].tobytes() for a, b in zip(starts, self.ends.tolist(), strict=True)]


class Extractor:
    """Columns of the fields ``wanted``, by slot."""

    def __init__(self, wanted: Sequence[Sequence[EventField]], endian: Endian) -> None:
        self.wanted = [tuple(fields) for fields in wanted]
        self.endian = endian
        every = [field for fields in self.wanted for field in fields]
        self._firsts = np.cumsum([0, *(len(fields) for fields in self.wanted)])
        self._offsets = np.array([field.offset for field in every], dtype=np.uint64)
        self._widths = np.array([field.size for field in every], dtype=np.int64)

    def columns(
        self, buffer: npt.NDArray[np.uint8], ats: Array, sizes: Array, slots: Array
    ) -> tuple[list[dict[str, Array | Varying]], list[tuple[int, str]]]:
        """Return the columns by name for each slot, and references that leave their records.

        Only the first such reference of each field is reported: offset in the buffer, message.

        ``ats`` (u32) are the payloads' offsets in ``buffer``, ``sizes`` (u32) their bytes.
        Arrays have a second dimension; elements are bytes if the declaration has no length. A bad
        reference gives an empty value.
        """
        counts = np.bincount(slots, minlength=len(self.wanted))
        lengths = np.repeat(counts, np.diff(self._firsts)) * self._widths
        bases = np.cumsum([0, *(-(-lengths // _ALIGN) * _ALIGN)])
        out = np.empty(int(bases[-1]), dtype=np.uint8)
        _scatter(
            buffer,
            buffer.view(np.uint16),
            buffer.view(np.uint32),
            ats,
            slots,
            self._firsts,
            self._offsets,
            self._widths,
            bases,
            np.zeros(len(self.wanted), dtype=np.int64),
            out,
            out.view(np.uint16),
            out.view(np.uint32),
        )
        found: list[dict[str, Array | Varying]] = []
        wrong: list[tuple[int, str]] = []
        for slot, fields in enumerate(self.wanted):
            mine: dict[str, Array | Varying] = {}
            for number, field in enumerate(fields, int(self._firsts[slot])):
                raw = out[bases[number] : bases[number] + lengths[number]]
                column = self._typed(raw, field, int(counts[slot]))
                if field.reference:
                    rows = np.flatnonzero(slots == slot)
                    places = ats[rows].astype(np.int64)
                    mine[field.name], bad = _refer(buffer, places, sizes[rows], column, field)
                    if bad.size:
                        first = f"{field.name} is {int(column[bad[0]]):#x}, {bad.size} records"
                        wrong.append((int(places[bad[0]]), first))
                else:
                    mine[field.name] = column
            found.append(mine)
        return found, wrong

    def _typed(self, raw: Array, field: EventField, rows: int) -> Array:
        if field.reference:
            return raw.view(f"{self.endian}u4").astype(np.uint32)
        if field.scalar:
            width = field.size
        else:
            width, rest = divmod(field.size, field.count or field.size or 1)
            width = width if width in (1, 2, 4, 8) and not rest else 1
        sign = "i" if field.signed and (field.scalar or width > 1) else "u"
        column = raw.view(f"{self.endian}{sign}{width}")
        column = column.astype(column.dtype.newbyteorder("="), copy=False)
        return column if field.scalar else column.reshape(rows, field.size // width)


def _refer(
    buffer: Array, ats: Array, sizes: Array, words: Array, field: EventField
) -> tuple[Varying, Array]:
    """Return the values of __data_loc and __rel_loc words (length << 16 | offset); the bad rows."""
    lengths = (words >> 16).astype(np.int64)
    # A relative offset counts from the end of the field.
    begin = field.offset + field.size if field.reference == "rel" else 0
    offsets = (words & 0xFFFF).astype(np.int64) + begin
    good = offsets + lengths <= sizes
    lengths[~good] = 0
    ends = np.cumsum(lengths)
    inside = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - lengths, lengths)
    data = buffer[np.repeat(ats + offsets, lengths) + inside]
    return Varying(data, ends), np.flatnonzero(~good)


@njit(cache=True)
def _scatter(
    bytes_: Array,
    halves: Array,
    words: Array,
    ats: Array,
    slots: Array,
    firsts: Array,
    offsets: Array,
    widths: Array,
    bases: Array,
    done: Array,
    out1: Array,
    out2: Array,
    out4: Array,
) -> None:
    kinds = len(firsts) - 1
    sorted_ = np.empty(_BLOCK, dtype=ats.dtype)
    edges = np.empty(kinds + 1, dtype=np.int64)
    two, one = np.uint64(2), np.uint64(1)
    for low in range(0, len(ats), _BLOCK):
        high = min(low + _BLOCK, len(ats))
        edges[:] = 0
        for row in range(low, high):
            edges[slots[row] + 1] += 1
        for kind in range(kinds):
            edges[kind + 1] += edges[kind]
        for row in range(low, high):
            kind = slots[row]
            sorted_[edges[kind]] = ats[row]
            edges[kind] += 1
        begin = 0
        for kind in range(kinds):
            # Filling has moved every edge to where the next kind begins.
            mine = sorted_[begin : edges[kind]]
            begin = edges[kind]
            count, row = len(mine), done[kind]
            done[kind] += count
            if not count:
                continue
            for number in range(firsts[kind], firsts[kind + 1]):
                offset, width, base = offsets[number], widths[number], bases[number]
                # Payloads are 4-aligned only: 8 bytes are taken as two words.
                if width == 4 and offset % 4 == 0:
                    target4 = out4[base // 4 + row : base // 4 + row + count]
                    for k in range(count):
                        target4[k] = words[(mine[k] + offset) >> two]
                elif width == 2 and offset % 2 == 0:
                    target2 = out2[base // 2 + row : base // 2 + row + count]
                    for k in range(count):
                        target2[k] = halves[(mine[k] + offset) >> one]
                elif width == 1:
                    target1 = out1[base + row : base + row + count]
                    for k in range(count):
                        target1[k] = bytes_[mine[k] + offset]
                elif width == 8 and offset % 4 == 0:
                    target4 = out4[base // 4 + 2 * row : base // 4 + 2 * (row + count)]
                    for k in range(count):
                        at = (mine[k] + offset) >> two
                        target4[2 * k] = words[at]
                        target4[2 * k + 1] = words[at + one]
                else:
                    target1 = out1[base + row * width : base + (row + count) * width]
                    for k in range(count):
                        for i in range(width):
                            target1[k * width + i] = bytes_[mine[k] + offset + np.uint64(i)]
