# SPDX-License-Identifier: GPL-2.0-only
"""What the tap sees, written down as events of the table (docs/events.md).

Each kind has a file of records of one size, so that writing one down costs little, and a tap that
is killed leaves what it wrote until then (pykit/trace/tapped.py reads it). A chain is one record
and one for each of its descriptors: its events are made when they are read.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import starmap
from pathlib import Path
from time import time_ns
from typing import BinaryIO

from pykit.paths import write_atomically
from pykit.tap.chain import Element
from pykit.trace.tapped import COLUMNS, NO_QUEUE, layouts
from pykit.trace.tapped_chains import CHAIN, DESCRIPTOR, OF_CHAIN

#: Bytes of one kind that are kept before they are written.
_BUFFER = 1 << 18
#: Where the values of a chain say whether it is a block request.
_BLK = [name for name, _ in OF_CHAIN].index("blk")


@dataclass(slots=True)
class _Kind:
    pack: Callable[..., bytes]
    file: BinaryIO
    kept: bytearray = field(default_factory=bytearray)


class TapRecorder:
    """Events of one device in the order in which they happen.

    Args:
        folder: where the files go; it must not exist.

    Attributes:
        events: how many were written down.
        full: why nothing is written any more; empty while all is.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        write_atomically(folder / COLUMNS, json.dumps(layouts()).encode())
        self._kinds = {
            kind: _Kind(
                struct.Struct("<" + "".join(code for _, code in layout)).pack,
                (folder / f"{kind}.bin").open("xb", buffering=0),
            )
            for kind, layout in layouts().items()
        }
        self._chain, self._descriptor = self._kinds[CHAIN], self._kinds[DESCRIPTOR]
        self._seq: dict[int, int] = {}
        self._life, self._lives = 0, 0
        self.events = 0
        self.full = ""

    def begin(self) -> None:
        """Begin the device's next life."""
        self._life, self._lives = self._lives, self._lives + 1
        self._seq.clear()

    def event(self, when: int, kind: str, queue: int, values: Sequence[int]) -> None:
        """Write down an event of a queue; ``when`` is in ns, the values in the order of columns."""
        into = self._kinds[kind]
        self._seq[queue] = seq = self._seq.get(queue, 0) + 1
        into.kept += into.pack(self.events, when, self._life, queue, seq, *values)
        self.events += 1
        if len(into.kept) >= _BUFFER:
            self._flush(into)

    def chain(
        self, when: int, queue: int, values: Sequence[int], elements: Sequence[Element]
    ) -> None:
        """Write down a chain; the values are in the order of ``OF_CHAIN``."""
        into, seq = self._chain, self._seq.get(queue, 0) + 1
        into.kept += into.pack(self.events, when, self._life, queue, seq, *values)
        self._descriptor.kept += b"".join(starmap(self._descriptor.pack, elements))
        # It is an event, and so is each of its descriptors, and its request.
        count = len(elements) + values[_BLK]
        self.events += 1 + count
        self._seq[queue] = seq + count
        if max(len(into.kept), len(self._descriptor.kept)) >= _BUFFER:
            self._flush(self._descriptor)
            self._flush(into)

    def device(self, kind: str, *values: int) -> None:
        """Write down an event that concerns no queue."""
        self.event(time_ns(), kind, NO_QUEUE, values)

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
