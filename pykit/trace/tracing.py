# SPDX-License-Identifier: GPL-2.0-only
"""Read saved ftrace data: a copy of tracefs, or a trace.dat of trace-cmd."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pykit.files import check_regular, exists, reason
from pykit.trace import tracedat
from pykit.trace.errors import CaptureError, MissingFormatsError
from pykit.trace.formats import (
    Format,
    PageLayout,
    add_format,
    parse_format,
    parse_header,
    read_text,
)
from pykit.trace.pages import CpuFile, Endian, Windows


@dataclass(frozen=True)
class Tracing:
    """A saved trace: the layout of pages, the events' formats, the raw data by CPU.

    Attributes:
        where: the directory or the file, for messages.
        clock: name of the trace clock, or "" if unknown.
        release: of the kernel that was traced, or "".
    """

    where: Path
    layout: PageLayout
    formats: dict[int, Format]
    files: tuple[CpuFile, ...]
    clock: str = ""
    release: str = ""

    @property
    def endian(self) -> Endian:
        """Return the byte order of the pages, "<" or ">"."""
        windows = Windows(self.files, self.layout, budget=0)
        windows.close()
        return windows.endian


def read_tracing(path: Path, within: Path | None = None) -> Tracing:
    """Read a saved tracefs directory, or a trace.dat (version 6 or 7).

    Files of the directory must be below ``within``, by default the directory itself.

    Raises:
        CaptureError: a file is not a regular one.
        MissingFormatsError: descriptions or data are not there.
        BadFormatError: a description cannot be understood.
        BadDatError: not a file of trace-cmd's, or a damaged one.
    """
    return _dat(path) if path.is_file() else _tracefs(path, within or path)


def _tracefs(folder: Path, within: Path) -> Tracing:
    files = []
    # A pattern for the files themselves would skip dangling links.
    for cpu in folder.glob("per_cpu/cpu*"):
        match, path = re.fullmatch(r"cpu([0-9]{1,4})", cpu.name), cpu / "trace_pipe_raw"
        if match and exists(path):
            stats = path.with_name("stats")
            text = read_text(stats, within) if exists(stats) else None
            try:
                check_regular(path, within)
            except OSError as error:
                raise CaptureError(f"{path}: cannot be read: {reason(error)}") from error
            files.append(CpuFile(int(match[1]), path, text))
    if not files:
        raise MissingFormatsError(
            f"{folder}: no per_cpu/cpu*/trace_pipe_raw; run the capture again"
        )
    events = folder / "events"
    layout = parse_header(
        read_text(events / "header_page", within),
        read_text(events / "header_event", within),
        str(events / "header_page"),
    )
    formats: dict[int, Format] = {}
    for path in sorted(event / "format" for event in folder.glob("events/*/*")):
        if not exists(path):
            continue
        form = parse_format(read_text(path, within), path.parent.parent.name, str(path))
        add_format(formats, form, str(path))
    if not formats:
        raise MissingFormatsError(
            f"{folder}: no events/*/*/format files; save them beside the raw pages"
        )
    return Tracing(folder, layout, formats, tuple(sorted(files, key=lambda file: file.cpu)))


def _dat(path: Path) -> Tracing:
    dat = tracedat.read(path)
    formats: dict[int, Format] = {}
    for number, (system, text) in enumerate(dat.formats):
        where = f"{path}: format {number} of {system}"
        add_format(formats, parse_format(text, system, where), where)
    layout = parse_header(dat.header_page, dat.header_event, f"{path}: header_page")
    stats = {
        int(match[1]): text
        for text in dat.stats
        if (match := re.search(r"^CPU:\s*([0-9]{1,4})\s*$", text, re.MULTILINE))
    }
    files = tuple(
        CpuFile(data.cpu, path, stats.get(data.cpu), data.parts)
        for data in sorted(dat.data, key=lambda data: data.cpu)
    )
    return Tracing(path, layout, formats, files, dat.clock, dat.release)
