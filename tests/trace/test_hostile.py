# SPDX-License-Identifier: GPL-2.0-only
"""Captures that others damaged, or made to hurt: one line, in bounded memory and time."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pykit import spec
from pykit.errors import UsageError
from pykit.observe.ringwatch import ENTRY
from pykit.trace import load
from pykit.trace.errors import BadDatError, BadFormatError, CaptureError
from pykit.trace.tracedat import MAGIC, read, unpack
from tests.trace.encode import write_capture
from tests.trace.test_load import page_of, queue_rows

OPTIONS, BUFFER, HEADERS, DONE = 15, 3, 16, 0
COMPRESSED = 1
MUTANTS = int(os.environ.get("PYKIT_MUTANTS", "12"))


def frame(size: int) -> bytes:
    """A zstd frame of ``size`` zero bytes in blocks of 128 KiB, four bytes each (RFC 8878)."""
    # Frame_Content_Size of 8 bytes; a window of 128 KiB.
    out = bytearray(b"\x28\xb5\x2f\xfd" + bytes([0xC0, 7 << 3]) + struct.pack("<Q", size))
    while size:
        block = min(size, 1 << 17)
        size -= block
        out += ((block << 3) | (1 << 1) | (not size)).to_bytes(3, "little") + b"\0"
    return bytes(out)


def section(number: int, body: bytes, flags: int = 0) -> bytes:
    return struct.pack("<HHIQ", number, flags, 0, len(body)) + body


def option(number: int, data: bytes) -> bytes:
    return struct.pack("<HI", number, len(data)) + data


def version_7(path: Path, codec: str, *parts: bytes, options: bytes) -> list[int]:
    """Write a file of ``parts`` and then its options; return the offsets of the parts."""
    head = MAGIC + b"7\0\0\x08" + struct.pack("<I", 4096) + codec.encode() + b"\0\0"
    at = len(head) + 8
    offsets = []
    for part in parts:
        offsets.append(at)
        at += len(part)
    path.write_bytes(head + struct.pack("<Q", at) + b"".join(parts) + section(OPTIONS, options))
    return offsets


def buffer(at: int, *cpus: tuple[int, int]) -> bytes:
    """The option of a buffer whose section is at ``at``: each CPU's offset and size."""
    head = struct.pack("<Q", at) + b"\0mono\0" + struct.pack("<II", 4096, len(cpus))
    return option(BUFFER, head + b"".join(struct.pack("<IQQ", n, *c) for n, c in enumerate(cpus)))


def chunks(*packed: tuple[bytes, int]) -> bytes:
    body = b"".join(struct.pack("<II", len(data), plain) + data for data, plain in packed)
    return struct.pack("<I", len(packed)) + body


HEAD = len(MAGIC) + 2 + 2 + 4 + len(b"zstd\0\0") + 8
FLAGGED = section(BUFFER, b"", COMPRESSED)


def big_section(path: Path) -> None:
    body = frame(12 << 30)
    part = section(HEADERS, struct.pack("<II", len(body), 4096) + body, COMPRESSED)
    version_7(path, "zstd", part, options=option(HEADERS, struct.pack("<Q", HEAD)))


def big_chunk(path: Path) -> None:
    data = chunks((zlib.compress(bytes(1 << 20)), 3 << 30))
    at = HEAD + len(FLAGGED)
    version_7(path, "zlib", FLAGGED, data, options=buffer(HEAD, (at, len(data))))


def many_chunks(path: Path) -> None:
    data = chunks(*[(frame(1 << 24), 1 << 24)] * 200)
    at = HEAD + len(FLAGGED)
    version_7(path, "zstd", FLAGGED, data, options=buffer(HEAD, (at, len(data))))


def many_cpus(path: Path) -> None:
    data = chunks((frame(1 << 24), 1 << 24))
    at = HEAD + len(FLAGGED)
    version_7(path, "zstd", FLAGGED, data, options=buffer(HEAD, *[(at, len(data))] * 10_000))


def many_sections(path: Path) -> None:
    body = frame(1 << 24)
    part = section(HEADERS, struct.pack("<II", len(body), 1 << 24) + body, COMPRESSED)
    where = option(HEADERS, struct.pack("<Q", HEAD))
    version_7(path, "zstd", part, options=where * 1000)


def endless_options(path: Path) -> None:
    at = version_7(path, "none", options=option(DONE, bytes(8)))
    assert not at
    data = bytearray(path.read_bytes())
    data[-8:] = struct.pack("<Q", HEAD)
    path.write_bytes(data)


