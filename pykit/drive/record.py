# SPDX-License-Identifier: GPL-2.0-only
"""What the driver does, written down as events of the table (docs/events.md)."""

from __future__ import annotations

import json
import shutil
import struct
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic_ns
from typing import Any, ClassVar, NamedTuple

from pykit.files import naming
from pykit.seal import write_sealed
from pykit.spec import bits
from pykit.trace.capture import DRIVER
from pykit.trace.driven import FILE, LOG, write_driven
from pykit.trace.register_map import CONFIG, NOTIFY_STEP, REGISTERS, RESERVED, STRUCTURES
from pykit.trace.survey import rows_of

#: Names of registers by structure and offset, and whether they belong to the selected queue. What
#: begins within a register is part of it.
_NAMES = {
    structure: {
        register.offset + byte: (register.name, register.queue)
        for register in registers
        for byte in range(min(register.size, 4))
    }
    for structure, registers in STRUCTURES.items()
}


class SeenAccess(NamedTuple):
    """One access: structure, bytes from its beginning on, bytes at once, what was moved."""

    structure: str
    offset: int
    size: int
    value: int
    write: bool


#: The device's id in the capture.
_DEVICE = "dev0"
#: The name of the code that accesses registers and rings: all of it is the driver's.
SYMBOL = "driver"
_OF_INTERRUPTS = ("callback", "interrupt")


def first_words(data: bytes) -> dict[str, int]:
    """Return the fields of an event that has the first 24 bytes of something."""
    words = struct.unpack("<QQQ", data[:24].ljust(24, b"\0"))
    return dict(zip(("first", "second", "third"), words, strict=True))


