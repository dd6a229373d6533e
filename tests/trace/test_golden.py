# SPDX-License-Identifier: GPL-2.0-only
"""trace-cmd and a plain decoder read the same real pages: every field must agree."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pykit.analysis.export import FORMS
from pykit.trace import load
from pykit.trace.batches import Decoder
from pykit.trace.losses import page_losses, stats_losses
from pykit.trace.pages import CpuFile
from pykit.trace.tracing import read_tracing
from pykit.trace.walk import Walk
from tests.trace.conftest import unpack
from tests.trace.encode import EVENTS, Page, decode, header_page, write_tracing

INSTANCES = ("main", "abs", "big", "lossy")
LINE = re.compile(r"^\s*(?P<task>.*)-(?P<pid>\d+)\s+\[(?P<cpu>\d+)\]\s+(?P<s>\d+)\.(?P<ns>\d{9}): ")

needs_trace_cmd = pytest.mark.skipif(
    shutil.which("trace-cmd") is None, reason="trace-cmd is not installed"
)


Row = tuple[int, int, int, str, dict[str, object]]


def decoded(tracing: Path) -> Decoder:
    decoder = Decoder(read_tracing(tracing), batch=1000)
    assert sum(len(batch.ts) for batch in decoder) == sum(decoder.seen)
    assert not decoder.walk.damage
    return decoder


def columns(tracing: Path) -> list[Row]:
    """(ns, cpu, pid, event, {field: value}) of every record, in the order of time."""
    decoder = Decoder(read_tracing(tracing), batch=1000)
    rows: list[Row] = []
    for batch in decoder:
        taken = dict.fromkeys(batch.columns, 0)
        values = {
            number: {name: column.tolist() for name, column in fields.items()}
            for number, fields in batch.columns.items()
        }
        for ts, cpu, number in zip(
            batch.ts.tolist(), batch.cpu.tolist(), batch.event.tolist(), strict=True
        ):
            own = {name: column[taken[number]] for name, column in values[number].items()}
            taken[number] += 1
            pid = own["common_pid"]
            own = {name: value for name, value in own.items() if not name.startswith("common_")}
            rows.append((ts, cpu, pid, decoder.tracing.formats[number].name, own))
    assert not decoder.walk.damage
    return rows


def report(tracing: Path, folder: Path) -> str:
    """What ``trace-cmd report`` says, raw values, full time stamps."""
    part, whole, symbols = folder / "part.dat", folder / "trace.dat", folder / "kallsyms"
    symbols.write_text("ffffffff81000000 T _text\n")
    raws = [str(file.path) for file in read_tracing(tracing).files]

    def run(*words: str) -> str:
        done = subprocess.run(
            ["trace-cmd", *words], capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout

    run("restore", "-c", "-t", str(tracing), "-k", str(symbols), "-o", str(part))
    run("restore", "-i", str(part), "-o", str(whole), *raws)
    return run("report", "-t", "-N", "-R", "-i", str(whole))


def parsed(text: str) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for line in text.splitlines():
        head = LINE.match(line)
        if head is None:
            continue
        name, _, rest = line[head.end() :].partition(":")
        own = dict(re.findall(r"(\w+)=(\S+)", rest))
        ns = int(head["s"]) * 10**9 + int(head["ns"])
        rows.append((ns, int(head["cpu"]), int(head["pid"]), name.strip(), own))
    return rows


def number(text: str) -> int:
    return int(text, 16) if text.startswith("0x") else int(text)


def compare(ours: list[Row], theirs: list[tuple[object, ...]]) -> int:
    """Compare all rows; return how many field values were compared."""
    ours = sorted(ours, key=lambda row: (row[0], row[1]))
    theirs = sorted(theirs, key=lambda row: (row[0], row[1]))
    assert [row[:4] for row in ours] == [row[:4] for row in theirs]
    values = 0
    for mine, other in zip(ours, theirs, strict=True):
        own, said = mine[4], other[4]
        assert isinstance(said, dict)
        assert own.keys() <= said.keys() or not mine[3].startswith("pykit_"), (mine, other)
        for name in own.keys() & said.keys():
            # It prints what is negative as unsigned in places.
            value = own[name]
            if isinstance(value, int):
                reported = number(said[name])
                wraps = 32 if value < 0 else 64
                assert (value - reported) % (1 << wraps) == 0, (mine, other, name)
                values += 1
    return values


@needs_trace_cmd
@pytest.mark.parametrize("name", ["main", "abs", "lossy"])
def test_trace_cmd_agrees_on_real_pages(ftrace: Path, tmp_path: Path, name: str) -> None:
    rows = columns(ftrace / name)
    assert compare(rows, parsed(report(ftrace / name, tmp_path))) > 1000


@needs_trace_cmd
@pytest.mark.parametrize("kernel", ["6.1", "6.12", "7.2"])
def test_trace_cmd_agrees_on_a_real_capture(ftrace: Path, tmp_path: Path, kernel: str) -> None:
    tracing = unpack(f"capture-{kernel}.tar.xz", tmp_path / "capture") / "tracing"
    # trace-cmd wants the kernel's own events described, whether or not there are any.
    shutil.copytree(ftrace / "main/events/ftrace", tracing / "events/ftrace", dirs_exist_ok=True)
    rows = columns(tracing)
    assert compare(rows, parsed(report(tracing, tmp_path))) > 5000


@needs_trace_cmd
def test_trace_cmd_agrees_on_a_big_endian_capture(tmp_path: Path) -> None:
    """In the file that an export writes: trace-cmd restores pages of its own byte order alone."""
    capture = unpack("capture-s390x.tar.xz", tmp_path / "capture")
    path = tmp_path / "trace.dat"
    FORMS["trace-cmd"](load(capture), capture, path)
    command = ["trace-cmd", "report", "-t", "-N", "-R", "-i", path]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert compare(columns(capture / "tracing"), parsed(done.stdout)) > 2000


@needs_trace_cmd
def test_trace_cmd_agrees_on_our_events(ftrace: Path, tmp_path: Path) -> None:
    """Every event of the encoder with values at both ends of every field's range."""
    tracing = tmp_path / "tracing"
    raws = []
    for cpu in range(2):
        page = Page(10**9 + cpu)
        for turn in range(4):
            for event in EVENTS:
                limits = {
                    name: [0, 1, (1 << (8 * size - signed)) - 1, -signed][turn]
                    for _, name, _, size, signed in event.layout()
                }
                assert page.record(event.payload({**limits, "common_pid": 40 + turn}), turn * 7)
            page.extend(1 << 29)
            page.discard(16, 9)
        raws.append(page.encode())
    write_tracing(tracing, raws)
    shutil.copytree(ftrace / "main" / "events" / "ftrace", tracing / "events" / "ftrace")
    rows = columns(tracing)
    assert len(rows) == 2 * 4 * len(EVENTS)
    assert compare(rows, parsed(report(tracing, tmp_path))) >= 400