#: Adds 512 MiB to what the imports have mapped, and then reads the file.
LIMITED = """
import resource, sys
from pathlib import Path
from pykit.errors import UsageError
from pykit.trace import load
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + (512 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    load(Path(sys.argv[1]))
except UsageError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "make", [big_section, big_chunk, many_chunks, many_cpus, many_sections, endless_options]
)
def test_sizes_are_not_believed(make: Any, tmp_path: Path) -> None:
    path = tmp_path / "hostile.dat"
    make(path)
    assert path.stat().st_size < 1 << 20
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, path], capture_output=True, text=True, timeout=120
    )
    assert done.stderr == ""
    assert done.stdout.startswith(str(path))
    assert done.stdout.count("\n") == 1
    with pytest.raises(BadDatError):
        read(path)


@pytest.mark.parametrize("codec", ["zstd", "zlib"])
def test_unpacks_to_the_promised_size_alone(codec: str) -> None:
    data = frame(1 << 20) if codec == "zstd" else zlib.compress(bytes(1 << 20))
    assert unpack(data, 1 << 20, codec, "here") == bytes(1 << 20)
    for size in (1, (1 << 20) - 1, (1 << 20) + 1):
        with pytest.raises(BadDatError, match=r"^here: "):
            unpack(data, size, codec, "here")
    assert unpack(data, 0, codec, "here") == b""


@pytest.fixture
def whole(tmp_path: Path, capture: Path) -> Path:
    """A capture with all observers' files."""
    folder = Path(shutil.copytree(capture, tmp_path / "whole"))
    shutil.copytree(Path(__file__).parent.parent / "data" / "access", folder, dirs_exist_ok=True)
    (folder / "rings.npy").unlink(missing_ok=True)
    times = load(folder).table.filter(kind="dev_status")["ts"].drop_nulls()
    first, last = int(times[0]), int(times[-1])
    entries = [(first, first + 10 * n, n, 0, 0, n, n % 2) for n in range(8)]
    np.save(folder / "rings.npy", np.array(entries, ENTRY))
    watch = {"device": "vd0", "queue": 0, "size": 256, "set_up_ns": first, "ended_ns": last}
    lost = {"watch": 0, "count": 2, "why": "late"}
    (folder / "rings.json").write_text(json.dumps({"watches": [watch], "lost": [lost]}))
    load(folder)
    return folder


STRANGE = [None, True, -1, 1.5, 1 << 70, "x", "", [], {}, [[]], {"a": 1}, 1e300]


def change(data: Any, dice: random.Random) -> Any:
    """The same JSON with one value gone, or another in its place."""
    places = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            places.extend((value, key) for key in value)
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            places.extend((value, number) for number in range(len(value)))
            for inner in value:
                walk(inner)

    walk(data)
    where, key = dice.choice(places)
    if dice.random() < 0.4:
        del where[key]
    else:
        where[key] = dice.choice(STRANGE)
    return data


def damage(raw: bytes, dice: random.Random) -> bytes:
    """Some bits flipped, mostly near the beginning, and sometimes the end cut."""
    data = bytearray(raw)
    for _ in range(dice.choice([1, 3, 50])):
        most = len(data) if dice.random() < 0.6 else min(len(data), 200)
        data[dice.randrange(most)] ^= 1 << dice.randrange(8)
    if dice.random() < 0.2:
        del data[dice.randrange(len(data)) :]
    return bytes(data)


def refusal(capture: Path) -> str:
    """The message with which a capture is refused, or nothing where it is judged."""
    try:
        spec.check(load(capture))
    except UsageError as error:
        return str(error)
    return ""


NAMES = ["rings.npy", "rings.json", "access.bin", "access.json", "qmp.json", "capture.json"]


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files_are_one_line(whole: Path, name: str) -> None:
    path = whole / name
    raw = path.read_bytes()
    refused = 0
    for seed in range(MUTANTS):
        dice = random.Random(seed)
        if name.endswith(".json") and dice.random() < 0.7:
            mutant = json.dumps(change(json.loads(raw), dice)).encode()
        else:
            mutant = damage(raw, dice)
        path.write_bytes(mutant)
        message = refusal(whole)
        refused += bool(message)
        assert not message or path.stem in message, seed
        assert "\n" not in message, seed
    assert refused or name == "access.bin"


@pytest.mark.parametrize(
    "text", ["[" * 200_000, '{"a":' * 100_000, '{"schema": Infinity}', '{"schema": 1e999}']
)
def test_json_beyond_python(whole: Path, text: str) -> None:
    for name in ("capture.json", "qmp.json", "access.json", "rings.json"):
        path = whole / name
        raw = path.read_bytes()
        path.write_text(text)
        with pytest.raises(UsageError, match=name) as caught:
            load(whole)
        assert "\n" not in str(caught.value)
        path.write_bytes(raw)


IRREGULAR = [
    "capture.json", "qmp.json", "qemu.log", "access.bin", "access.json", "kallsyms", "rings.npy",
    "rings.json", "tracing/events/header_page", "tracing/per_cpu/cpu0/stats",
    "tracing/per_cpu/cpu0/trace_pipe_raw", "tracing/events/pykit/pykit_add/format",
]  # fmt: skip


@pytest.mark.parametrize("name", IRREGULAR)
def test_only_regular_files_of_the_capture_are_read(whole: Path, name: str) -> None:
    path = whole / name
    moved = whole.parent / "outside"
    path.rename(moved)
    for make in (
        lambda: os.mkfifo(path),
        lambda: path.symlink_to("/dev/zero"),
        lambda: path.symlink_to(moved),
        lambda: path.symlink_to("nowhere"),
    ):
        make()
        with pytest.raises(CaptureError, match=path.name) as caught:
            load(whole)
        assert "\n" not in str(caught.value)
        path.unlink()
    inside = whole / "kept"
    moved.rename(inside)
    path.symlink_to(inside)
    load(whole)


def test_a_capture_may_be_reached_by_a_link(whole: Path) -> None:
    link = whole.parent / "link"
    link.symlink_to(whole)
    assert load(link).base.height == load(whole).base.height


@pytest.mark.parametrize("keep", [0.5, 0.9, 0.99])
def test_a_cut_format_is_refused(tmp_path: Path, keep: float) -> None:
    """Its fields are fewer, so that rules would have nothing to check."""
    capture = write_capture(tmp_path, [page_of(*queue_rows(0, 2))])
    path = capture / "tracing/events/pykit/pykit_add/format"
    text = path.read_text()
    path.write_text(text[: int(len(text) * keep)])
    with pytest.raises(BadFormatError, match="cut"):
        load(capture)
