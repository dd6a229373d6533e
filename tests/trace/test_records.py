# SPDX-License-Identifier: GPL-2.0-only
"""The page walk: what is encoded comes back, damage is named, and it always ends."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pykit.trace import errors
from pykit.trace.formats import EventField, Format, PageLayout, parse_header
from pykit.trace.pages import CpuFile
from pykit.trace.walk import Walk
from tests.trace.encode import HEADER_EVENT, Page, decode, header_page

FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


#: Every event id is known and needs no more than itself.
FORMATS = {
    number: Format(
        "test", "any", number, (EventField("common_type", "", 0, 2, False, False, None),)
    )
    for number in range(1 << 16)
}
SLOTS = np.zeros(1 << 16, dtype=np.int32)


class Walked(NamedTuple):
    """(ts, payload) of every record by CPU, in their order over all, and the walk itself."""

    by_cpu: list[list[tuple[int, bytes]]]
    order: list[tuple[int, int]]
    walk: Walk

    @property
    def ts(self) -> list[int]:
        return [ts for ts, _ in self.order]


def layout_of(size: int = 4096, long_size: int = 8) -> PageLayout:
    return parse_header(header_page(size, long_size), HEADER_EVENT, "test")


def walked(folder: Path, raws: list[bytes], layout: PageLayout, batch: int = 1000) -> Walked:
    files = []
    for cpu, raw in enumerate(raws):
        path = folder / f"cpu{cpu}"
        path.write_bytes(raw)
        files.append(CpuFile(cpu, path))
    walk = Walk(files, layout, FORMATS)
    by_cpu: list[list[tuple[int, bytes]]] = [[] for _ in raws]
    order = []
    for found in walk.records(SLOTS, batch):
        for at, size, ts, owner, _ in zip(*(column.tolist() for column in found), strict=True):
            by_cpu[owner].append((ts, walk.windows.buffer[at : at + size].tobytes()))
            order.append((ts, owner))
    return Walked(by_cpu, order, walk)


@st.composite
def streams(
    draw: st.DrawFn, size: int, long_size: int, endian: str
) -> tuple[bytes, list[tuple[int, bytes]]]:
    """One CPU's pages with records of every type, and what they hold."""
    ts = draw(st.integers(0, (1 << 58) - 1))
    # Absolute stamps carry 59 bits; from 2^59 on the rest comes from the running time.
    ts += draw(st.sampled_from([0, 1 << 59, 7 << 59]))
    raw, expected = b"", []
    for _ in range(draw(st.integers(1, 3))):
        page = Page(ts, size, long_size, endian, missed=draw(st.sampled_from([None, 0, 5])))
        for kind in draw(st.lists(st.sampled_from("rrrrlesd"), max_size=40)):
            delta = draw(st.integers(0, (1 << 27) - 1))
            step = delta
            if kind in "rl":
                top = 28 if kind == "r" else 300
                payload = draw(st.binary(min_size=4, max_size=4)) * draw(st.integers(1, top))
                if not page.record(payload, delta, long=kind == "l"):
                    break
                expected.append((ts + delta, payload))
            elif kind == "e":
                step = draw(st.integers(0, 1 << 40))
                if not page.extend(step):
                    break
            elif kind == "s":
                step = draw(st.integers(0, 1 << 40))
                if not page.stamp(ts + step):
                    break
            else:
                step = max(delta, 1)
                if not page.discard(4 * draw(st.integers(2, 60)), step):
                    break
            ts += step
        if 4 <= page.room < 8:
            page.pad()
        raw += page.encode()
    return raw, expected


@FUZZ
@given(st.data())
def test_what_is_encoded_comes_back(tmp_path: Path, data: st.DataObject) -> None:
    size = data.draw(st.sampled_from([4096, 8192]))
    long_size = data.draw(st.sampled_from([4, 8]))
    endian = data.draw(st.sampled_from("<>"))
    cpus = [data.draw(streams(size, long_size, endian)) for _ in range(2)]
    layout = layout_of(size, long_size)
    batch = data.draw(st.sampled_from([1, 7, 1000]))
    found = walked(tmp_path, [raw for raw, _ in cpus], layout, batch)
    # A few commits of 32 bits can be read both ways; more pages settle it in real data.
    assume(long_size == 8 or found.walk.windows.endian == endian)
    assert not found.walk.damage
    assert found.by_cpu == [expected for _, expected in cpus]
    assert found.order == sorted(found.order)
    for raw, expected in cpus:
        assert decode(raw, size, long_size, endian) == expected


@FUZZ
@given(st.binary(max_size=3 * 512))
def test_random_bytes_end(tmp_path: Path, raw: bytes) -> None:
    layout = layout_of(512)
    found = walked(tmp_path, [raw], layout)
    assert sum(len(payload) for _, payload in found.by_cpu[0]) <= len(raw)
    assert all(isinstance(error, errors.DamageError) for error in found.walk.damage)


@FUZZ
@given(st.data())
def test_mutated_pages_end(tmp_path: Path, data: st.DataObject) -> None:
    raw = bytearray(data.draw(streams(512, 8, "<"))[0])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)))]
    found = walked(tmp_path, [bytes(raw)], layout_of(512))
    assert sum(len(payload) for _, payload in found.by_cpu[0]) <= len(raw)
    assert (len(raw) % 512 != 0) == any(
        isinstance(error, errors.TruncatedPageError) for error in found.walk.damage
    )


