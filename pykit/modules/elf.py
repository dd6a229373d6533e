# SPDX-License-Identifier: GPL-2.0-only
"""Read a kernel module's file into plain data.

Sections: .modinfo (NUL-terminated ``key=value``), __versions (pairs of CRC and name, 64
bytes each), __version_ext_crcs and __version_ext_names (since 6.14), .symtab,
.gnu.linkonce.this_module (the module's struct module), .BTF, and .pykit.layout (entries of
a NUL-padded name of 56 bytes and a 64-bit number, see kernel/vhost/layout.c).
"""

from __future__ import annotations

import gzip
import io
import lzma
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from elftools.elf.elffile import ELFFile

from pykit.errors import UsageError

_Read = TypeVar("_Read")

#: No module is larger; the limit keeps a wrong path from taking all memory.
_MAX_BYTES = 1 << 30
_VERSION_ENTRY = 64
_LAYOUT_ENTRY = 64


@dataclass(frozen=True)
class Symbol:
    """One entry of the symbol table; ``section`` is None for an undefined one."""

    name: str
    section: str | None
    weak: bool


@dataclass(frozen=True)
class ModuleFile:
    """The contents of a .ko that decide whether and how it loads.

    Attributes:
        modinfo: keys and values in file order; keys may repeat.
        versions: CRC by imported symbol (``module_layout`` among them); empty where the
            module was built without symbol versions.
        struct_module: bytes of its struct module; None where it has none.
        layout: sizes of foreign structures ("name") and offsets of their members
            ("name.member") that it was compiled with, where it says so.
        btf: its type information; empty where it has none.
    """

    modinfo: tuple[tuple[str, str], ...]
    symbols: tuple[Symbol, ...]
    versions: Mapping[str, int]
    struct_module: int | None
    layout: Mapping[str, int]
    btf: bytes

    def info(self, key: str) -> tuple[str, ...]:
        """All values of a modinfo key, in order."""
        return tuple(value for name, value in self.modinfo if name == key)


def read_module(path: Path) -> ModuleFile:
    """Read a .ko, also a compressed one (.xz, .gz; .zst where the zstd program is there).

    Raises: UsageError, one line, for anything but a complete module file.
    """
    return _guarded(path, _read)


def read_modinfo(path: Path) -> tuple[tuple[str, str], ...]:
    """Read ``modinfo`` of a .ko alone: its symbols take a hundred times as long.

    Raises: UsageError, as `read_module`, where what it reads is damaged.
    """
    return _guarded(path, _read_modinfo)


