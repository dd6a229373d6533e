# SPDX-License-Identifier: GPL-2.0-only
"""Errors of captures: one class for each malformation, each with its place."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pykit.errors import UsageError


class CaptureError(UsageError):
    """The capture cannot be used at all."""


class NotACaptureError(CaptureError):
    """The path is no directory, or holds neither capture.json nor a trace."""


class MissingCaptureJsonError(CaptureError):
    """The directory holds a trace but no capture.json."""


class MissingFormatsError(CaptureError):
    """Raw pages are there, but nothing that describes them."""


class EmptyTraceError(CaptureError):
    """The capture is sound and holds no event."""


class BadJsonError(CaptureError):
    """A JSON file does not parse, or a value in it has the wrong type."""


class UnknownSchemaError(CaptureError):
    """capture.json or a saved table was written by a newer pykit."""


class BadFormatError(CaptureError):
    """A tracefs format file cannot be understood."""


class BadDatError(CaptureError):
    """A file is not trace-cmd's, or is damaged where it describes itself."""


class BadTableError(CaptureError):
    """A Parquet file is not one of ours."""


class DamageError(CaptureError):
    """A malformation inside the data of one CPU.

    Decoding continues after it, and it counts as a loss. It is raised only if
    nothing at all could be decoded.

    Attributes:
        file: the raw file.
        cpu: the CPU of the buffer.
        page: number of the sub-buffer in the file, from 0.
        offset: bytes from the start of that sub-buffer.
    """

    what: ClassVar[str]

    def __init__(self, file: Path, cpu: int, page: int, offset: int, detail: str) -> None:
        self.file = file
        self.cpu = cpu
        self.page = page
        self.offset = offset
        super().__init__(
            f"{file}: CPU {cpu}, page {page}, offset {offset:#x}: {self.what}: {detail}"
        )


class TruncatedPageError(DamageError):
    """The file ends inside a sub-buffer."""

    what = "truncated"


class BadCommitError(DamageError):
    """The page's length field is beyond the page, or no multiple of 4."""

    what = "bad page length"


class RecordBeyondPageError(DamageError):
    """A record is longer than what is left of its page."""

    what = "record beyond the page's data"


class BadLengthError(DamageError):
    """A record's length word is too small to hold itself."""

    what = "bad record length"


class EarlyPaddingError(DamageError):
    """End-of-page padding where another record had room."""

    what = "padding ends the page early"


class UnknownTypeError(DamageError):
    """A record type that header_event does not describe."""

    what = "unknown record type"


class UnknownEventError(DamageError):
    """An event id without a format file."""

    what = "unknown event id"


class ShortRecordError(DamageError):
    """A record is shorter than its event's fields."""

    what = "record shorter than its event"


class BadReferenceError(DamageError):
    """A __data_loc or __rel_loc field leads out of its record."""

    what = "bad reference"


class BadChunkError(DamageError):
    """A piece of a trace.dat cannot be read or unpacked; the rest of the CPU is lost."""

    what = "pages cannot be unpacked"


class BadTimeError(DamageError):
    """Time runs backwards by more than clocks do, or beyond 2^63 ns."""

    what = "time runs backwards"