def one_page() -> Page:
    page = Page(1000)
    page.record(b"\1\0\0\0", 1)
    return page


@pytest.mark.parametrize(
    ("word", "operand", "error"),
    [
        (28, 0, errors.RecordBeyondPageError),
        (0, 0, errors.BadLengthError),
        (0, 3, errors.BadLengthError),
        (0, 4, errors.BadLengthError),
        (0, 1 << 31, errors.RecordBeyondPageError),
        (0, (1 << 32) - 1, errors.RecordBeyondPageError),
        (29 | 1 << 5, 0, errors.BadLengthError),
        (29 | 1 << 5, 1 << 20, errors.RecordBeyondPageError),
        (29, 0, errors.EarlyPaddingError),
    ],
)
def test_damage_is_named(
    tmp_path: Path, word: int, operand: int, error: type[errors.DamageError]
) -> None:
    page = one_page()
    page.put(struct.pack("<III", word, operand, 29 | 1 << 5))
    after = Page(5000)
    after.record(b"\2\0\0\0", 1)
    found = walked(tmp_path, [page.encode() + after.encode()], layout_of())
    first = found.walk.damage[0]
    assert isinstance(first, error)
    assert (first.cpu, first.page, first.offset) == (0, 0, 24)
    assert str(tmp_path / "cpu0") in str(first)
    # What stands before the damage and on other pages is kept.
    assert [payload[0] for _, payload in found.by_cpu[0]] == [1, 2]


@pytest.mark.parametrize("commit", [4081, 4084, 5000, (1 << 27) - 4, 10, 1 << 28, 1 << 40])
def test_bad_commit(tmp_path: Path, commit: int) -> None:
    good = one_page().encode()
    bad = good[:8] + struct.pack("<Q", commit) + good[16:]
    found = walked(tmp_path, [good + bad + good], layout_of())
    (error,) = found.walk.damage
    assert isinstance(error, errors.BadCommitError)
    assert (error.page, error.offset) == (1, 8)
    assert len(found.ts) == 2


@pytest.mark.parametrize("word", [5, 0, 30, 31, 29 | 1 << 5])
def test_record_cut_by_the_commit(tmp_path: Path, word: int) -> None:
    page = one_page()
    page.put(struct.pack("<I", word))
    found = walked(tmp_path, [page.encode()], layout_of())
    (error,) = found.walk.damage
    assert isinstance(error, errors.RecordBeyondPageError)
    assert len(found.ts) == 1


def test_truncated_file(tmp_path: Path) -> None:
    raw = one_page().encode()
    found = walked(tmp_path, [raw + raw[:1000]], layout_of())
    (error,) = found.walk.damage
    assert isinstance(error, errors.TruncatedPageError)
    assert (error.page, error.offset) == (1, 1000)
    assert len(found.ts) == 1


def test_time_runs_backwards(tmp_path: Path) -> None:
    raws = b""
    for base in (10**9, 2 * 10**9, 10**9, 3 * 10**9):
        page = Page(base)
        page.record(b"\1\0\0\0", 1)
        raws += page.encode()
    found = walked(tmp_path, [raws], layout_of())
    (error,) = found.walk.damage
    assert isinstance(error, errors.BadTimeError)
    assert error.page == 2
    assert found.ts == [10**9 + 1, 2 * 10**9 + 1, 3 * 10**9 + 1]


def test_time_beyond_63_bits(tmp_path: Path) -> None:
    page = Page((1 << 63) - 1)
    page.record(b"\1\0\0\0", 0)
    page.record(b"\2\0\0\0", 1)
    found = walked(tmp_path, [page.encode()], layout_of())
    assert found.ts == [(1 << 63) - 1]
    assert isinstance(found.walk.damage[0], errors.BadTimeError)


def test_stamp_that_wraps_its_59_bits(tmp_path: Path) -> None:
    before = (3 << 59) - 10
    page = Page(before)
    page.stamp(before + 20)
    page.record(b"\1\0\0\0", 0)
    found = walked(tmp_path, [page.encode()], layout_of())
    assert found.ts == [before + 20]


def test_old_kernels_have_no_stamps(tmp_path: Path) -> None:
    text = "\n".join(line for line in HEADER_EVENT.splitlines() if "time_stamp" not in line)
    page = one_page()
    page.stamp(5000)
    page.record(b"\2\0\0\0", 0)
    found = walked(tmp_path, [page.encode()], parse_header(header_page(), text, "test"))
    assert isinstance(found.walk.damage[0], errors.UnknownTypeError)
    assert len(found.ts) == 1


@pytest.mark.parametrize("long_size", [4, 8])
def test_loss_flags(tmp_path: Path, long_size: int) -> None:
    raw = b""
    for missed in (None, 0, 7):
        page = Page(1000, long_size=long_size, missed=missed)
        page.record(b"\1\0\0\0", 1)
        raw += page.encode()
    found = walked(tmp_path, [raw], layout_of(long_size=long_size))
    assert [(lost.page, lost.count) for lost in found.walk.lost] == [(1, -1), (2, 7)]
    assert len(found.ts) == 3
