# SPDX-License-Identifier: GPL-2.0-only
"""Memory whose accesses by the driver are written down, as the access tracer has a guest's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pykit.drive.record import SYMBOL, Recorder
from pykit.drive.ring import Ring
from pykit.proof.memory import FaultyMemory, areas
from pykit.spec.bits import DESC_BYTES

#: Fields of descriptors by where they begin, and their bytes: split, packed.
_DESC = (
    {0: ("addr", 8), 8: ("len", 4), 12: ("flags", 2), 14: ("next", 2)},
    {0: ("addr", 8), 8: ("len", 4), 12: ("id", 2), 14: ("flags", 2)},
)
#: The same of the elements of a used ring, and the bytes before those of either ring.
_USED, _HEAD = {0: ("id", 4), 4: ("len", 4)}, 4


class AccessedMemory(FaultyMemory):
    """Writes down loads and stores of the driver in rings, by fields.

    Attributes:
        recorder: of the driver.
    """

    recorder: Recorder | None = None

    def store(self, address: int, data: bytes) -> None:
        """Write bytes as the driver."""
        self._note(address, data, write=True)
        super().store(address, data)

    def load(self, address: int, length: int) -> bytes:
        """Read bytes as the driver."""
        data = super().load(address, length)
        self._note(address, data, write=False)
        return data

    def load16(self, address: int) -> int:
        """Read two bytes as the driver."""
        value = super().load16(address)
        self._note(address, value.to_bytes(2, "little"), write=False)
        return value

    def _note(self, address: int, data: bytes, *, write: bool) -> None:
        for ring in self.rings().values() if self.recorder is not None else ():
            for area, base, size in areas(ring):
                if base <= address < base + size:
                    for event in _fields(ring, area, address - base, data):
                        event |= {"vq": ring.index, "area": area, "write": int(write)}
                        event["address"] = base + event["offset"]
                        assert self.recorder is not None
                        self.recorder.event("acc_ring", symbol=SYMBOL, **event)
                    return


def _fields(ring: Ring, area: str, offset: int, data: bytes) -> Iterator[dict[str, Any]]:
    """Cut an access to an area into its fields."""
    end = offset + len(data)
    while offset < end:
        field, slot, size = _field(ring, area, offset)
        size = min(size, end - offset)
        part, data = data[:size], data[size:]
        value = int.from_bytes(part, "little")
        yield {"offset": offset, "size": size, "value": value, "field": field, "slot": slot}
        offset += size


def _field(ring: Ring, area: str, offset: int) -> tuple[str, int | None, int]:
    """The field that begins at an offset, its slot, and its bytes."""
    if area == "desc":
        field, size = _DESC[bool(ring.layout)].get(offset % DESC_BYTES, ("other", DESC_BYTES))
        return field, offset // DESC_BYTES, size
    if ring.layout:
        return "other", None, 4
    width = 2 if area == "avail" else 8
    slot = (offset - _HEAD) // width
    if offset < _HEAD:
        return ("flags" if offset == 0 else "idx"), None, 2
    if slot >= ring.size:
        return "event", None, 2
    if area == "avail":
        return "ring", slot, 2
    field, size = _USED.get((offset - _HEAD) % width, ("other", width))
    return field, slot, size
