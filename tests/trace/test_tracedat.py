# SPDX-License-Identifier: GPL-2.0-only
"""trace.dat as trace-cmd itself writes it, in both versions, whole and damaged."""

from __future__ import annotations

import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pykit import spec
from pykit.errors import UsageError
from pykit.trace import load
from pykit.trace.batches import Decoder
from pykit.trace.errors import BadChunkError, BadDatError
from pykit.trace.tracedat import is_dat, write_dat
from pykit.trace.tracing import read_tracing
from tests.trace.encode import NOTIFY, Page, write_tracing

pytestmark = pytest.mark.skipif(
    shutil.which("trace-cmd") is None, reason="trace-cmd is not installed"
)

KINDS = {"v6": ("6", "none"), "v7": ("7", "none"), "v7-zstd": ("7", "zstd")}


def trace_cmd(*words: object) -> None:
    command = ["trace-cmd", *map(str, words)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def make(tracing: Path, folder: Path) -> dict[str, Path]:
    """The same pages as files of every version that trace-cmd writes."""
    symbols, part, whole = folder / "kallsyms", folder / "part.dat", folder / "whole.dat"
    symbols.write_text("ffffffff81000000 T _text\n")
    trace_cmd("restore", "-c", "-t", tracing, "-k", symbols, "-o", part)
    raws = [file.path for file in read_tracing(tracing).files]
    trace_cmd("restore", "-i", part, "-o", whole, *raws)
    made = {}
    for name, (version, codec) in KINDS.items():
        made[name] = folder / f"{name}.dat"
        trace_cmd(
            "convert", "-i", whole, "-o", made[name], "--file-version", version,
            "--compression", codec,
        )  # fmt: skip
    return made


@pytest.fixture(scope="session")
def dats(capture: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make(capture / "tracing", tmp_path_factory.mktemp("dat"))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_events(dats: dict[str, Path], capture: Path, kind: str) -> None:
    guest = load(capture).table.filter(source="driver").drop("dev", "life", "row")
    events = load(dats[kind])
    assert events.capture.outcome.kind == "recorded"
    assert events.table.drop("dev", "life", "row").equals(guest)
    # trace-cmd had no statistics to store: nobody can say that nothing was lost.
    assert any("no stats" in line for line in events.losses)
    assert set(spec.check(events).summary()) >= {"inconclusive"}


@pytest.mark.parametrize("instance", ["main", "abs", "lossy"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_records(ftrace: Path, tmp_path: Path, instance: str, kind: str) -> None:
    plain = read_tracing(ftrace / instance)
    dat = read_tracing(make(ftrace / instance, tmp_path)[kind])
    assert dat.layout == plain.layout
    assert dat.formats.keys() == plain.formats.keys()
    found, wanted = (
        [(batch.ts.tolist(), batch.event.tolist()) for batch in Decoder(tracing)]
        for tracing in (dat, plain)
    )
    assert found == wanted
    assert found


def by_zlib(plain: Path, path: Path) -> None:
    """Version 7 as a trace-cmd that knows zlib writes it: pages in chunks, each compressed."""
    raw = bytearray(plain.read_bytes())
    codec = raw.index(b"none\0")
    raw[codec : codec + 5] = b"zlib\0"
    first = None
    for file in read_tracing(plain).files:
        (part,) = file.parts
        pages = bytes(raw[part.offset : part.offset + part.size])
        chunks = [pages[at : at + 8192] for at in range(0, len(pages), 8192)]
        data = struct.pack("<I", len(chunks))
        for chunk in chunks:
            packed = zlib.compress(chunk)
            data += struct.pack("<II", len(packed), len(chunk)) + packed
        entry = raw.index(struct.pack("<IQQ", file.cpu, part.offset, part.size))
        first = entry if first is None else min(first, entry)
        struct.pack_into("<IQQ", raw, entry, file.cpu, len(raw), len(data))
        raw += data
    assert first is not None
    # Before the first CPU: the section's offset, an empty name, the clock, page size, count.
    name = raw.rindex(b"\0", 0, first - 9)
    (section,) = struct.unpack_from("<Q", raw, name - 8)
    assert struct.unpack_from("<H", raw, section) == (3,)
    struct.pack_into("<H", raw, section + 2, 1)
    path.write_bytes(raw)


def test_zlib(dats: dict[str, Path], tmp_path: Path) -> None:
    """Debian's trace-cmd has zstd alone."""
    path = tmp_path / "zlib.dat"
    by_zlib(dats["v7"], path)
    found, wanted = (
        [(batch.ts.tolist(), batch.event.tolist()) for batch in Decoder(read_tracing(dat))]
        for dat in (path, dats["v7"])
    )
    assert found == wanted
    assert found
    raw = bytearray(path.read_bytes())
    raw[-4:] = b"\xff" * 4
    path.write_bytes(raw)
    decoder = Decoder(read_tracing(path))
    kept = sum(len(batch.ts) for batch in decoder)
    assert kept < sum(len(times) for times, _ in wanted)
    assert [type(error) for error in decoder.walk.damage] == [BadChunkError]
    assert f"{path}: CPU " in str(decoder.walk.damage[0])


@pytest.mark.parametrize("endian", ["<", ">"])
def test_written_in_the_order_of_the_pages(tmp_path: Path, endian: str) -> None:
    kind = NOTIFY
    page = Page(1000, endian=endian)
    for number in range(3):
        assert page.record(kind.payload({"dev": number}, endian), 10)
    tracing = tmp_path / "tracing"
    write_tracing(tracing, [page.encode()], counts=[3])
    saved = read_tracing(tracing)
    assert saved.endian == endian
    path = tmp_path / "trace.dat"
    write_dat(path, tracing, endian=saved.endian, release="6.1", clock="mono")
    found = read_tracing(path)
    assert found.endian == endian
    assert [(b.ts.tolist(), b.event.tolist()) for b in Decoder(found)] == [
        (b.ts.tolist(), b.event.tolist()) for b in Decoder(saved)
    ]
    report = subprocess.run(["trace-cmd", "report", "-i", path], capture_output=True, text=True)
    assert report.stdout.count(f"{kind.name}:") == 3


def test_what_is_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "other.dat"
    path.write_bytes(b"\x7fELF" + bytes(100))
    assert not is_dat(path)
    with pytest.raises(BadDatError, match=r"not a trace\.dat"):
        load(path)
    path.write_bytes(b"\x17\x08\x44tracing9\0\0\x08\0\x10\0\0")
    assert is_dat(path)
    with pytest.raises(BadDatError, match="version '9'"):
        load(path)


@pytest.mark.parametrize("kind", KINDS)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damage_is_a_named_error(
    dats: dict[str, Path], tmp_path: Path, kind: str, data: st.DataObject
) -> None:
    raw = bytearray(dats[kind].read_bytes())
    if data.draw(st.booleans()):
        del raw[data.draw(st.integers(0, len(raw) - 1)) :]
    for _ in range(data.draw(st.integers(0, 4))):
        # Headers and options are small and everywhere in the first and the last kilobytes.
        at = data.draw(st.one_of(st.integers(0, 600), st.integers(0, max(len(raw) - 1, 0))))
        if at < len(raw):
            raw[at] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.dat"
    path.write_bytes(raw)
    said = ""
    try:
        load(path)
    except UsageError as error:
        said = str(error)
    assert not said or str(path) in said
    assert "\n" not in said
