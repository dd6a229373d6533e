# SPDX-License-Identifier: GPL-2.0-only
"""trace-cmd and a plain decoder read the same real pages: every field must agree."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pykit.trace.formats import Format
from pykit.trace.guest import check_records, gather
from pykit.trace.losses import page_losses, stats_losses
from pykit.trace.pages import Pages, read_pages
from pykit.trace.records import Records, walk
from pykit.trace.tracing import read_tracing
from tests.trace.encode import EVENTS, Page, decode, header_page, write_tracing

INSTANCES = ("main", "abs", "big", "lossy")
LINE = re.compile(r"^\s*(?P<task>.*)-(?P<pid>\d+)\s+\[(?P<cpu>\d+)\]\s+(?P<s>\d+)\.(?P<ns>\d{9}): ")

needs_trace_cmd = pytest.mark.skipif(
    shutil.which("trace-cmd") is None, reason="trace-cmd is not installed"
)


def decoded(tracing: Path) -> tuple[Pages, Records, dict[int, Format]]:
    saved = read_tracing(tracing)
    pages = read_pages(saved.files, saved.layout)
    records = walk(pages)
    assert not pages.damage
    assert not records.damage
    assert check_records(pages, records, saved.formats)[0].all()
    return pages, records, saved.formats


def columns(pages: Pages, records: Records, formats: dict[int, Format]) -> list[tuple[object, ...]]:
    """(ns, cpu, pid, event, {field: value}) of every record, in the order of CPU and page."""
    rows: list[tuple[object, ...]] = [()] * len(records.ts)
    for number, form in formats.items():
        mine = np.flatnonzero(records.id == number)
        fields = {
            field.name: gather(pages, records.payload[mine], field).tolist()
            for field in form.fields
            if field.scalar
        }
        for index, row in enumerate(mine):
            own = {k: v[index] for k, v in fields.items() if not k.startswith("common_")}
            cpu = pages.files[records.owner[row]].cpu
            pid = fields["common_pid"][index]
            rows[row] = (int(records.ts[row]), cpu, pid, form.name, own)
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


def compare(ours: list[tuple[object, ...]], theirs: list[tuple[object, ...]]) -> int:
    """Compare all rows; return how many field values were compared."""
    ours = sorted(ours, key=lambda row: (row[0], row[1]))
    theirs = sorted(theirs, key=lambda row: (row[0], row[1]))
    assert [row[:4] for row in ours] == [row[:4] for row in theirs]
    values = 0
    for mine, other in zip(ours, theirs, strict=True):
        own, said = mine[4], other[4]
        assert isinstance(own, dict)
        assert isinstance(said, dict)
        for name in own.keys() & said.keys():
            # It prints what is signed as unsigned in places: compare modulo 2^64.
            value = number(said[name])
            assert (own[name] - value) % (1 << 32) == 0, (mine, other, name)
            values += 1
    return values


@needs_trace_cmd
@pytest.mark.parametrize("name", ["main", "abs", "lossy"])
def test_trace_cmd_agrees_on_real_pages(ftrace: Path, tmp_path: Path, name: str) -> None:
    rows = columns(*decoded(ftrace / name))
    assert compare(rows, parsed(report(ftrace / name, tmp_path))) > 1000


@needs_trace_cmd
def test_trace_cmd_agrees_on_a_real_capture(capture: Path, tmp_path: Path) -> None:
    rows = columns(*decoded(capture / "tracing"))
    assert compare(rows, parsed(report(capture / "tracing", tmp_path))) > 10000


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
    rows = columns(*decoded(tracing))
    assert len(rows) == 2 * 4 * len(EVENTS)
    assert compare(rows, parsed(report(tracing, tmp_path))) >= 400


@pytest.mark.parametrize("name", INSTANCES)
def test_plain_decoder_agrees(ftrace: Path, name: str) -> None:
    pages, records, _ = decoded(ftrace / name)
    expected = [
        (index, ts, payload)
        for index, file in enumerate(pages.files)
        for ts, payload in decode(file.path.read_bytes(), pages.layout.page_size, 8, "<")
    ]
    assert expected == [
        (int(owner), int(ts), pages.buffer[at : at + size].tobytes())
        for owner, ts, at, size in zip(
            records.owner, records.ts, records.payload, records.size, strict=True
        )
    ]


def test_real_pages_have_what_they_are_for(ftrace: Path) -> None:
    _, records, _ = decoded(ftrace / "main")
    assert records.size.max() > 112
    assert np.diff(records.ts[records.owner == 0]).max() > 1 << 27
    assert decoded(ftrace / "big")[0].layout.page_size == 16384
    assert (
        header_page(16384).splitlines()[3]
        == ((ftrace / "big/events/header_page").read_text().splitlines()[3])
    )


@pytest.mark.parametrize("name", ["main", "abs", "big"])
def test_the_kernels_own_count_agrees(ftrace: Path, name: str) -> None:
    pages, records, _ = decoded(ftrace / name)
    assert not stats_losses(pages.files, pages, records)
    assert not page_losses(pages)


def test_real_loss(ftrace: Path) -> None:
    pages, records, _ = decoded(ftrace / "lossy")
    lines = [loss.line for loss in stats_losses(pages.files, pages, records)]
    assert lines == ["CPU 0: 69 by overrun", "CPU 1: 67 by overrun"]
    # CPU 0's page is full, so that its header tells a loss and not how much.
    assert [loss.count for loss in page_losses(pages)] == [1, 67]
