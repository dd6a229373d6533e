# SPDX-License-Identifier: GPL-2.0-only
"""Parse tracefs' descriptions of its data: header_page, header_event, events/*/*/format."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

from pykit.files import read_regular, reason
from pykit.trace.errors import BadFormatError, MissingFormatsError

_FIELD = re.compile(
    r"^\s*field:(?P<decl>[^;]+);\s*offset:(?P<offset>[0-9]{1,9});\s*size:(?P<size>[0-9]{1,9});"
    r"(?:\s*signed:(?P<signed>[01]);)?"
)
_PRINT_FMT = re.compile(r"^print fmt: [^\n]*\n\s*\Z", re.MULTILINE)
_DIGITS = re.compile(r"\[[0-9]{1,9}\]$")
_DECL = re.compile(r"(?P<name>\w+)(?P<array>\[[^\]]*\])?$")

#: The kernel's write position has 20 bits.
_MAX_PAGE = 1 << 20
#: Fields of one event; the kernel's own limit is a page.
_MAX_FIELD_END = 1 << 16


@dataclass(frozen=True)
class EventField:
    """One field of an event.

    ``offset`` counts from the start of the record's payload. ``reference`` is
    ``data`` or ``rel`` for __data_loc and __rel_loc: 4 bytes that say where in
    the record a value of changing length stands. ``count`` is how many elements
    an array has, 0 where its declaration does not say it in digits.
    """

    name: str
    decl: str
    offset: int
    size: int
    signed: bool
    array: bool
    reference: Literal["data", "rel"] | None
    count: int = 0

    @property
    def scalar(self) -> bool:
        """Whether the field is one integer of 1, 2, 4 or 8 bytes."""
        return not self.array and self.reference is None and self.size in (1, 2, 4, 8)


@dataclass(frozen=True)
class Format:
    """One event's layout, from ``events/<system>/<name>/format``."""

    system: str
    name: str
    id: int
    fields: tuple[EventField, ...]

    @cached_property
    def size(self) -> int:
        """Bytes a record's payload has at least: the end of the last field."""
        return max(field.offset + field.size for field in self.fields)


@dataclass(frozen=True)
class PageLayout:
    """Sub-buffer layout: offsets and sizes in bytes, from header_page and header_event.

    ``stamps`` says whether record type 31 (absolute time) exists.
    """

    commit_offset: int
    long_size: int
    data_offset: int
    page_size: int
    stamps: bool


def parse_fields(text: str, where: str) -> tuple[EventField, ...]:
    """Parse all ``field:`` lines of a format text, in order.

    Raises:
        BadFormatError: a field line cannot be understood, or there is none.
    """
    try:
        return _fields(text)
    except ValueError as error:
        raise BadFormatError(f"{where}: {error}") from None


# Thousands of captures of one kernel have the same descriptions.
@lru_cache(maxsize=512)
def _fields(text: str) -> tuple[EventField, ...]:
    """Raises ValueError with what is wrong."""
    fields = []
    for line in text.splitlines():
        if "field:" not in line:
            continue
        match = _FIELD.match(line)
        decl = match["decl"].strip() if match else ""
        # "__data_loc char[] name": the brackets belong to the type, not to the name.
        name = _DECL.search(decl)
        if match is None or name is None:
            raise ValueError(f"cannot understand {line.strip()!r}")
        offset, size = int(match["offset"]), int(match["size"])
        if offset + size > _MAX_PAGE:
            raise ValueError(f"field {name['name']} ends at {offset + size}")
        first = decl.split(maxsplit=1)[0]
        fields.append(
            EventField(
                name=name["name"],
                decl=decl,
                offset=offset,
                size=size,
                signed=match["signed"] == "1",
                array=name["array"] is not None,
                reference=(
                    "data" if first == "__data_loc" else "rel" if first == "__rel_loc" else None
                ),
                count=int(name["array"][1:-1]) if _DIGITS.match(name["array"] or "") else 0,
            )
        )
    if not fields:
        raise ValueError("no field lines")
    return tuple(fields)


def parse_format(text: str, system: str, where: str) -> Format:
    """Parse one event's format text.

    Raises:
        BadFormatError: no name, no ID, cut, or ``common_type`` is not a u16 at 0.
    """
    # A file that was cut in the middle still has fields, and would only lack the others.
    if not _PRINT_FMT.search(text):
        raise BadFormatError(
            f"{where}: cut, it does not end in a print fmt line: save the tracefs file as it is"
        )
    name = re.search(r"^name:\s*(\S+)", text, re.MULTILINE)
    number = re.search(r"^ID:\s*([0-9]{1,9})\s*$", text, re.MULTILINE)
    if name is None or number is None or int(number[1]) > 0xFFFF:
        raise BadFormatError(f"{where}: no name or ID line; save the tracefs file as it is")
    fields = parse_fields(text, where)
    common = fields[0]
    if (common.name, common.offset, common.size) != ("common_type", 0, 2):
        raise BadFormatError(f"{where}: the first field is not common_type")
    if max(field.offset + field.size for field in fields) > _MAX_FIELD_END:
        raise BadFormatError(f"{where}: the fields end beyond {_MAX_FIELD_END}")
    return Format(system, name[1], int(number[1]), fields)


def parse_header(page: str, event: str, where: str) -> PageLayout:
    """Parse the sub-buffer's layout from header_page and header_event.

    The page size is where the data starts plus how much there is of it: a
    sub-buffer may be larger than a page.

    Raises:
        BadFormatError: a field is missing or no kernel could have this layout.
    """
    fields = {field.name: field for field in parse_fields(page, where)}
    for name in ("timestamp", "commit", "data"):
        if name not in fields:
            raise BadFormatError(f"{where}: no {name} field; save the tracefs file as it is")
    stamp, commit, data = fields["timestamp"], fields["commit"], fields["data"]
    page_size = data.offset + data.size
    known = (
        (stamp.offset, stamp.size) == (0, 8)
        and commit.size in (4, 8)
        and commit.offset == 8
        and data.offset == 8 + commit.size
        and data.size >= 16
        and page_size % 4 == 0
        and page_size <= _MAX_PAGE
    )
    if not known:
        raise BadFormatError(f"{where}: not a layout that ftrace has ({page_size} bytes a page)")
    for word in ("type_len", "time_delta", "type == 29", "type == 30"):
        if word not in event:
            raise BadFormatError(f"{where}: header_event does not describe {word!r}")
    return PageLayout(
        commit_offset=commit.offset,
        long_size=commit.size,
        data_offset=data.offset,
        page_size=page_size,
        stamps="type == 31" in event,
    )


def add_format(formats: dict[int, Format], form: Format, where: str) -> None:
    """Add an event by its id; raises BadFormatError if another one has it."""
    if form.id in formats:
        raise BadFormatError(f"{where}: id {form.id} is {formats[form.id].name}'s as well")
    formats[form.id] = form


def read_text(path: Path, within: Path) -> str:
    """Return a saved tracefs file, which must be below ``within``.

    Raises:
        MissingFormatsError, BadFormatError.
    """
    try:
        return read_regular(path, within).decode(errors="replace")
    except FileNotFoundError as error:
        raise MissingFormatsError(f"{path}: missing: save it beside the raw pages") from error
    except OSError as error:
        raise BadFormatError(f"{path}: cannot be read: {reason(error)}") from error
