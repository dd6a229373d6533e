# SPDX-License-Identifier: GPL-2.0-only
"""Sub-buffer pages: the raw per-CPU files as one buffer and their page headers as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pykit.trace.errors import BadCommitError, CaptureError, DamageError, TruncatedPageError
from pykit.trace.formats import PageLayout
from pykit.trace.tracedat import Part

Endian = Literal["<", ">"]
Array = npt.NDArray[Any]

_LENGTH = (1 << 27) - 1
_MISSED = 1 << 31
_STORED = 1 << 30
#: Words behind the last page, so that a look one word ahead stays inside the buffer.
_GUARD_WORDS = 4


@dataclass(frozen=True)
class CpuFile:
    """One CPU's raw pages: a file (``per_cpu/cpu<cpu>/trace_pipe_raw``), or parts of one.

    ``stats`` is the kernel's own count of them, None where it was not saved.
    """

    cpu: int
    path: Path
    stats: str | None = None
    parts: tuple[Part, ...] = ()

    def read(self) -> npt.NDArray[np.uint8]:
        """All bytes; raises CaptureError."""
        try:
            if not self.parts:
                return np.fromfile(self.path, dtype=np.uint8)
            with self.path.open("rb") as file:
                data = b"".join(part.read(file, self.path) for part in self.parts)
        except OSError as error:
            raise CaptureError(f"{self.path}: cannot be read: {error}") from error
        return np.frombuffer(data, dtype=np.uint8)


@dataclass(frozen=True)
class Pages:
    """All whole pages of all CPUs, one behind the other in ``buffer``.

    Arrays have one element a page: ``base`` u64 time stamp, ``length`` i64
    bytes of data (0 where the header is damaged), ``missed`` i64 events lost
    before the page (0 none, -1 some, but the kernel did not say how many),
    ``owner`` the index into ``files``.
    """

    layout: PageLayout
    endian: Endian
    files: tuple[CpuFile, ...]
    first: Array
    buffer: npt.NDArray[np.uint8]
    owner: Array
    base: npt.NDArray[np.uint64]
    length: npt.NDArray[np.int64]
    missed: npt.NDArray[np.int64]
    damage: tuple[DamageError, ...]

    @property
    def count(self) -> int:
        """How many whole pages there are."""
        return len(self.base)

    def words(self) -> npt.NDArray[np.uint32]:
        """The buffer as 32-bit words in its own byte order."""
        return self.buffer.view(f"{self.endian}u4")

    def place(self, offset: int) -> tuple[Path, int, int, int]:
        """File, CPU, page and offset in the page of a byte offset in the buffer."""
        page, inside = divmod(offset, self.layout.page_size)
        owner = int(self.owner[page])
        file = self.files[owner]
        return file.path, file.cpu, page - int(self.first[owner]), inside


def read_pages(files: Sequence[CpuFile], layout: PageLayout) -> Pages:
    """Read the raw files and their page headers.

    A partial page at a file's end, or a commit that no page can hold, is
    recorded in ``damage``; the rest is kept.

    Raises:
        CaptureError: a file cannot be read.
    """
    damage: list[DamageError] = []
    size = layout.page_size
    counts: list[int] = []
    parts: list[Array] = []
    for file in files:
        raw = file.read()
        whole, rest = divmod(len(raw), size)
        if rest:
            damage.append(
                TruncatedPageError(file.path, file.cpu, whole, rest, f"{rest} of {size} bytes")
            )
        counts.append(whole)
        parts.append(raw[: whole * size])
    parts.append(np.zeros(4 * _GUARD_WORDS, dtype=np.uint8))
    buffer = np.concatenate(parts)
    table = buffer[: sum(counts) * size].reshape(-1, size)
    endian = _endian(table, layout)

    def column(offset: int, width: int) -> Array:
        raw = np.ascontiguousarray(table[:, offset : offset + width])
        return raw.view(f"{endian}u{width}").reshape(-1).astype(np.uint64)

    base = column(0, 8)
    commit = column(layout.commit_offset, layout.long_size)
    length = (commit & _LENGTH).astype(np.int64)
    first = np.concatenate([[0], np.cumsum(counts)])
    owner = np.repeat(np.arange(len(files)), counts)

    room = size - layout.data_offset
    wrong = (length > room) | (length % 4 != 0) | _foreign_bits(commit)
    for at in np.flatnonzero(wrong).tolist():
        file = files[int(owner[at])]
        damage.append(
            BadCommitError(
                file.path,
                file.cpu,
                at - int(first[owner[at]]),
                layout.commit_offset,
                f"commit {int(commit[at]):#x}, room for {room} bytes",
            )
        )
        length[at] = 0
    missed = _missed(table, commit, length, layout, endian)
    # The flags of a damaged header say nothing.
    missed[wrong] = 0
    return Pages(
        layout, endian, tuple(files), first, buffer, owner, base, length, missed, tuple(damage)
    )


def _foreign_bits(commit: Array) -> Array:
    """Where bits are set that are neither length nor flag."""
    high: Array = (commit & np.uint64(~(_LENGTH | _MISSED | _STORED) & (1 << 64) - 1)) != 0
    return high


def _endian(table: Array, layout: PageLayout) -> Endian:
    """The byte order in which more pages have a commit that can be true."""
    raw = np.ascontiguousarray(
        table[:, layout.commit_offset : layout.commit_offset + layout.long_size]
    )
    room = layout.page_size - layout.data_offset

    def plausible(endian: Endian) -> tuple[int, int]:
        commit = raw.view(f"{endian}u{layout.long_size}").reshape(-1).astype(np.uint64)
        length = commit & _LENGTH
        good = ~_foreign_bits(commit) & (length <= room) & (length % 4 == 0)
        good &= commit & (_MISSED | _STORED) != _STORED
        return int(np.count_nonzero(good & (length > 0))), int(np.count_nonzero(good))

    return ">" if plausible(">") > plausible("<") else "<"


def _missed(
    table: Array, commit: Array, length: Array, layout: PageLayout, endian: Endian
) -> npt.NDArray[np.int64]:
    missed = np.where(commit & _MISSED, -1, 0).astype(np.int64)
    width = layout.long_size
    # The count stands behind the data; the kernel stores it only where there is room.
    stored = (commit & _STORED != 0) & (layout.data_offset + length + width <= layout.page_size)
    for page in np.flatnonzero(stored & (missed < 0)):
        at = layout.data_offset + int(length[page])
        count = int.from_bytes(
            table[page, at : at + width].tobytes(), "little" if endian == "<" else "big"
        )
        # A count beyond 2^62 is no count; the loss itself stays known.
        if 0 < count < 1 << 62:
            missed[page] = count
    return missed
