# SPDX-License-Identifier: GPL-2.0-only
"""A trace of any size: the events of block requests on two CPUs, as our tracepoints write them."""

from __future__ import annotations

import tempfile
from itertools import count
from pathlib import Path

import numpy as np
import polars as pl

from pykit.trace.kinds import BASE, TRACEPOINTS, Dtype
from pykit.trace.tracedat import write_dat

CPUS = 2
_PAGE, _HEADER = 4096, 16
#: Pages that are made record by record; the rest are the same ones at later times.
_BLOCK = 512
#: What one request leaves behind.
_REQUEST = (
    *("blk_start", "desc", "desc", "desc", "add", "kick", "notify"),
    *("interrupt", "callback", "used", "blk_done", "callback"),
)
_FIRST_ID = 1000
_STEP_NS = 700
_TYPES: dict[Dtype, tuple[str, int, int]] = {
    pl.UInt8: ("u8", 1, 0),
    pl.UInt16: ("u16", 2, 0),
    pl.UInt32: ("u32", 4, 0),
    pl.UInt64: ("u64", 8, 0),
    pl.Int32: ("s32", 4, 1),
}
_HEADER_PAGE = """\
\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;
\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;
\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;
\tfield: char data;\toffset:16;\tsize:4080;\tsigned:1;
"""
_HEADER_EVENT = """\
# compressed entry header
\ttype_len    :    5 bits
\ttime_delta  :   27 bits
\tarray       :   32 bits

\tpadding     : type == 29
\ttime_extend : type == 30
\ttime_stamp : type == 31
\tdata max type_len  == 28
"""


def generate(path: Path, events: int) -> int:
    """Write a trace.dat with about ``events`` events; returns how many exactly."""
    layouts = {kind: _layout(number, kind) for number, kind in enumerate(TRACEPOINTS, _FIRST_ID)}
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        tracing = Path(folder)
        described = tracing / "events"
        (described / "ftrace").mkdir(parents=True)
        (described / "header_page").write_text(_HEADER_PAGE)
        (described / "header_event").write_text(_HEADER_EVENT)
        for kind, layout in layouts.items():
            form = described / "pykit" / f"pykit_{kind}" / "format"
            form.parent.mkdir(parents=True)
            form.write_text(_format(kind, *layout))
        made = 0
        for cpu in range(CPUS):
            raw = tracing / f"per_cpu/cpu{cpu}/trace_pipe_raw"
            raw.parent.mkdir(parents=True)
            mine = _write(raw, cpu, -(-events // CPUS), layouts)
            raw.with_name("stats").write_text(
                f"entries: 0\noverrun: 0\ndropped events: 0\nread events: {mine}\n"
            )
            made += mine
        write_dat(path, tracing, release="generated", clock="mono")
    return made


_Layout = tuple[int, np.dtype[np.void]]


def _layout(number: int, kind: str) -> _Layout:
    """Event id and C's layout of the fields, the widest first."""
    fields = {name: BASE[name] for name in ("dev", "seq", "vq")} | TRACEPOINTS[kind]
    common = [("common_type", "<u2"), ("common_flags", "u1"), ("common_preempt_count", "u1")]
    own = sorted(fields, key=lambda name: -_TYPES[fields[name]][1])
    types = [(name, f"<{'i' if _TYPES[t][2] else 'u'}{_TYPES[t][1]}") for name, t in
             ((name, fields[name]) for name in own)]  # fmt: skip
    return number, np.dtype([*common, ("common_pid", "<i4"), *types], align=True)


def _format(kind: str, number: int, layout: np.dtype[np.void]) -> str:
    lines = []
    for name, (dtype, offset, *_) in (layout.fields or {}).items():
        sign = int(dtype.kind == "i")
        base = f"{'s' if sign else 'u'}{8 * dtype.itemsize}"
        lines.append(
            f"\tfield:{base} {name};\toffset:{offset};\tsize:{dtype.itemsize};\tsigned:{sign};"
        )
    lines.insert(4, "")
    own = [name for name in layout.names or () if not name.startswith("common_")]
    shown = " ".join(f"{name}=%llu" for name in own)
    values = ", ".join(f"(unsigned long long)REC->{name}" for name in own)
    body = "\n".join(lines)
    return f'name: pykit_{kind}\nID: {number}\nformat:\n{body}\n\nprint fmt: "{shown}", {values}\n'


def _write(path: Path, cpu: int, events: int, layouts: dict[str, _Layout]) -> int:
    """One CPU's pages; returns how many events are on them."""
    rng = np.random.default_rng(cpu)
    block = np.zeros((_BLOCK, _PAGE), dtype=np.uint8)
    sums = np.zeros(_BLOCK + 1, dtype=np.int64)
    bases = np.zeros(_BLOCK, dtype=np.int64)
    now = 10**9 + cpu * 131
    steps = ((seq, kind) for seq in count() for kind in _REQUEST)
    for page in range(_BLOCK):
        data, bases[page], delta = bytearray(), now, 0
        while True:
            seq, kind = next(steps)
            number, layout = layouts[kind]
            record = np.frombuffer(rng.bytes(layout.itemsize), dtype=layout).copy()
            record["common_type"], record["common_pid"], record["seq"] = number, 100 + cpu, seq
            record["dev"], record["vq"] = 0, cpu
            words = -(-layout.itemsize // 4)
            if len(data) + 4 + 4 * words > _PAGE - _HEADER:
                break
            data += int(words | delta << 5).to_bytes(4, "little")
            data += record.tobytes().ljust(4 * words, b"\0")
            sums[page + 1] += 1
            delta = int(rng.integers(_STEP_NS // 2, _STEP_NS))
            now += delta
        block[page, 8:16] = np.frombuffer(len(data).to_bytes(8, "little"), dtype=np.uint8)
        block[page, _HEADER : _HEADER + len(data)] = np.frombuffer(bytes(data), dtype=np.uint8)
    span = now - int(bases[0])
    sums = np.cumsum(sums)
    made = 0
    with path.open("wb") as file:
        for turn in count():
            block[:, :8] = (bases + turn * span).astype("<i8").view(np.uint8).reshape(-1, 8)
            pages = int(np.searchsorted(sums, min(events - made, sums[-1])))
            file.write(block[:pages].tobytes())
            made += int(sums[pages])
            if made >= events:
                return made
    raise AssertionError
