# SPDX-License-Identifier: GPL-2.0-only
"""What the tap sees, written down as events of the table (docs/events.md).

Each kind has a file of records of one size, so that writing one down costs less than copying a
chain, and a tap that is killed leaves what it wrote until then (pykit/trace/tapped.py reads it).
"""

from __future__ import annotations

import json
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pykit.paths import write_atomically
from pykit.trace.tapped import COLUMNS, NO_QUEUE, TAPPED, layout_of

#: Bytes of one kind that are kept before they are written.
_BUFFER = 1 << 18


@dataclass
class _Kind:
    record: struct.Struct
    file: BinaryIO
    kept: bytearray = field(default_factory=bytearray)


class TapRecorder:
    """Events of one device in the order in which they happen.

    Args:
        folder: where the files go; it must not exist.

    Attributes:
        life: number of the device's current life; -1 before the first.
        events: how many were written down.
        full: why nothing is written any more; empty while all is.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        layouts = {kind: layout_of(kind) for kind in TAPPED}
        write_atomically(folder / COLUMNS, json.dumps(layouts).encode())
        self._kinds = {
            kind: _Kind(
                struct.Struct("<" + "".join(code for _, code in layout)),
                (folder / f"{kind}.bin").open("xb", buffering=0),
            )
            for kind, layout in layouts.items()
        }
        self._seq: dict[int, int] = {}
        self.life = -1
        self.events = 0
        self.full = ""

    def begin(self) -> None:
        """Begin the device's next life."""
        self.life += 1
        self._seq.clear()

    def event(self, kind: str, queue: int, *values: int) -> None:
        """Write down an event of a queue; the values are in the order of the kind's columns."""
        seq = self._seq.get(queue, 0) + 1
        self._seq[queue] = seq
        self._write(kind, queue, seq, values)

    def device(self, kind: str, *values: int) -> None:
        """Write down an event that concerns no queue."""
        self._write(kind, NO_QUEUE, 0, values)

    def _write(self, kind: str, queue: int, seq: int, values: tuple[int, ...]) -> None:
        into = self._kinds[kind]
        into.kept += into.record.pack(
            self.events, time.time_ns(), max(self.life, 0), queue, seq, *values
        )
        self.events += 1
        if len(into.kept) >= _BUFFER:
            self._flush(into)

    def _flush(self, kind: _Kind) -> None:
        """Write what is kept; a full disk ends the record and nothing else."""
        if not self.full:
            try:
                while kind.kept:
                    del kind.kept[: kind.file.write(kind.kept)]
            except OSError as error:
                self.full = error.strerror or str(error)
        kind.kept.clear()

    def close(self) -> None:
        """Write the rest."""
        for kind in self._kinds.values():
            self._flush(kind)
            kind.file.close()
