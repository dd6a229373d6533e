# SPDX-License-Identifier: GPL-2.0-only
"""Every way in which a field can lie in a record comes back as a column."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pykit.trace import errors
from pykit.trace.batches import Decoder
from pykit.trace.columns import Varying
from pykit.trace.formats import parse_format, parse_header
from pykit.trace.pages import CpuFile
from pykit.trace.tracing import Tracing
from tests.trace.encode import HEADER_EVENT, Page, header_page

FORMAT = """name: any
ID: 7
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:u8 byte;\toffset:2;\tsize:1;\tsigned:0;
\tfield:s16 odd;\toffset:3;\tsize:2;\tsigned:1;
\tfield:s8 small;\toffset:5;\tsize:1;\tsigned:1;
\tfield:u16 half;\toffset:6;\tsize:2;\tsigned:0;
\tfield:s64 wide;\toffset:8;\tsize:8;\tsigned:1;
\tfield:u16 list[2];\toffset:16;\tsize:4;\tsigned:0;
\tfield:char name[4];\toffset:20;\tsize:4;\tsigned:0;
\tfield:__data_loc char[] data;\toffset:24;\tsize:4;\tsigned:1;
\tfield:__rel_loc char[] rel;\toffset:28;\tsize:4;\tsigned:1;
\tfield:u64 far;\toffset:32;\tsize:8;\tsigned:0;

print fmt: ""
"""
END = 40


def record(values: tuple[int, ...], name: bytes, data: bytes, rel: bytes, endian: str) -> bytes:
    """One payload; the two values of changing length stand behind the fields."""
    byte, odd, small, half, wide, one, two, far = values
    at = END + len(data)
    locations = (len(data) << 16 | END, len(rel) << 16 | at - 32)
    order = endian + "HBhbHqHH4sIIQ"
    raw = struct.pack(order, 7, byte, odd, small, half, wide, one, two, name, *locations, far)
    raw += data + rel
    return raw.ljust(-(-len(raw) // 4) * 4, b"\0")


def decoder(folder: Path, raw: bytes, batch: int = 100) -> Decoder:
    path = folder / "cpu0"
    path.write_bytes(raw)
    layout = parse_header(header_page(), HEADER_EVENT, "test")
    formats = {7: parse_format(FORMAT, "any", "test")}
    return Decoder(Tracing(folder, layout, formats, (CpuFile(0, path),)), batch=batch)


VALUES = st.tuples(
    st.integers(0, 2**8 - 1),
    st.integers(-(2**15), 2**15 - 1),
    st.integers(-(2**7), 2**7 - 1),
    st.integers(0, 2**16 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**64 - 1),
)
RECORDS = st.lists(
    st.tuples(
        VALUES, st.binary(min_size=4, max_size=4), st.binary(max_size=9), st.binary(max_size=9)
    ),
    min_size=1,
    max_size=20,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=RECORDS, endian=st.sampled_from("<>"), batch=st.sampled_from([1, 3, 100]))
def test_what_is_encoded_comes_back(tmp_path: Path, rows: list, endian: str, batch: int) -> None:
    page = Page(1000, endian=endian)
    for row in rows:
        assert page.record(record(*row, endian), 1)
    found: dict[str, list[object]] = {}
    for part in decoder(tmp_path, page.encode(), batch):
        for name, column in part.columns[7].items():
            found.setdefault(name, []).extend(column.tolist())
    names = ("byte", "odd", "small", "half", "wide", "list", "name", "data", "rel", "far")
    reported = list(zip(*(found[name] for name in names), strict=True))
    assert reported == [
        (byte, odd, small, half, wide, [one, two], list(name), data, rel, far)
        for (byte, odd, small, half, wide, one, two, far), name, data, rel in rows
    ]


@pytest.mark.parametrize("field", [24, 28])
def test_a_reference_out_of_its_record(tmp_path: Path, field: int) -> None:
    good = record((1,) * 8, b"name", b"data", b"rel", "<")
    bad = bytearray(good)
    bad[field : field + 4] = struct.pack("<I", 2 << 16 | len(good))
    page = Page(1000)
    assert page.record(good, 1)
    assert page.record(bytes(bad), 1)
    decoding = decoder(tmp_path, page.encode())
    (batch,) = decoding
    (error,) = decoding.walk.damage
    assert isinstance(error, errors.BadReferenceError)
    assert (error.cpu, error.page, error.offset) == (0, 0, 16 + 4 + len(good) + 4)
    data, rel = batch.columns[7]["data"], batch.columns[7]["rel"]
    assert isinstance(data, Varying)
    assert isinstance(rel, Varying)
    assert data.tolist() == [b"data", b"" if field == 24 else b"data"]
    assert rel.tolist() == [b"rel", b"rel" if field == 24 else b""]


def test_memory_does_not_grow_with_the_trace(tmp_path: Path) -> None:
    """A window is read again and again: what is there at once is of one size."""
    page = Page(1000)
    while page.record(record((1,) * 8, b"name", b"data", b"rel", "<"), 1):
        pass
    pages = 20_000
    raw = np.frombuffer(page.encode(), dtype=np.uint8)
    block = np.repeat(raw[None], pages, axis=0)
    block[:, :8] = (np.arange(pages) * 10_000).astype("<u8").view(np.uint8).reshape(-1, 8)
    decoding = decoder(tmp_path, block.tobytes(), batch=5000)
    count = sum(len(batch.ts) for batch in decoding)
    assert count == decoding.seen[0] > pages * 50
    assert decoding.walk.windows.buffer.nbytes < block.nbytes / 2
