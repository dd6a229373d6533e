# SPDX-License-Identifier: GPL-2.0-only
"""Format a slice of events as a table: names for numbers, a time base for each observer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pykit.text import shown
from pykit.trace.kinds import OUTSIDE

#: Columns of every event, in the order they are shown, with their headings.
_COLUMNS = {
    "row": "row",
    "ts": "µs",
    "source": "seen by",
    "cpu": "cpu",
    "pid": "task",
    "dev": "dev",
    "life": "life",
    "vq": "vq",
    "seq": "seq",
    "kind": "event",
}

#: Bus addresses, pointers and masks of bits.
_HEX = frozenset(
    {"addr", "status_addr", "desc", "avail", "elem", "value", "offered", "driver", "acked"}
    | {"flags", "avail_flags", "used_flags"}
)

#: Bits of the device status by name (VIRTIO 1.3, 2.1).
STATUS_BITS = {
    1: "ACKNOWLEDGE",
    2: "DRIVER",
    4: "DRIVER_OK",
    8: "FEATURES_OK",
    64: "DEVICE_NEEDS_RESET",
    128: "FAILED",
}
_DESC_FLAGS = {1: "NEXT", 2: "WRITE", 4: "INDIRECT"}
_BLK_STATUS = {0: "OK", 1: "IOERR", 2: "UNSUPP"}
_BLK_TYPES = {
    0: "IN",
    1: "OUT",
    4: "FLUSH",
    8: "GET_ID",
    11: "DISCARD",
    13: "WRITE_ZEROES",
    14: "SECURE_ERASE",
}
_STAGES = {
    0: "begins",
    1: "probe done",
    2: "probe failed",
    3: "remove begins",
    4: "remove done",
    5: "freeze",
    6: "restore",
    7: "joined",
}

_QUEUE_OPS = {0: "set up", 1: "deleted", 2: "joined", 3: "left", 4: "broken", 5: "unbroken"}

#: Names of the values of (kind, field): of bits where the flag is True.
_NAMES: dict[tuple[str, str], tuple[dict[int, str], bool]] = {
    ("status", "status"): (STATUS_BITS, True),
    ("dev_status", "status"): (STATUS_BITS, True),
    ("config_change", "status"): (STATUS_BITS, True),
    ("status", "op"): ({0: "write", 1: "read", 2: "reset"}, False),
    ("desc", "flags"): (_DESC_FLAGS, True),
    ("slot", "flags"): (_DESC_FLAGS, True),
    ("desc", "table"): ({0: "ring", 1: "indirect"}, False),
    ("driver", "stage"): (_STAGES, False),
    ("features", "stage"): ({0: "first", 1: "finalize", 2: "frozen"}, False),
    ("queue", "layout"): ({0: "split", 1: "packed"}, False),
    ("queue", "op"): (_QUEUE_OPS, False),
    ("blk_start", "type"): (_BLK_TYPES, False),
    ("blk_done", "type"): (_BLK_TYPES, False),
    ("blk_done", "status"): (_BLK_STATUS, False),
    ("vhost_blk", "type"): (_BLK_TYPES, False),
    ("vhost_blk", "status"): (_BLK_STATUS, False),
    ("dev_blk_start", "type"): (_BLK_TYPES, False),
    ("dev_blk_done", "status"): (_BLK_STATUS, False),
}


#: Columns that stand above the table if all events of a slice agree.
_SHARED = ("source", "dev", "life", "vq", "cpu", "pid")


@dataclass(frozen=True)
class Slice:
    """Rows of text, one for each event.

    Attributes:
        shared: fields that are the same in all events: "dev 0, vq 1".
        numeric: for each column, whether it reads better flush right.
    """

    shared: str
    headings: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]

    def lines(self) -> list[str]:
        """Return all of it as plain text."""
        return [self.shared, *self.table()] if self.shared else self.table()

    def table(self) -> list[str]:
        """Return the headings and the rows as plain text, columns aligned by two blanks."""
        table = [self.headings, *self.rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return [
            "  ".join(
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(row, widths, self.numeric, strict=True)
            ).rstrip()
            for row in table
        ]


def slice_of(events: Sequence[Mapping[str, Any]], *, omit: frozenset[str] = frozenset()) -> Slice:
    """Return events (non-null fields by name) as text, without columns that none has.

    Fields in ``omit`` are left out too. Times are in µs from the first event shown of the same
    observer: guest and host clocks are not compared.
    """
    names = [name for name in _COLUMNS if name not in omit]
    values = {name: {event[name] for event in events if name in event} for name in names}
    shared = [name for name in _SHARED if len(values[name]) == 1]
    columns = [name for name in names if values[name] and name not in shared]
    started: dict[str, int] = {}
    rows = []
    for event in events:
        since = ""
        if "ts" in event:
            start = started.setdefault(_clock(event), event["ts"])
            since = f"{(event['ts'] - start) / 1000:.1f}"
        cells = [since if name == "ts" else shown(str(event.get(name, ""))) for name in columns]
        rows.append((*cells, _details(event, omit)))
    return Slice(
        shared=", ".join(f"{_COLUMNS[name]} {shown(str(*values[name]))}" for name in shared),
        headings=(*(_COLUMNS[name] for name in columns), "what"),
        numeric=(*(name not in ("source", "kind") for name in columns), False),
        rows=tuple(rows),
    )


def _clock(event: Mapping[str, Any]) -> str:
    return "host" if event.get("source") in OUTSIDE else "guest"


def _details(event: Mapping[str, Any], omit: frozenset[str]) -> str:
    kind = str(event.get("kind"))
    return " ".join(
        f"{shown(name)}={_value(kind, name, value)}"
        for name, value in event.items()
        if name not in _COLUMNS and name not in omit and value is not None
    )


def _value(kind: str, name: str, value: Any) -> str:
    if not isinstance(value, int):
        return shown(str(value))
    if (kind, name) in _NAMES:
        names, bits = _NAMES[kind, name]
        return bits_of(value, names) if bits else names.get(value, str(value))
    if name in _HEX or (kind, name) == ("queue", "used"):
        return f"{value:#x}"
    return str(value)


def bits_of(value: int, names: Mapping[int, str]) -> str:
    """Return the names of the bits that are set, the rest as a number."""
    rest = value & ~sum(names)
    parts: Iterable[str] = (name for bit, name in names.items() if value & bit)
    return "|".join([*parts, *([f"{rest:#x}"] if rest else [])]) or "0"
