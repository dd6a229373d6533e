# SPDX-License-Identifier: GPL-2.0-only
"""trace-cmd's trace.dat, versions 6 and 7 (trace-cmd.dat.v6(5), trace-cmd.dat.v7(5)).

A file is a header, descriptions of the events, options, and the raw pages of each CPU.
Version 6 has them in this order; version 7 has sections that options point at, and may
compress them. Pages stay where they are: ``DatPart`` says where, so that a large file is read
when it is decoded.
"""

from __future__ import annotations

import bisect
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import zstandard

from pykit.files import open_regular, reason
from pykit.trace.errors import BadDatError

MAGIC = b"\x17\x08\x44tracing"

#: Bytes of one section of descriptions. A kernel with every event on has some 10 MB of them.
_SECTION_MAX = 1 << 26
#: Bytes of one chunk of pages. trace-cmd packs ten sub-buffers into a chunk, ftrace's largest
#: sub-buffer has 1 MiB.
_CHUNK_MAX = 1 << 24
#: Bytes that a file may unpack to: so many times its own size, or so many at least. trace-cmd's
#: pages shrink to a tenth, hardly filled ones to a hundredth.
_RATIO_MAX = 256
_UNPACKED_MIN = 1 << 26
#: A zstd frame may ask for a window of this size. Level 19 takes half of it.
_WINDOW_MAX = 1 << 24

_DONE, _CPUSTAT, _BUFFER, _CLOCK, _UNAME = 0, 2, 3, 4, 5
_HEADERS, _FTRACE, _EVENTS = 16, 17, 18
_COMPRESSED = 1
#: What CPU data is aligned to.
_PAGE = 4096


@dataclass(frozen=True)
class DatPart:
    """Raw pages in the file: ``stored`` bytes at ``offset``, ``size`` bytes when unpacked."""

    offset: int
    stored: int
    size: int
    codec: str = "none"

    def read(self, file: BinaryIO, path: Path) -> bytes:
        """The pages themselves.

        Raises:
            BadDatError: the file is shorter, or does not unpack.
        """
        file.seek(self.offset)
        data = file.read(self.stored)
        if len(data) < self.stored:
            raise BadDatError(f"{path}: the file ends inside the pages at {self.offset:#x}")
        return unpack(data, self.size, self.codec, f"{path}: the pages at {self.offset:#x}")


@dataclass(frozen=True)
class CpuData:
    """Where one CPU's pages are, in their order."""

    cpu: int
    parts: tuple[DatPart, ...]


@dataclass
class Dat:
    """What a trace.dat holds; texts as tracefs had them, ``formats`` by system."""

    header_page: str = ""
    header_event: str = ""
    formats: list[tuple[str, str]] = field(default_factory=list)
    stats: list[str] = field(default_factory=list)
    data: list[CpuData] = field(default_factory=list)
    clock: str = ""
    release: str = ""


def is_dat(path: Path) -> bool:
    """Whether a file begins as trace-cmd's do."""
    try:
        with open_regular(path) as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def read(path: Path) -> Dat:
    """Read everything but the pages.

    Raises:
        BadDatError: not such a file, of an unknown version, or damaged.
    """
    try:
        with open_regular(path) as file:
            return _Reader(path, file).read()
    except OSError as error:
        raise BadDatError(f"{path}: cannot be read: {reason(error)}") from error


def unpack(data: bytes, size: int, codec: str, where: str) -> bytes:
    """Decompress to exactly ``size`` bytes; raises BadDatError for anything else.

    Never takes more memory than for ``size`` bytes, whatever the data claims.
    """
    if codec == "none":
        plain = data
    elif not size:
        # To both libraries a limit of 0 means no limit.
        plain = b""
    elif codec == "zstd":
        try:
            # A size in the frame wins over max_output_size, so compare it first.
            promised = zstandard.frame_content_size(data)
            if promised not in (-1, size):
                raise BadDatError(f"{where}: a zstd frame of {promised} bytes, not {size}")
            decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW_MAX)
            plain = decompressor.decompress(data, max_output_size=size)
        except zstandard.ZstdError as error:
            raise BadDatError(f"{where}: not zstd: {error}") from error
    else:
        try:
            # One byte more than expected shows that there is more.
            plain = zlib.decompressobj().decompress(data, size + 1)
        except zlib.error as error:
            raise BadDatError(f"{where}: not zlib: {error}") from error
    if len(plain) != size:
        raise BadDatError(f"{where}: not the {size} bytes that its header promises")
    return plain


