# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pykit.errors import UsageError
from pykit.trace.errors import BadFormatError, MissingFormatsError
from pykit.trace.formats import parse_fields, parse_format, parse_header
from pykit.trace.tracing import read_tracing
from tests.trace.encode import ADD, HEADER_EVENT, header_page


def test_event_layout() -> None:
    form = parse_format(ADD.format(), "pykit", "test")
    assert (form.system, form.name, form.id) == ("pykit", "pykit_add", 1004)
    assert [(f.name, f.offset, f.size, int(f.signed)) for f in form.fields] == [
        (name, at, size, signed) for _, name, at, size, signed in ADD.layout()
    ]
    assert form.size == 49
    assert all(field.scalar for field in form.fields)


@pytest.mark.parametrize(
    ("line", "name", "array", "reference"),
    [
        ("field:char comm[16];\toffset:8;\tsize:16;\tsigned:0;", "comm", True, None),
        ("field:__data_loc char[] name;\toffset:8;\tsize:4;\tsigned:0;", "name", False, "data"),
        ("field:__rel_loc u8[] mask;\toffset:8;\tsize:4;\tsigned:0;", "mask", False, "rel"),
        ("field:unsigned long args[6];\toffset:8;\tsize:48;\tsigned:0;", "args", True, None),
        ("field:const char * s;\toffset:8;\tsize:8;\tsigned:0;", "s", False, None),
        ("field:u64 x;\toffset:8;\tsize:8;", "x", False, None),
    ],
)
def test_field_lines(line: str, name: str, array: bool, reference: str | None) -> None:
    (field,) = parse_fields(line, "test")
    assert (field.name, field.array, field.reference) == (name, array, reference)
    assert field.scalar == (not array and reference is None)


@pytest.mark.parametrize("size", [4096, 16384, 65536])
@pytest.mark.parametrize("long_size", [4, 8])
def test_page_size_is_the_headers(size: int, long_size: int) -> None:
    layout = parse_header(header_page(size, long_size), HEADER_EVENT, "test")
    assert (layout.page_size, layout.long_size) == (size, long_size)
    assert layout.data_offset == 8 + long_size
    assert layout.stamps


@pytest.mark.parametrize(
    ("page", "event"),
    [
        ("", HEADER_EVENT),
        (header_page(), ""),
        (header_page(1 << 26), HEADER_EVENT),
        (header_page(4097), HEADER_EVENT),
        (header_page().replace("commit", "other"), HEADER_EVENT),
    ],
)
def test_bad_headers(page: str, event: str) -> None:
    with pytest.raises(BadFormatError):
        parse_header(page, event, "test")


@settings(deadline=None)
@given(st.data())
def test_mutated_text_is_a_named_error(data: st.DataObject) -> None:
    text = list(ADD.format())
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at] = data.draw(st.characters())
    try:
        form = parse_format("".join(text), "pykit", "test")
    except UsageError:
        return
    assert 0 <= form.id <= 0xFFFF


def test_no_formats(tmp_path: Path) -> None:
    with pytest.raises(MissingFormatsError):
        read_tracing(tmp_path)
