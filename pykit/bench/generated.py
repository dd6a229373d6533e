# SPDX-License-Identifier: GPL-2.0-only
"""Generate captures of any size: block requests on two CPUs of a conforming driver and device.

Each CPU has a virtqueue, and one request at a time on it, read and written in turn. So the
rules find of every event what they look for, and nothing wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from pykit.seal import write_sealed
from pykit.trace.kinds import BASE, TRACEPOINTS, Dtype

CPUS = 2
_PAGE, _HEADER = 4096, 16
_FIRST_ID = 1000
_STEP_NS = 700
#: Pages that are made at a time.
_CHUNK = 4096
_CAPACITY = 1 << 17
#: Events of a device as a whole, which have no place in the order of a queue.
_OF_DEVICE = frozenset(
    ("driver", "features", "status", "config", "generation", "config_change", "vhost_attach")
)
_WRAP = 1 << 16
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

#: A read, and behind it a write: what each leaves behind, with what is the same every time.
#: ``i`` is the request's number on its queue, ``dma`` an address that it has for itself.
_EVENTS: tuple[tuple[str, dict[str, int]], ...] = (
    ("add", {"chain": 3, "num_free": 255, "slots": 1, "indirect": 1}),
    ("desc", {"len": 48, "flags": 4, "next": 1}),
    ("desc", {"len": 16, "flags": 1, "next": 1, "pos": 1, "table": 1}),
    ("desc", {"len": 4096, "slot": 1, "next": 2, "pos": 2, "table": 1}),
    ("desc", {"len": 1, "slot": 2, "flags": 2, "next": 3, "pos": 3, "table": 1}),
    ("blk_start", {"bytes": 4096}),
    ("kick", {"event_idx": 1, "needed": 1}),
    ("notify", {}),
    ("interrupt", {}),
    ("callback", {"event_idx": 1}),
    ("used", {"accepted": 1}),
    ("blk_done", {}),
    ("callback", {"event_idx": 1, "enable": 1}),
)
_FEATURES = 1 << 32 | 1 << 29 | 1 << 28 | 1 << 12 | 1 << 9 | 1 << 6 | 1 << 2
#: How the driver came to its device: before all requests, on the first CPU.
_BEGIN: tuple[tuple[str, dict[str, int]], ...] = (
    ("driver", {"id": 2}),
    ("features", {"offered": _FEATURES, "driver": _FEATURES, "acked": _FEATURES}),
    ("status", {"status": 3, "op": 1}),
    ("status", {"status": 11}),
    ("status", {"status": 11, "op": 1}),
    ("features", {"offered": _FEATURES, "driver": _FEATURES, "acked": _FEATURES, "stage": 2}),
    ("config", {"value": CPUS, "offset": 34, "len": 2}),
    *(
        (
            "queue",
            {
                "vq": vq, "seq": 1, "size": 256, "num_queues": CPUS,
                "desc": 1 << 24 | vq << 16, "avail": 1 << 24 | vq << 16 | 4096,
                "used": 1 << 24 | vq << 16 | 8192,
            },
        )
        for vq in range(CPUS)
    ),
    ("config", {"value": 254, "offset": 12, "len": 4}),
    ("config", {"value": 512, "offset": 20, "len": 4}),
    ("generation", {}),
    ("config", {"value": _CAPACITY, "offset": 0, "len": 8}),
    ("generation", {}),
    ("status", {"status": 11, "op": 1}),
    ("status", {"status": 15}),
    ("driver", {"id": 2, "stage": 1}),
)  # fmt: skip


def generate(capture: Path, events: int) -> int:
    """Make a capture directory with about ``events`` events; returns how many exactly."""
    tracing = capture / "tracing"
    described = tracing / "events"
    (described / "ftrace").mkdir(parents=True)
    (described / "header_page").write_text(_HEADER_PAGE)
    (described / "header_event").write_text(_HEADER_EVENT)
    layouts = {kind: _layout(number, kind) for number, kind in enumerate(TRACEPOINTS, _FIRST_ID)}
    for kind, layout in layouts.items():
        form = described / "pykit" / f"pykit_{kind}" / "format"
        form.parent.mkdir(parents=True)
        form.write_text(_format(kind, *layout))
    made = 0
    for cpu in range(CPUS):
        raw = tracing / f"per_cpu/cpu{cpu}/trace_pipe_raw"
        raw.parent.mkdir(parents=True)
        mine = 0
        with raw.open("wb") as file:
            if cpu == 0:
                file.write(_begin(layouts))
                mine += len(_BEGIN)
            for pages, count in _pages(cpu, events // CPUS, layouts):
                file.write(pages)
                mine += count
        raw.with_name("stats").write_text(
            f"entries: 0\noverrun: 0\ndropped events: 0\nread events: {mine}\n"
        )
        made += mine
    info = {
        "schema": 1, "complete": True, "clock": "mono", "cpus": CPUS, "kernel": "generated",
        "qemu": "", "outcome": {"kind": "clean", "message": ""}, "steps": [],
        "devices": [
            {"id": "vd0", "type": "virtio-blk-pci", "options": {}, "driver": "pykit_virtio_blk"}
        ],
    }  # fmt: skip
    write_sealed(capture, info, ("tracepoints",))
    return made


_Layout = tuple[int, np.dtype[np.void]]


def _layout(number: int, kind: str) -> _Layout:
    """Event id and C's layout of the fields, the widest first."""
    place = ("dev",) if kind in _OF_DEVICE else ("dev", "seq", "vq")
    fields = {name: BASE[name] for name in place} | TRACEPOINTS[kind]
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