def _guarded(path: Path, read: Callable[[Path, int, int], _Read]) -> _Read:
    try:
        status = path.stat()
        if status.st_size > _MAX_BYTES:
            raise UsageError(f"{path}: too large for a kernel module")
        return read(path, status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (EOFError, lzma.LZMAError, subprocess.SubprocessError) as error:
        raise UsageError(f"{path}: damaged compressed file: get or build it again") from error


# The modules of one build are read for each guest that they go into.
@lru_cache(maxsize=64)
def _read(path: Path, mtime_ns: int, size: int) -> ModuleFile:
    del mtime_ns, size
    return parse_module(_decompressed(path), path)


@lru_cache(maxsize=64)
def _read_modinfo(path: Path, mtime_ns: int, size: int) -> tuple[tuple[str, str], ...]:
    del mtime_ns, size
    return _parsed(_decompressed(path), path, _parse_modinfo)


def parse_module(data: bytes, path: Path) -> ModuleFile:
    """`read_module` of a file's contents; ``path`` is for the error message."""
    return _parsed(data, path, _parse)


def _parsed(data: bytes, path: Path, parse: Callable[[bytes], _Read]) -> _Read:
    if data[:4] != b"\x7fELF":
        raise UsageError(f"{path}: not an ELF file, so not a kernel module: build it again")
    try:
        return parse(data)
    except _DamagedError as error:
        raise UsageError(f"{path}: {error}: build it again") from None
    except Exception as error:
        # pyelftools raises whatever its parser meets: KeyError, TypeError,
        # RecursionError and others; to the user they all mean the same.
        raise UsageError(f"{path}: damaged ELF file: build it again") from error


class _DamagedError(Exception):
    pass


def _decompressed(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".zst":
        if not shutil.which("zstd"):
            raise UsageError(f"{path}: the zstd program is needed to read it: install zstd")
        done = subprocess.run(["zstd", "-dc"], input=data, capture_output=True, check=True)
        return done.stdout
    return data


def _parse_modinfo(data: bytes) -> tuple[tuple[str, str], ...]:
    _, _, contents = _sections(data)
    return tuple(_modinfo(contents.get(".modinfo", b"")))


def _sections(data: bytes) -> tuple[Any, list[Any], dict[str, bytes]]:
    """Return the file, its sections, and what is in them by name."""
    elf = ELFFile(io.BytesIO(data))
    header = elf.header
    # Every count and size is held against the file's length first: what they claim may
    # be anything, and the library would try to go through with it.
    table = header["e_shnum"] * header["e_shentsize"]
    if not header["e_shnum"] or header["e_shoff"] + table > len(data):
        raise _DamagedError("truncated ELF file")
    if header["e_type"] != "ET_REL":
        raise _DamagedError("an ELF file, but no kernel module (not relocatable)")
    if header["e_shentsize"] != elf.structs.Elf_Shdr.sizeof():
        raise _DamagedError("damaged ELF section table")
    sections = list(elf.iter_sections())
    for section in sections:
        end = section["sh_offset"] + section["sh_size"]
        if section["sh_type"] != "SHT_NOBITS" and end > len(data):
            raise _DamagedError(f"truncated ELF file (section {printable(section.name)})")
    contents = {
        section.name: data[section["sh_offset"] : section["sh_offset"] + section["sh_size"]]
        for section in sections
        if section["sh_type"] != "SHT_NOBITS"
    }
    return elf, sections, contents


def _parse(data: bytes) -> ModuleFile:
    elf, sections, contents = _sections(data)
    this_module = contents.get(".gnu.linkonce.this_module")
    return ModuleFile(
        modinfo=tuple(_modinfo(contents.get(".modinfo", b""))),
        symbols=tuple(_symbols(elf, sections)),
        versions=_versions(contents, elf.structs.elfclass // 8, elf.little_endian),
        struct_module=None if this_module is None else len(this_module),
        layout=_layout(contents.get(".pykit.layout", b""), elf.little_endian),
        btf=contents.get(".BTF", b""),
    )


def _modinfo(data: bytes) -> Iterator[tuple[str, str]]:
    for entry in data.split(b"\0"):
        key, equals, value = entry.decode(errors="replace").partition("=")
        if equals:
            yield printable(key), printable(value)


def _symbols(elf: Any, sections: list[Any]) -> Iterator[Symbol]:
    for table in sections:
        if table["sh_type"] != "SHT_SYMTAB":
            continue
        if table["sh_entsize"] != elf.structs.Elf_Sym.sizeof():
            raise _DamagedError("damaged ELF symbol table")
        for symbol in table.iter_symbols():
            index = symbol["st_shndx"]
            if symbol.name and symbol["st_info"]["type"] not in ("STT_FILE", "STT_SECTION"):
                yield Symbol(
                    printable(symbol.name),
                    None if index == "SHN_UNDEF" else _section_name(sections, index),
                    symbol["st_info"]["bind"] == "STB_WEAK",
                )


def _section_name(sections: list[Any], index: int | str) -> str:
    if isinstance(index, str):
        return index
    if index >= len(sections):
        raise _DamagedError("damaged ELF symbol table")
    return str(sections[index].name)


def _versions(contents: Mapping[str, bytes], word: int, little: bool) -> dict[str, int]:
    order: Any = "little" if little else "big"
    versions: dict[str, int] = {}
    basic = contents.get("__versions", b"")
    if len(basic) % _VERSION_ENTRY:
        raise _DamagedError("section __versions has half an entry")
    for start in range(0, len(basic), _VERSION_ENTRY):
        entry = basic[start : start + _VERSION_ENTRY]
        name = entry[word:].partition(b"\0")[0]
        # The CRC is 32 bits in a word of the machine's size.
        versions[printable(name.decode(errors="replace"))] = int.from_bytes(entry[:word], order)
    crcs = contents.get("__version_ext_crcs", b"")
    names = contents.get("__version_ext_names", b"").split(b"\0")[:-1]
    if len(crcs) != 4 * len(names):
        raise _DamagedError("sections __version_ext_crcs and _names do not agree")
    for position, name in enumerate(names):
        crc = int.from_bytes(crcs[4 * position : 4 * position + 4], order)
        versions[printable(name.decode(errors="replace"))] = crc
    return versions


def _layout(data: bytes, little: bool) -> dict[str, int]:
    if len(data) % _LAYOUT_ENTRY:
        raise _DamagedError("section .pykit.layout has half an entry")
    entries = (data[at : at + _LAYOUT_ENTRY] for at in range(0, len(data), _LAYOUT_ENTRY))
    return {
        printable(entry[:-8].partition(b"\0")[0].decode(errors="replace")): int.from_bytes(
            entry[-8:], "little" if little else "big"
        )
        for entry in entries
    }


def printable(text: str) -> str:
    """Text of a foreign file with everything escaped that a terminal might act on."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