def write_dat(path: Path, tracing: Path, *, endian: str, release: str, clock: str) -> None:
    """Write a saved tracefs directory as a version 6 file.

    ``endian`` is the byte order of the pages, which is the whole file's: "<" or ">".
    The kernel's symbols are not in it: our events need none. A CPU of which nothing was saved
    has no pages.

    Raises:
        OSError: something cannot be read or written.
    """

    def number(value: int, size: int) -> bytes:
        return value.to_bytes(size, "little" if endian == "<" else "big")

    def sized(data: bytes, size: int = 8) -> bytes:
        return number(len(data), size) + data

    events = tracing / "events"
    header = (events / "header_page").read_bytes()
    out = bytearray(MAGIC + b"6\0" + bytes([endian == ">", 8]) + number(_PAGE, 4))
    out += b"header_page\0" + sized(header)
    out += b"header_event\0" + sized((events / "header_event").read_bytes())
    systems: dict[str, list[bytes]] = {}
    for form in sorted(events.glob("*/*/format")):
        systems.setdefault(form.parent.parent.name, []).append(form.read_bytes())
    ftrace = systems.pop("ftrace", [])
    out += number(len(ftrace), 4) + b"".join(map(sized, ftrace)) + number(len(systems), 4)
    for name, forms in systems.items():
        out += name.encode() + b"\0" + number(len(forms), 4) + b"".join(map(sized, forms))
    out += sized(b"", 4) + sized(b"", 4)  # kallsyms, printk formats
    names = tracing / "saved_cmdlines"
    out += sized(names.read_bytes() if names.is_file() else b"")

    raws = {int(raw.parent.name[3:]): raw for raw in tracing.glob("per_cpu/cpu*/trace_pipe_raw")}
    cpus = range(max(raws, default=-1) + 1)
    options = [(_CLOCK, f"[{clock}]\0".encode()), (_UNAME, f"Linux - {release}\0".encode())]
    for cpu in cpus:
        stats = tracing / f"per_cpu/cpu{cpu}/stats"
        if stats.is_file():
            options.append((_CPUSTAT, f"CPU: {cpu}\n".encode() + stats.read_bytes() + b"\0"))
    out += number(len(cpus), 4) + b"options  \0"
    for kind, data in options:
        out += number(kind, 2) + sized(data, 4)
    out += number(_DONE, 2) + b"flyrecord\0"
    at = _round(len(out) + 16 * len(cpus))
    for cpu in cpus:
        size = raws[cpu].stat().st_size if cpu in raws else 0
        out += number(at, 8) + number(size, 8)
        at = _round(at + size)
    with path.open("wb") as file:
        file.write(out)
        for cpu in cpus:
            file.seek(_round(file.tell()))
            if cpu in raws:
                with raws[cpu].open("rb") as raw:
                    shutil.copyfileobj(raw, file)


