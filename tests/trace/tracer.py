# SPDX-License-Identifier: GPL-2.0-only
"""A guest for the access tracer's own code, without a QEMU: one queue in a file of memory."""

from __future__ import annotations

import ctypes
import itertools
import json
import mmap
import shutil
import struct
from pathlib import Path

from pykit.compiler import compile_once
from pykit.paths import ROOT
from pykit.trace.access import Record

PLUGIN = ROOT / "plugin"
DESC, AVAIL, USED, TABLE, DATA, NOTIFY = 0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 0xFE003000
SIZE = 4
_BYTES = 1 << 16
_WRITE, _VALUE = 1, 2
#: Flags of packed descriptors.
_AVAIL_BIT, _USED_BIT = 1 << 7, 1 << 15


class _Raw(ctypes.Structure):
    """Struct record of plugin/access.h."""

    _fields_ = (
        *((name, ctypes.c_uint64) for name in ("ts", "first", "second", "address", "value")),
        *((name, ctypes.c_uint8) for name in ("kind", "cpu", "size", "flags")),
        ("region", ctypes.c_uint32),
    )


class _Place(ctypes.Structure):
    """Struct queue_place of plugin/access.h."""

    _fields_ = (
        *((name, ctypes.c_uint64) for name in ("desc", "avail", "used")),
        ("size", ctypes.c_uint32),
        ("packed", ctypes.c_bool),
    )


class TracedGuest:
    """Stores, loads and notifications of one CPU, recorded as the plugin does it."""

    def __init__(self, folder: Path, *, event_idx: bool = False, packed: bool = False) -> None:
        names = ("chains.c", "memory.c", "packed.c", "record.c", "split.c")
        sources = [PLUGIN / name for name in names]
        flags = ("-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Werror", "-fPIC", "-shared")
        built = compile_once(
            "plugin/", "plugin", "parts.so", sources, sorted(PLUGIN.glob("*.h")), flags
        )
        self.folder = folder
        folder.mkdir()
        # A file of its own for the loader, so that each guest has the code's variables anew.
        self._code = ctypes.CDLL(shutil.copy(built, folder / "parts.so"))
        memory = folder / "memory"
        memory.write_bytes(bytes(_BYTES))
        with memory.open("r+b") as file:
            self.memory = mmap.mmap(file.fileno(), _BYTES)
        assert self._code.memory_map(str(memory).encode(), ctypes.c_uint64(0))
        assert self._code.record_open(str(folder / "access.bin").encode())
        self._time = itertools.count(1000, 10)
        self._packed, self._event_idx = packed, event_idx
        self._answers: list[dict[str, object]] = []
        self._notify = self._code.record_region(b"virtio-pci-notify-virtio-blk")

    def answer(self, status: int = 7, *, given: bool = True) -> None:
        """QEMU says where the rings are, or that there are none."""
        avail, used = (4, 4) if self._packed else (14, 38)
        areas = {"desc": (DESC, 64), "avail": (AVAIL, avail), "used": (USED, used)}
        rings = [
            {
                "device": "vd0", "queue": 0, "area": area, "address": address, "bytes": length,
                "size": SIZE, "packed": self._packed, "event_idx": self._event_idx,
            }
            for area, (address, length) in areas.items()
        ]  # fmt: skip
        registers = [{"device": "vd0", "address": NOTIFY - 0x3000, "bytes": 0x4000}]
        self._answers.append(
            {
                "devices": [{"device": "vd0", "status": status}],
                "rings": rings if given else [],
                "registers": registers,
            }
        )
        self._code.chains_begin()
        if given:
            place = _Place(DESC, AVAIL, USED, SIZE, self._packed)
            assert self._code.chains_keep(ctypes.byref(place))
        self._put(Record.RINGS)
        self._code.chains_end(ctypes.c_uint64(next(self._time)), 0)

    def write(self, address: int, code: str, *values: int) -> None:
        """Have memory hold this, without anybody's access."""
        struct.pack_into(f"<{code}", self.memory, address, *values)

    def store(self, address: int, code: str, value: int) -> None:
        """The driver stores a value."""
        self.write(address, code, value)
        self._access(address, struct.calcsize(code), value, _WRITE)

    def load(self, address: int, code: str) -> None:
        """The driver loads a value."""
        (value,) = struct.unpack_from(f"<{code}", self.memory, address)
        self._access(address, struct.calcsize(code), value, 0)

    def notify(self) -> None:
        """The driver notifies the device."""
        self._put(
            Record.REGISTER, address=NOTIFY, size=2, flags=_WRITE, region=self._notify
        )  # fmt: skip

    def chain(self, slot: int, *buffers: tuple[int, int, int], at: int = DESC) -> None:
        """Write descriptors from a slot on, of addresses, lengths and flags without NEXT."""
        for n, (address, length, flags) in enumerate(buffers):
            more = n + 1 < len(buffers)
            values = (address, length, flags | more, slot + n + 1 if more else 0)
            self.write(at + 16 * (slot + n), "QIHH", *values)

    def add(self, head: int, index: int) -> None:
        """Make a chain available at an index."""
        self.store(AVAIL + 4 + 2 * (index % SIZE), "H", head)
        self.store(AVAIL + 2, "H", index + 1)

    def use(self, head: int, length: int, index: int) -> None:
        """The device returns a chain."""
        self.write(USED + 4 + 8 * (index % SIZE), "II", head, length)
        self.write(USED + 2, "H", index + 1)

    def take(self, index: int) -> None:
        """The driver loads a used entry."""
        self.load(USED + 2, "H")
        self.load(USED + 4 + 8 * (index % SIZE), "I")
        self.load(USED + 8 + 8 * (index % SIZE), "I")

    def add_packed(self, place: int, number: int, *buffers: tuple[int, int, int]) -> None:
        """Make a list of addresses, lengths and flags available; its head's flags come last.

        ``place`` counts descriptors from the queue's set-up on.
        """
        for n, (address, length, flags) in reversed([*enumerate(buffers)]):
            slot, odd = (place + n) % SIZE, (place + n) // SIZE % 2
            more = n + 1 < len(buffers)
            at = DESC + 16 * slot
            self.store(at, "Q", address)
            self.store(at + 8, "I", length)
            self.store(at + 12, "H", number)
            self.store(at + 14, "H", flags | more | (_USED_BIT if odd else _AVAIL_BIT))

    def use_packed(self, place: int, number: int, length: int) -> None:
        """The device returns a list."""
        flags = 0 if place // SIZE % 2 else _USED_BIT | _AVAIL_BIT
        self.write(DESC + 16 * (place % SIZE) + 8, "IHH", length, number, flags)

    def take_packed(self, place: int) -> None:
        """The driver loads a used descriptor: flags, id and length."""
        for offset, code in ((14, "H"), (12, "H"), (8, "I")):
            self.load(DESC + 16 * (place % SIZE) + offset, code)

    def capture(self) -> Path:
        """Return the folder with all that was recorded."""
        self._code.record_flush()
        (self.folder / "access.json").write_text(json.dumps(self._answers))
        return self.folder

    def _access(self, address: int, size: int, value: int, flags: int) -> None:
        raw = self._put(
            Record.RING, address=address, size=size, value=value, flags=flags | _VALUE
        )  # fmt: skip
        self._code.chains_accessed(ctypes.byref(raw))

    def _put(self, kind: Record, **fields: int) -> _Raw:
        raw = _Raw(ts=next(self._time), kind=kind, **fields)
        self._code.record_put(ctypes.byref(raw))
        return raw
