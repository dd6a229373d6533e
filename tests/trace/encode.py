# SPDX-License-Identifier: GPL-2.0-only
"""A small encoder of ftrace pages and capture directories, and a plain decoder beside it.

Both are written against the format, not against pykit's decoder: they share no code with it.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path

HEADER_EVENT = """# compressed entry header
\ttype_len    :    5 bits
\ttime_delta  :   27 bits
\tarray       :   32 bits

\tpadding     : type == 29
\ttime_extend : type == 30
\ttime_stamp : type == 31
\tdata max type_len  == 28
"""

COMMON = (
    ("unsigned short", "common_type", 0, 2, 0),
    ("unsigned char", "common_flags", 2, 1, 0),
    ("unsigned char", "common_preempt_count", 3, 1, 0),
    ("int", "common_pid", 4, 4, 1),
)

TYPES = {"u8": (1, 0), "u16": (2, 0), "u32": (4, 0), "u64": (8, 0), "s32": (4, 1)}


def header_page(page_size: int = 4096, long_size: int = 8) -> str:
    start = 8 + long_size
    return (
        "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
        f"\tfield: local_t commit;\toffset:8;\tsize:{long_size};\tsigned:1;\n"
        "\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n"
        f"\tfield: char data;\toffset:{start};\tsize:{page_size - start};\tsigned:0;\n"
    )


@dataclass(frozen=True)
class Event:
    """One event type: name, id and ``(type, field)`` pairs in layout order."""

    name: str
    id: int
    fields: tuple[tuple[str, str], ...]

    def layout(self) -> list[tuple[str, str, int, int, int]]:
        rows = list(COMMON)
        at = 8
        for kind, name in self.fields:
            size, signed = TYPES[kind]
            at += -at % size
            rows.append((kind, name, at, size, signed))
            at += size
        return rows

    def format(self) -> str:
        lines = [
            f"\tfield:{kind} {name};\toffset:{at};\tsize:{size};\tsigned:{signed};"
            for kind, name, at, size, signed in self.layout()
        ]
        lines.insert(4, "")
        body = "\n".join(lines)
        return f'name: {self.name}\nID: {self.id}\nformat:\n{body}\n\nprint fmt: ""\n'

    def payload(self, values: dict[str, int], endian: str = "<") -> bytes:
        end = max(at + size for _, _, at, size, _ in self.layout())
        raw = bytearray(end + -end % 4)
        for _, name, at, size, signed in self.layout():
            value = self.id if name == "common_type" else values.get(name, 0)
            order = "little" if endian == "<" else "big"
            raw[at : at + size] = value.to_bytes(size, order, signed=bool(signed))
        return bytes(raw)


def fields(text: str) -> tuple[tuple[str, str], ...]:
    """``"u64 a b, u8 c"`` as (type, name) pairs."""
    pairs = []
    for part in text.split(", "):
        kind, *names = part.split()
        pairs += [(kind, name) for name in names]
    return tuple(pairs)


DRIVER = Event("pykit_driver", 1001, fields("u32 dev id, s32 err, u8 stage by"))
STATUS = Event("pykit_status", 1002, fields("u32 dev, u8 status op by"))
QUEUE = Event(
    "pykit_queue",
    1003,
    fields(
        "u64 desc avail used, u32 dev seq size, u16 vq num_queues avail_flags avail_idx"
        " used_flags used_idx, u8 layout op by"
    ),
)
ADD = Event(
    "pykit_add",
    1004,
    fields(
        "u64 readable writable, u32 dev seq chain num_free, u16 vq head avail_idx slots,"
        " u8 indirect"
    ),
)
NOTIFY = Event("pykit_notify", 1005, fields("u32 dev seq, u16 vq, u8 by"))
RANGE = Event(
    "pykit_blk_range", 1006, fields("u64 sector, u32 dev seq sectors flags, u16 vq head pos")
)
DESC = Event(
    "pykit_desc",
    1007,
    fields("u64 addr, u32 dev seq len, u16 vq head slot flags next pos, u8 table"),
)
VHOST = Event("pykit_vhost_get", 1008, fields("u32 dev seq out in, u16 vq head avail_idx"))
EVENTS = (DRIVER, STATUS, QUEUE, ADD, NOTIFY, RANGE, DESC, VHOST)


@dataclass
class Page:
    """Records of one page; ``add`` and friends return whether there was room."""

    base: int
    size: int = 4096
    long_size: int = 8
    endian: str = "<"
    data: bytearray = field(default_factory=bytearray)
    missed: int | None = None

    @property
    def room(self) -> int:
        return self.size - 8 - self.long_size - len(self.data)

    def word(self, kind: int, delta: int) -> bytes:
        value = kind | delta << 5 if self.endian == "<" else kind << 27 | delta
        return struct.pack(self.endian + "I", value)

    def put(self, raw: bytes) -> bool:
        if len(raw) > self.room:
            return False
        self.data += raw
        return True

    def record(self, payload: bytes, delta: int, long: bool = False) -> bool:
        assert len(payload) % 4 == 0
        if long or len(payload) > 112:
            length = struct.pack(self.endian + "I", len(payload) + 4)
            return self.put(self.word(0, delta) + length + payload)
        return self.put(self.word(len(payload) // 4, delta) + payload)

    def extend(self, delta: int) -> bool:
        low, high = delta & (1 << 27) - 1, delta >> 27
        return self.put(self.word(30, low) + struct.pack(self.endian + "I", high))

    def stamp(self, ts: int) -> bool:
        low, high = ts & (1 << 27) - 1, ts >> 27 & (1 << 32) - 1
        return self.put(self.word(31, low) + struct.pack(self.endian + "I", high))

    def discard(self, length: int, delta: int) -> bool:
        raw = struct.pack(self.endian + "I", length - 4) + b"\xa5" * (length - 8)
        return self.put(self.word(29, delta) + raw)

    def pad(self) -> bool:
        return self.put(self.word(29, 0))

    def encode(self) -> bytes:
        commit = len(self.data)
        raw = bytes(self.data)
        if self.missed is not None:
            commit |= 1 << 31
            if self.missed and self.room >= self.long_size:
                commit |= 1 << 30
                order = "little" if self.endian == "<" else "big"
                raw += self.missed.to_bytes(self.long_size, order)
        code = "I" if self.long_size == 4 else "Q"
        head = struct.pack(f"{self.endian}Q{code}", self.base, commit)
        return (head + raw).ljust(self.size, b"\0")


def decode(raw: bytes, size: int, long_size: int, endian: str) -> list[tuple[int, bytes]]:
    """(ts, payload) of every record, one at a time: the slow and plain way."""
    found = []
    for start in range(0, len(raw) - size + 1, size):
        page = raw[start : start + size]
        code = "I" if long_size == 4 else "Q"
        ts, commit = struct.unpack_from(f"{endian}Q{code}", page)
        at = 8 + long_size
        end = at + (commit & (1 << 27) - 1)
        while at < end:
            (word,) = struct.unpack_from(endian + "I", page, at)
            kind, delta = (
                (word & 31, word >> 5) if endian == "<" else (word >> 27, word & (1 << 27) - 1)
            )
            if kind == 29 and delta == 0:
                break
            if 1 <= kind <= 28:
                ts += delta
                found.append((ts, page[at + 4 : at + 4 + 4 * kind]))
                at += 4 + 4 * kind
                continue
            (operand,) = struct.unpack_from(endian + "I", page, at + 4)
            if kind == 0:
                ts += delta
                found.append((ts, page[at + 8 : at + 4 + operand]))
                at += 4 + operand
            elif kind == 29:
                ts += delta
                at += 4 + operand
            elif kind == 30:
                ts += delta + (operand << 27)
                at += 8
            else:
                ts = (ts >> 59 << 59) + (operand << 27) + delta
                at += 8
    return found


def count(raw: bytes, size: int, long_size: int) -> int:
    """Records in all pages whose length can be true."""
    whole = [raw[at : at + size] for at in range(0, len(raw) - size + 1, size)]
    room = size - 8 - long_size
    lengths = [int.from_bytes(page[8 : 8 + long_size], "little") & (1 << 27) - 1 for page in whole]
    sound = b"".join(page for page, length in zip(whole, lengths, strict=True) if length <= room)
    return len(decode(sound, size, long_size, "<"))


CAPTURE = {
    "schema": 1,
    "complete": True,
    "clock": "mono",
    "cpus": 2,
    "kernel": "6.12",
    "qemu": "7.2.22",
    "outcome": {"kind": "clean", "message": ""},
    "devices": [
        {"id": "vd0", "type": "virtio-blk-pci", "options": {}, "driver": "pykit_virtio_blk"}
    ],
    "steps": [{"name": "true", "rc": 0, "seconds": 0.5, "output": ""}],
}


def write_tracing(
    tracing: Path,
    cpus: list[bytes],
    counts: list[int] | None = None,
    page_size: int = 4096,
    long_size: int = 8,
) -> None:
    """A saved tracefs directory; ``counts`` are the kernel's own counts of events read.

    By default they are the records in the pages, as far as the pages are sound.
    """
    (tracing / "events" / "pykit").mkdir(parents=True, exist_ok=True)
    (tracing / "events" / "header_page").write_text(header_page(page_size, long_size))
    (tracing / "events" / "header_event").write_text(HEADER_EVENT)
    for event in EVENTS:
        folder = tracing / "events" / "pykit" / event.name
        folder.mkdir(exist_ok=True)
        (folder / "format").write_text(event.format())
    for cpu, raw in enumerate(cpus):
        folder = tracing / "per_cpu" / f"cpu{cpu}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "trace_pipe_raw").write_bytes(raw)
        read = counts[cpu] if counts else count(raw, page_size, long_size)
        (folder / "stats").write_text(
            "entries: 0\noverrun: 0\ncommit overrun: 0\nbytes: 0\n"
            "oldest event ts:     0.000000\nnow ts:     1.000000\n"
            f"dropped events: 0\nread events: {read}\n"
        )


def write_capture(capture: Path, cpus: list[bytes], **changes: object) -> Path:
    """A whole capture directory with the guest's side only."""
    capture.mkdir(parents=True, exist_ok=True)
    (capture / "capture.json").write_text(json.dumps({**CAPTURE, **changes}))
    write_tracing(capture / "tracing", cpus)
    return capture