@pytest.mark.parametrize("name", INSTANCES)
def test_plain_decoder_agrees(ftrace: Path, name: str) -> None:
    saved = read_tracing(ftrace / name)
    walk = Walk(saved.files, saved.layout, saved.formats)
    found: list[list[tuple[int, bytes]]] = [[] for _ in saved.files]
    for records in walk.records(np.zeros(1 << 16, dtype=np.int32), 100):
        for at, size, ts, owner, _ in zip(*(column.tolist() for column in records), strict=True):
            found[owner].append((ts, walk.windows.buffer[at : at + size].tobytes()))
    assert found == [
        decode(file.path.read_bytes(), saved.layout.page_size, 8, "<") for file in saved.files
    ]
    assert not walk.damage


def test_real_pages_have_what_they_are_for(ftrace: Path) -> None:
    saved = read_tracing(ftrace / "main")
    walk = Walk(saved.files, saved.layout, saved.formats)
    (records,) = walk.records(np.zeros(1 << 16, dtype=np.int32), 1 << 16)
    assert records.size.max() > 112
    assert np.diff(records.ts[records.owner == 0]).max() > 1 << 27
    assert read_tracing(ftrace / "big").layout.page_size == 16384
    assert (
        header_page(16384).splitlines()[3]
        == ((ftrace / "big/events/header_page").read_text().splitlines()[3])
    )


@pytest.mark.parametrize("name", ["main", "abs", "big"])
def test_the_kernels_own_count_agrees(ftrace: Path, name: str) -> None:
    decoder = decoded(ftrace / name)
    assert not stats_losses(decoder.tracing.files, decoder.seen)
    assert not decoder.walk.lost


def test_real_loss(ftrace: Path) -> None:
    decoder = decoded(ftrace / "lossy")
    files = decoder.tracing.files
    lines = [loss.line for loss in stats_losses(files, decoder.seen)]
    assert lines == ["CPU 0: 69 by overrun", "CPU 1: 67 by overrun"]
    # CPU 0's page is full, so that its header tells a loss and not how much.
    assert [loss.count for loss in page_losses(files, decoder.walk.lost)] == [1, 67]


@pytest.mark.parametrize(
    ("waiting", "read", "seen", "lost"),
    [(0, 126, 126, 0), (126, 0, 126, 0), (126, 126, 126, 0), (26, 126, 126, 26), (126, 0, 100, 26)],
)
def test_events_read_while_the_kernel_prints(waiting: int, read: int, seen: int, lost: int) -> None:
    """What trace-cmd reads between the two lines of the kernel's count stands in both."""
    text = f"entries: {waiting}\noverrun: 0\ndropped events: 0\nread events: {read}\n"
    found = stats_losses([CpuFile(0, Path("record.dat"), text)], [seen])
    assert sum(loss.count for loss in found) == lost