@dataclass
class Recorder:
    """Collects the events of one device in the order in which they happen.

    Attributes:
        device: QEMU's name of such a device, such as ``virtio-blk-pci``; rules ask for it.
        options: of the device, as QEMU's command line has them.
        legacy: whether it is driven by the legacy interface.
        life: number of the device's current life.
        deaf: no interrupt is seen: what is about them is left out, and not judged.
        log: QEMU's own log of the same device, which goes into the capture.
        traced: the accesses to registers and rings are written down, as an access tracer has them.
        qmp: answers of QEMU's about the device.
    """

    device: str
    options: dict[str, str | int] = field(default_factory=dict)
    driver: str = DRIVER
    legacy: bool = False
    life: int = -1
    deaf: bool = False
    log: Path | None = None
    traced: bool = False
    qmp: list[dict[str, Any]] = field(default_factory=list)
    _rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    _count: int = 0
    _seq: dict[int, int] = field(default_factory=dict)
    _selected: int | None = None
    _surveys: list[dict[str, Any]] = field(default_factory=list)
    _seen: dict[bytes, int] = field(default_factory=dict)

    #: The host's wall clock, which QEMU's log has, less a clock that nothing sets.
    _since: ClassVar[int] = time.time_ns() - time.monotonic_ns()

    @classmethod
    def now(cls) -> int:
        """Return the time of an event (ns)."""
        return cls._since + monotonic_ns()

    def begin(self) -> None:
        """Begin the device's next life."""
        self.life += 1
        self._seq.clear()

    def event(self, kind: str, queue: int | None = None, at: int = 0, **fields: Any) -> None:
        """Write down an event of the current life, of one of its queues or of none.

        ``at`` is its time, if that was not just now.
        """
        if self.deaf and kind in _OF_INTERRUPTS:
            return
        row: dict[str, Any] = {
            "row": self._count,
            "ts": at or self._since + monotonic_ns(),
            "cpu": 0,
            "pid": 0,
            "dev": 0,
            "life": self.life if self.life >= 0 else None,
            **fields,
        }
        if queue is not None:
            row["vq"] = queue
            row["seq"] = self._seq[queue] = self._seq.get(queue, 0) + 1
        self._count += 1
        self._rows[kind].append(row)

    def access(self, seen: SeenAccess, at: int = 0) -> None:
        """Write down an access to a register, with its name and the queue that it belongs to.

        ``at`` is its time, if that was not just now.

        One to the status is an event of its own as well, as in a guest.
        """
        name, of_queue = _NAMES[seen.structure].get(seen.offset, (RESERVED, False))
        if seen.structure in ("notify", CONFIG):
            name = {"notify": "queue_notify"}.get(seen.structure, CONFIG)
        queue = self._selected if of_queue else None
        if name == "queue_notify":
            # By its place, where each queue has one of its own.
            place = seen.offset // NOTIFY_STEP if seen.structure == "notify" else seen.value
            queue = place & 0xFFFF
        if seen.write and name == "queue_select":
            self._selected = seen.value & 0xFFFF
        elif seen.write and name == "status" and not seen.value:
            self._selected = None
        what: dict[str, Any] = {
            "structure": seen.structure,
            "offset": seen.offset,
            "size": seen.size,
            "value": seen.value,
            "write": seen.write,
            "register": name,
            "vq": queue,
        }
        self.event("register", at=at, **what)
        if self.traced:
            self.event("acc_register", at=at, **what, symbol=SYMBOL)
        if name == "status" and seen.size == REGISTERS[seen.structure][name].size:
            written = bits.STATUS_WRITE if seen.value else bits.STATUS_RESET
            op = written if seen.write else bits.STATUS_READ
            self.event("status", at=at, status=seen.value, op=op)

    def configuration(self, offset: int, value: int, write: bool) -> None:
        """Write down an access to the configuration space of the function surveyed last."""
        place = self._surveys[-1]["place"]
        access = {"offset": offset, "value": value, "write": int(write), "place": place}
        self.event("dev_pci_config", **access, life=None)

    def answered(self, query: str, answer: dict[str, Any]) -> None:
        """Write down what QEMU answers about the device now."""
        place = {"at": "driven", "device": _DEVICE, "queue": None, "time_ns": self.now()}
        self.qmp.append({**place, "query": query, "return": answer})

    def survey(self, reading: dict[str, Any]) -> None:
        """Write down what a PCI function shows, where that is not written down yet."""
        if reading in self._surveys:
            return
        for row in rows_of(reading, "survey"):
            fields = {name: value for name, value in row.items() if name != "kind"}
            self.event(row["kind"], **fields, reading=len(self._surveys), life=None)
        self._surveys.append(reading)

    def generation_of(self, data: bytes) -> int:
        """Return a number for a state of the configuration that is there at once."""
        return self._seen.setdefault(data, len(self._seen))

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """Return what was written down of a kind, in order."""
        return self._rows[kind]

    @property
    def events(self) -> int:
        """How many events were written down."""
        return self._count

    def save(self, capture: Path, peer: str, outcome: str, message: str) -> None:
        """Write a capture directory that ``pykit check`` judges.

        Args:
            capture: the directory, which must not exist.
            peer: program and version at the other side.
            outcome: how the peer ended, such as ``clean``.
            message: the same in one line.
        """
        capture.mkdir(parents=True)
        write_driven(capture / FILE, self._rows)
        if self.log is not None:
            shutil.move(self.log, capture / LOG)
        device: dict[str, Any] = {"id": _DEVICE, "type": self.device, "options": self.options}
        device["driver"] = self.driver
        info = {
            "schema": 1,
            "complete": True,
            "clock": "wall",
            "cpus": 1,
            "kernel": "",
            "qemu": peer,
            "outcome": {"kind": outcome, "message": message},
            # A device may end a life over a rare form; requests that have to come back are looked
            # at one by one.
            "expects": ["lost-requests", "needs-reset", "standstill"],
            "devices": [device | {"legacy": self.legacy}],
            "steps": [],
            "qmp": [],
        }
        if self.qmp:
            (capture / "qmp.json").write_text(json.dumps(self.qmp) + "\n")
        with naming(capture):
            write_sealed(capture, info, ())
