# SPDX-License-Identifier: GPL-2.0-only
"""Zones of a host-managed disk (section 5.2.6.2): first and last are conventional."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pykit.spec import bits

#: Sectors of a zone, zones that may be open at once, sectors of the longest append.
ZONE_SECTORS, MOST_OPEN, MOST_APPENDED = 2048, 2, 128
_HEADER = struct.Struct("<Q56x")
_ZONE = struct.Struct("<QQQBB38x")
_OPEN = (bits.ZS_IOPEN, bits.ZS_EOPEN)


@dataclass
class _Zone:
    start: int
    pointer: int
    state: int

    @property
    def sequential(self) -> bool:
        """Whether it has a write pointer."""
        return self.state != bits.ZS_NOT_WP

    @property
    def left(self) -> int:
        """Sectors behind the write pointer."""
        return self.start + ZONE_SECTORS - self.pointer


class Zones:
    """The zones of a disk of so many sectors; a rest that is no zone is left out."""

    def __init__(self, sectors: int) -> None:
        starts = range(0, sectors - ZONE_SECTORS + 1, ZONE_SECTORS)
        self._zones = [_Zone(start, start, bits.ZS_EMPTY) for start in starts]
        for zone in (*self._zones[:1], *self._zones[-1:]):
            zone.state = bits.ZS_NOT_WP

    @property
    def sectors(self) -> int:
        """Sectors of all zones."""
        return len(self._zones) * ZONE_SECTORS

    def report(self, sector: int, room: int) -> tuple[int, bytes]:
        """Status, and zones from the one of a sector on, as many as there is room for."""
        if sector >= self.sectors:
            return bits.S_INVALID_CMD, b""
        if room < _HEADER.size:
            return bits.S_IOERR, b""
        count = (room - _HEADER.size) // _ZONE.size
        found = self._zones[sector // ZONE_SECTORS :][:count]
        lines = (
            _ZONE.pack(
                ZONE_SECTORS,
                zone.start,
                zone.pointer,
                bits.ZT_SEQUENTIAL_REQUIRED if zone.sequential else bits.ZT_CONVENTIONAL,
                zone.state,
            )
            for zone in found
        )
        return bits.S_OK, (_HEADER.pack(len(found)) + b"".join(lines)).ljust(room, b"\0")

    def manage(self, kind: int, sector: int) -> tuple[int, list[int]]:
        """Open, close, finish or reset; the status, and where zones begin that were emptied."""
        if kind == bits.T_ZONE_RESET_ALL:
            return bits.S_OK, [z.start for z in self._zones if z.sequential and self._reset(z)]
        zone = self._beginning(sector)
        if zone is None or not zone.sequential:
            return bits.S_INVALID_CMD, []
        if kind == bits.T_ZONE_RESET:
            self._reset(zone)
            return bits.S_OK, [zone.start]
        if kind == bits.T_ZONE_FINISH:
            zone.pointer, zone.state = zone.start + ZONE_SECTORS, bits.ZS_FULL
            return bits.S_OK, []
        if kind == bits.T_ZONE_OPEN:
            full = zone.state == bits.ZS_FULL
            return bits.S_INVALID_CMD if full else self._open(zone, bits.ZS_EOPEN), []
        if zone.state not in (*_OPEN, bits.ZS_CLOSED):
            return bits.S_INVALID_CMD, []
        zone.state = bits.ZS_EMPTY if zone.pointer == zone.start else bits.ZS_CLOSED
        return bits.S_OK, []

    def read(self, sector: int, count: int) -> int:
        """Status of a read: none of a sequential zone goes on into another."""
        touched = self._zones[sector // ZONE_SECTORS : -(-(sector + count) // ZONE_SECTORS)]
        crosses = len(touched) > 1 and any(zone.sequential for zone in touched)
        return bits.S_INVALID_CMD if crosses else bits.S_OK

    def write(self, sector: int, count: int) -> int:
        """Status of a write, which moves the write pointer."""
        if status := self.read(sector, count):
            return status
        zone = self._zones[sector // ZONE_SECTORS]
        if not zone.sequential:
            return bits.S_OK
        if zone.state == bits.ZS_FULL or count > zone.left:
            return bits.S_INVALID_CMD
        if sector != zone.pointer:
            return bits.S_UNALIGNED_WP
        return self._advance(zone, count)

    def append(self, sector: int, count: int) -> tuple[int, int]:
        """Status of an append, and where its data go."""
        zone = self._beginning(sector)
        if zone is None or not zone.sequential or zone.state == bits.ZS_FULL:
            return bits.S_INVALID_CMD, 0
        if count > min(zone.left, MOST_APPENDED):
            return bits.S_INVALID_CMD, 0
        at = zone.pointer
        return self._advance(zone, count), at

    def _beginning(self, sector: int) -> _Zone | None:
        if sector % ZONE_SECTORS or sector >= self.sectors:
            return None
        return self._zones[sector // ZONE_SECTORS]

    def _advance(self, zone: _Zone, count: int) -> int:
        if zone.state not in _OPEN and (status := self._open(zone, bits.ZS_IOPEN)):
            return status
        zone.pointer += count
        if not zone.left:
            zone.state = bits.ZS_FULL
        return bits.S_OK

    def _open(self, zone: _Zone, state: int) -> int:
        """Open a zone; one that a write has opened is closed for it where there are too many."""
        if zone.state not in _OPEN:
            opened = [other for other in self._zones if other.state in _OPEN]
            if len(opened) >= MOST_OPEN:
                implicit = [other for other in opened if other.state == bits.ZS_IOPEN]
                if not implicit:
                    return bits.S_OPEN_RESOURCE
                implicit[0].state = bits.ZS_CLOSED
        zone.state = state
        return bits.S_OK

    def _reset(self, zone: _Zone) -> bool:
        """Empty a zone; return whether it was not empty."""
        changed = zone.state != bits.ZS_EMPTY
        zone.pointer, zone.state = zone.start, bits.ZS_EMPTY
        return changed