def _round(size: int) -> int:
    return -(-size // _PAGE) * _PAGE


class _Cursor:
    """Numbers and texts out of bytes, in the file's byte order; never beyond their end."""

    def __init__(self, data: bytes, endian: str, where: str) -> None:
        self.data, self.endian, self.where, self.at = data, endian, where, 0

    def take(self, size: int) -> bytes:
        if not 0 <= size <= len(self.data) - self.at:
            raise BadDatError(f"{self.where}: cut at {self.at:#x}: {size} bytes more are needed")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little" if self.endian == "<" else "big")

    def text(self, size: int) -> str:
        return self.take(size).decode(errors="replace").rstrip("\0")

    def word(self) -> str:
        """A text that a NUL ends."""
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise BadDatError(f"{self.where}: cut at {self.at:#x}: a text without an end")
        return self.text(end + 1 - self.at)

    def expect(self, word: str) -> None:
        at = self.at
        if self.take(len(word) + 1) != word.encode() + b"\0":
            raise BadDatError(f"{self.where}: no {word.strip()} at {at:#x}")


class _Reader:
    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path, self.file, self.dat = path, file, Dat()
        self.length = path.stat().st_size
        self.endian, self.codec = "<", "none"
        #: Starts and ends of the parts of the file that were read or will be, ascending.
        self.claimed: list[tuple[int, int]] = []
        self.unpacked = 0

    def read(self) -> Dat:
        # The head of version 6 holds all descriptions; that of 7 is a few bytes.
        head = self.cursor(0, min(self.length, _SECTION_MAX), str(self.path))
        if head.data[: len(MAGIC)] != MAGIC:
            raise BadDatError(f"{self.path}: not a trace.dat; record with trace-cmd record")
        head.take(len(MAGIC))
        version = head.word()
        self.endian = head.endian = ">" if head.number(1) else "<"
        head.number(1)  # the recorder's long, not the kernel's: header_page says that
        head.number(4)
        if version == "6":
            self.version_6(head)
        elif version == "7":
            self.version_7(head)
        else:
            raise BadDatError(f"{self.path}: version {version!r}; this pykit reads 6 and 7")
        if not self.dat.header_page or not self.dat.formats:
            raise BadDatError(f"{self.path}: nothing describes the events; was it recorded whole?")
        return self.dat

    def cursor(self, offset: int, size: int, where: str) -> _Cursor:
        # Beyond the end is cut; and no seek goes beyond 2^63.
        self.file.seek(min(offset, self.length))
        return _Cursor(self.file.read(min(size, self.length)), self.endian, where)

    def claim(self, offset: int, size: int, where: str) -> None:
        """Note that a part of the file is used; raises BadDatError if it already is.

        Otherwise a small file could have one large part unpacked for each of 2^32 CPUs.
        """
        if not size:
            return
        at = bisect.bisect(self.claimed, (offset, 0))
        before, after = self.claimed[at - 1 : at] if at else [], self.claimed[at : at + 1]
        if (before and before[0][1] > offset) or (after and after[0][0] < offset + size):
            raise BadDatError(
                f"{where}: {size} bytes at {offset:#x} overlap another part: the file is damaged"
            )
        self.claimed.insert(at, (offset, offset + size))

    def expand(self, size: int, most: int, where: str) -> None:
        """Count ``size`` unpacked bytes; raises BadDatError where no file has so many."""
        self.unpacked += size
        if size > most or self.unpacked > max(self.length * _RATIO_MAX, _UNPACKED_MIN):
            raise BadDatError(
                f"{where}: {size} bytes, {self.unpacked} so far from a file of {self.length}:"
                " the file is damaged"
            )

    # Version 6: one after the other.

    def version_6(self, head: _Cursor) -> None:
        self.headers(head)
        self.ftrace_events(head)
        self.events(head)
        head.take(head.number(4))  # kallsyms
        head.take(head.number(4))  # printk formats
        head.take(head.number(8))  # command lines
        cpus = head.number(4)
        instances = []
        kind = head.text(10)
        if kind.strip() == "options":
            while (number := head.number(2)) != _DONE:
                option = self.nested(head, head.number(4), f"option {number}")
                if number == _BUFFER:
                    instances.append(option.number(8))
                else:
                    self.option(number, option)
            kind = head.text(10)
        self.places(head, kind, cpus)
        for offset in instances:
            size = 10 + 16 * cpus
            where = f"{self.path}: instance at {offset:#x}"
            self.claim(offset, size, where)
            table = self.cursor(offset, size, where)
            self.places(table, table.text(10), cpus)

    def places(self, table: _Cursor, kind: str, cpus: int) -> None:
        if kind.strip() != "flyrecord":
            raise BadDatError(f"{self.path}: no raw pages but {kind.strip()!r}")
        for cpu in range(cpus):
            offset, size = table.number(8), table.number(8)
            self.claim(offset, size, f"{self.path}: CPU {cpu}")
            self.add(cpu, [DatPart(offset, size, size)])

    def add(self, cpu: int, parts: list[DatPart]) -> None:
        for part in parts:
            if part.offset + part.stored > self.length:
                raise BadDatError(
                    f"{self.path}: CPU {cpu}'s pages end at {part.offset + part.stored:#x},"
                    f" the file at {self.length:#x}: it is cut"
                )
        if any(part.size for part in parts):
            self.dat.data.append(CpuData(cpu, tuple(parts)))

    # Version 7: options point at sections.

    def version_7(self, head: _Cursor) -> None:
        self.codec = head.word()
        head.word()
        if self.codec not in ("none", "zstd", "zlib"):
            raise BadDatError(f"{self.path}: compressed by {self.codec!r}; use trace-cmd convert")
        offset = head.number(8)
        while offset:
            options = self.section(offset)
            offset = 0
            while options.at < len(options.data):
                number = options.number(2)
                option = self.nested(options, options.number(4), f"option {number}")
                if number == _DONE:
                    offset = option.number(8)
                    break
                self.option_7(number, option)

    def option_7(self, number: int, option: _Cursor) -> None:
        if number == _HEADERS:
            self.headers(self.section(option.number(8)))
        elif number == _FTRACE:
            self.ftrace_events(self.section(option.number(8)))
        elif number == _EVENTS:
            self.events(self.section(option.number(8)))
        elif number == _BUFFER:
            self.buffer(option)
        else:
            self.option(number, option)

    def section(self, offset: int) -> _Cursor:
        where = f"{self.path}: section at {offset:#x}"
        header = self.cursor(offset, 16, where)
        header.number(2)
        flags = header.number(2)
        header.number(4)
        size = header.number(8)
        if size > _SECTION_MAX:
            raise BadDatError(f"{where}: {size} bytes: the file is damaged")
        # Options that lead to themselves claim their section twice.
        self.claim(offset, 16 + size, where)
        body = self.cursor(offset + 16, size, where)
        if not flags & _COMPRESSED:
            return body
        stored, plain = body.number(4), body.number(4)
        self.expand(plain, _SECTION_MAX, where)
        return _Cursor(unpack(body.take(stored), plain, self.codec, where), self.endian, where)

    def buffer(self, option: _Cursor) -> None:
        header = self.cursor(option.number(8), 16, option.where)
        header.number(2)
        compressed = header.number(2) & _COMPRESSED
        option.word()
        # Taken whether or not an option had the clocks: all that follows stands behind it.
        clock = option.word()
        self.dat.clock = self.dat.clock or clock
        option.number(4)
        for _ in range(option.number(4)):
            cpu, offset, size = option.number(4), option.number(8), option.number(8)
            self.claim(offset, size, f"{option.where}: CPU {cpu}")
            parts = list(self.chunks(offset, size)) if compressed else [DatPart(offset, size, size)]
            self.add(cpu, parts)

    def chunks(self, offset: int, size: int) -> Iterator[DatPart]:
        if not size:
            return
        where = f"{self.path}: chunks at {offset:#x}"
        # trace-cmd's size leaves the count of chunks out.
        end = offset + 4 + size
        count = self.cursor(offset, 4, where).number(4)
        offset += 4
        for _ in range(count):
            head = self.cursor(offset, 8, where)
            stored, plain = head.number(4), head.number(4)
            if offset + 8 + stored > end:
                raise BadDatError(f"{where}: a chunk of {stored} bytes ends beyond {end:#x}")
            self.expand(plain, _CHUNK_MAX, where)
            yield DatPart(offset + 8, stored, plain, self.codec)
            offset += 8 + stored

    # What both versions have.

    def nested(self, data: _Cursor, size: int, what: str) -> _Cursor:
        return _Cursor(data.take(size), self.endian, f"{self.path}: {what}")

    def headers(self, data: _Cursor) -> None:
        data.expect("header_page")
        self.dat.header_page = data.text(data.number(8))
        data.expect("header_event")
        self.dat.header_event = data.text(data.number(8))

    def ftrace_events(self, data: _Cursor) -> None:
        self.system(data, "ftrace")

    def events(self, data: _Cursor) -> None:
        for _ in range(data.number(4)):
            self.system(data, data.word())

    def system(self, data: _Cursor, name: str) -> None:
        for _ in range(data.number(4)):
            self.dat.formats.append((name, data.text(data.number(8))))

    def option(self, number: int, option: _Cursor) -> None:
        text = option.text(len(option.data))
        if number == _CPUSTAT:
            self.dat.stats.append(text)
        elif number == _CLOCK:
            chosen = [word for word in text.split() if word.startswith("[")]
            self.dat.clock = chosen[0].strip("[]") if chosen else text.strip()
        elif number == _UNAME:
            words = text.split()
            self.dat.release = words[2] if len(words) > 2 else ""