def _record(layout: np.dtype[np.void]) -> np.dtype[np.void]:
    """A record in a page: its header, and the event padded to words."""
    padding = -layout.itemsize % 4
    return np.dtype([("header", "<u4"), ("event", layout), ("padding", f"V{padding}")])


def _fill(
    record: np.ndarray, layout: _Layout, cpu: int, values: dict[str, int], delta: np.ndarray | int
) -> None:
    number, dtype = layout
    record["header"] = -(-dtype.itemsize // 4) | np.asarray(delta, dtype=np.uint32) << 5
    event = record["event"]
    event["common_type"], event["common_pid"] = number, 100 + cpu
    for name, value in values.items():
        event[name] = value


def _begin(layouts: dict[str, _Layout]) -> bytes:
    """One page: a driver comes to its device."""
    data = bytearray()
    for kind, values in _BEGIN:
        record = np.zeros((), dtype=_record(layouts[kind][1]))
        _fill(record, layouts[kind], 0, values, _STEP_NS)
        data += record.tobytes()
    return _page(10**9 - 10**6, bytes(data))


def _page(time: int, data: bytes) -> bytes:
    header = time.to_bytes(8, "little") + len(data).to_bytes(8, "little")
    return (header + data).ljust(_PAGE, b"\0")


def _pages(cpu: int, events: int, layouts: dict[str, _Layout]) -> Iterator[tuple[bytes, int]]:
    """A CPU's pages, many at a time, and how many events are on them: whole requests."""
    request = np.dtype([(str(n), _record(layouts[kind][1])) for n, (kind, _) in enumerate(_EVENTS)])
    fit = (_PAGE - _HEADER) // request.itemsize
    page = np.dtype({
        "names": ["time", "commit", "requests"],
        "formats": ["<i8", "<i8", (request, (fit,))],
        "offsets": [0, 8, _HEADER],
        "itemsize": _PAGE,
    })  # fmt: skip
    rng = np.random.default_rng(cpu)
    total = -(-events // (fit * len(_EVENTS)))
    now = 10**9 + cpu * 131
    for first in range(0, total, _CHUNK):
        count = min(_CHUNK, total - first)
        pages = np.zeros(count, dtype=page)
        shape = (count, fit, len(_EVENTS))
        steps = rng.integers(_STEP_NS // 2, _STEP_NS, shape)
        ends = now + np.cumsum(steps.reshape(count, -1).sum(axis=1))
        pages["time"] = np.concatenate([[now], ends[:-1]])
        pages["commit"] = fit * request.itemsize
        now = int(ends[-1])
        number = np.arange(first * fit, (first + count) * fit).reshape(count, fit)
        for n, values in enumerate(_fields_of(number, cpu)):
            kind = _EVENTS[n][0]
            _fill(pages["requests"][str(n)], layouts[kind], cpu, values, steps[:, :, n])
        yield pages.tobytes(), steps.size


def _fields_of(i: np.ndarray, cpu: int) -> Iterator[dict[str, Any]]:
    """The fields of each event of request ``i`` of a queue, which has one at a time."""
    write = i % 2
    dma = (1 << 28) + cpu * (1 << 26) + i % 4096 * 8192
    old, new = i % _WRAP, (i + 1) % _WRAP
    sector = i * 8 % _CAPACITY
    length = 1 + (1 - write) * 4096
    varying: tuple[dict[str, Any], ...] = (
        {"readable": 16 + write * 4096, "writable": length, "avail_idx": new, "used_idx": old},
        {"addr": dma},
        {"addr": dma + 48},
        {"addr": dma + 4096, "flags": 3 - write * 2},
        {"addr": dma + 64},
        {"sector": sector, "status_addr": dma + 64, "type": write},
        {"old": old, "new": new, "event": old, "event_after": old},
        {},
        {"used_idx": new, "last_used": old},
        {"used_event": old, "last_used": old, "used_idx": new},
        {"len": length, "index": old, "used_idx": new},
        {"sector": sector, "type": write, "len": length},
        {"used_event": new, "last_used": new, "used_idx": new},
    )
    for n, ((_, same), own) in enumerate(zip(_EVENTS, varying, strict=True)):
        yield {"vq": cpu, "seq": 2 + i * len(_EVENTS) + n, **same, **own}
