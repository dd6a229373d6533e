# SPDX-License-Identifier: GPL-2.0-only
"""Serve block requests (section 5.2.6) from a file or from memory."""

from __future__ import annotations

import contextlib
import mmap
import struct
from pathlib import Path

from pykit.device.memory import GuestMemory
from pykit.device.queue import Chain
from pykit.device.served import Served, Writes, scatter
from pykit.device.zones import MOST_APPENDED, MOST_OPEN, ZONE_SECTORS, Zones
from pykit.errors import UsageError
from pykit.spec import bits, blkconfig

_HEADER, _RANGE = struct.Struct("<IIQ"), struct.Struct("<QII")
#: Where an append has put its data.
_PLACE = struct.Struct("<Q")
_ID = b"pykit-device".ljust(bits.ID_BYTES, b"\0")
#: Features of each disk; of those without zones, and with.
_FEATURES = frozenset({bits.BLK_SEG_MAX, bits.BLK_BLK_SIZE, bits.BLK_FLUSH, bits.BLK_MQ})
_RANGES_SERVED = frozenset({bits.BLK_DISCARD, bits.BLK_WRITE_ZEROES, bits.BLK_SECURE_ERASE})
_ZONED = frozenset({bits.BLK_ZONED})
_SEG_MAX = 126
#: Ranges of one request, and sectors of one range.
_RANGES, _RANGE_SECTORS = 8, 1 << 15
#: Flags of ranges that are served.
_RANGE_FLAGS = {bits.T_DISCARD: 0, bits.T_WRITE_ZEROES: bits.UNMAP, bits.T_SECURE_ERASE: 0}


class ServedDisk(Served):
    """A disk of whole sectors.

    Args:
        path: a file behind it; without one its contents are gone at the end.
        size: bytes of a disk without a file.
        queues: how many queues the configuration names.
        zoned: the disk is a host-managed one (see ``zones.py``).
    """

    def __init__(self, path: Path | None, size: int, queues: int, *, zoned: bool = False) -> None:
        self._path = path
        self._store = mmap.mmap(-1, size) if path is None else _mapped(path)
        self.sectors = len(self._store) // bits.SECTOR
        if not self.sectors:
            raise UsageError("the disk has no whole sector: give it at least 512 bytes")
        self._queues = queues
        self._zones = Zones(self.sectors) if zoned else None
        if self._zones is not None:
            self.sectors = self._zones.sectors
            if not self.sectors:
                raise UsageError(f"the disk has no zone: give it at least {ZONE_SECTORS} sectors")
        self.features = bits.mask(_FEATURES | (_ZONED if zoned else _RANGES_SERVED))

    def resized(self) -> bool:
        """Take over the size of the file behind the disk; return whether it has another one.

        Raises:
            UsageError: the file cannot be mapped any more.
        """
        if self._path is None or self._zones is not None:
            return False
        self._store = _mapped(self._path)
        before, self.sectors = self.sectors, len(self._store) // bits.SECTOR
        return before != self.sectors

    def fold(self) -> None:
        """Lose the second half, or get it back."""
        whole = len(self._store) // bits.SECTOR
        self.sectors = whole // 2 if self.sectors == whole else whole

    def accepts(self, features: int) -> bool:
        """Whether it can be driven so: a host-managed disk by no driver that knows no zones."""
        return self._zones is None or bool(features >> bits.BLK_ZONED & 1)

    def config(self) -> bytes:
        """The configuration space (section 5.2.4)."""
        data = bytearray(blkconfig.UNUSED2.offset + blkconfig.UNUSED2.width)
        values = [
            (blkconfig.CAPACITY, self.sectors),
            (blkconfig.SEG_MAX, _SEG_MAX),
            (blkconfig.BLK_SIZE, bits.SECTOR),
            (blkconfig.NUM_QUEUES, self._queues),
        ]
        if self._zones is None:
            values += [
                (blkconfig.MAX_DISCARD_SECTORS, _RANGE_SECTORS),
                (blkconfig.MAX_DISCARD_SEG, _RANGES),
                (blkconfig.DISCARD_ALIGNMENT, 1),
                (blkconfig.MAX_ZEROES_SECTORS, _RANGE_SECTORS),
                (blkconfig.MAX_ZEROES_SEG, _RANGES),
                (blkconfig.MAY_UNMAP, 1),
                (blkconfig.MAX_ERASE_SECTORS, _RANGE_SECTORS),
                (blkconfig.MAX_ERASE_SEG, _RANGES),
                (blkconfig.ERASE_ALIGNMENT, 1),
            ]
        else:
            values += [
                (blkconfig.ZONE_SECTORS, ZONE_SECTORS),
                (blkconfig.MAX_OPEN_ZONES, MOST_OPEN),
                (blkconfig.MAX_APPEND_SECTORS, MOST_APPENDED),
                (blkconfig.WRITE_GRANULARITY, bits.SECTOR),
                (blkconfig.ZONE_MODEL, bits.Z_HOST_MANAGED),
            ]
        for field, value in values:
            data[field.offset : field.offset + field.width] = value.to_bytes(field.width, "little")
        return bytes(data)

    def serve(self, memory: GuestMemory, chain: Chain, queue: int) -> tuple[int, Writes]:
        """Do a request; return the used length, and what is to be written where.

        A chain without room for a status byte is returned with nothing written.
        """
        request = b"".join(bytes(memory.at(*span)) for span in chain.readable)
        room = chain.capacity
        if room < 1 or len(request) < bits.HEADER_BYTES:
            return 0, []
        kind, _, sector = _HEADER.unpack_from(request)
        status, data = self._do(kind, sector, request[bits.HEADER_BYTES :], room - 1)
        writes = scatter(memory, chain, data, 0)
        writes += scatter(memory, chain, bytes((status,)), room - 1)
        # The length promises that all before it was written, so an error promises nothing of the
        # data; the status byte is the last of the chain.
        return (room if len(data) == room - 1 else 0 if room > 1 else 1), writes

    def _do(self, kind: int, sector: int, data: bytes, room: int) -> tuple[int, bytes]:
        """Status, and the data to be written."""
        if kind in (bits.T_IN, bits.T_OUT):
            size = room if kind == bits.T_IN else len(data)
            if size % bits.SECTOR or sector + size // bits.SECTOR > self.sectors:
                return bits.S_IOERR, b""
            if self._zones is not None:
                judge = self._zones.read if kind == bits.T_IN else self._zones.write
                if status := judge(sector, size // bits.SECTOR):
                    return status, b""
            if kind == bits.T_IN:
                return bits.S_OK, self.get(sector, room)
            self.put(sector, data)
            return bits.S_OK, b""
        if kind == bits.T_FLUSH:
            return bits.S_OK, b""
        if kind == bits.T_GET_ID:
            return bits.S_OK, _ID[:room]
        if self._zones is not None and kind in bits.ZONE_TYPES:
            return self._zoned(self._zones, kind, sector, data, room)
        if self._zones is None and kind in _RANGE_FLAGS:
            return self._clear(kind, data), b""
        return bits.S_UNSUPP, b""

    def _clear(self, kind: int, data: bytes) -> int:
        """Zero ranges, discarded ones too; return the status (section 5.2.6.2)."""
        if not data or len(data) % _RANGE.size or len(data) > _RANGES * _RANGE.size:
            return bits.S_IOERR
        ranges = list(_RANGE.iter_unpack(data))
        if any(flags & ~_RANGE_FLAGS[kind] for _, _, flags in ranges):
            return bits.S_UNSUPP
        if any(count > _RANGE_SECTORS or at + count > self.sectors for at, count, _ in ranges):
            return bits.S_IOERR
        for at, count, flags in ranges:
            self.put(at, bytes(count * bits.SECTOR))
            if kind == bits.T_DISCARD or flags & bits.UNMAP:
                self._deallocate(at, count)
        return bits.S_OK

    def _deallocate(self, sector: int, count: int) -> None:
        """Give the pages of sectors that are zero back, where the storage can do so."""
        begin = -(-sector * bits.SECTOR // mmap.PAGESIZE) * mmap.PAGESIZE
        end = (sector + count) * bits.SECTOR // mmap.PAGESIZE * mmap.PAGESIZE
        if begin < end:
            with contextlib.suppress(OSError):
                self._store.madvise(mmap.MADV_REMOVE, begin, end - begin)

    def _zoned(
        self, zones: Zones, kind: int, sector: int, data: bytes, room: int
    ) -> tuple[int, bytes]:
        """Do a request that disks with zones alone have; as _do()."""
        if kind == bits.T_ZONE_REPORT:
            return zones.report(sector, room)
        if kind == bits.T_ZONE_APPEND:
            if room < _PLACE.size or not data:
                return bits.S_IOERR, b""
            status, at = zones.append(sector, -(-len(data) // bits.SECTOR))
            if status:
                return status, b""
            self.put(at, data)
            return bits.S_OK, _PLACE.pack(at).ljust(room, b"\0")
        status, emptied = zones.manage(kind, sector)
        for start in emptied:
            self.put(start, bytes(ZONE_SECTORS * bits.SECTOR))
        return status, b""

    def get(self, sector: int, size: int) -> bytes:
        """Return so many bytes from a sector on."""
        at = sector * bits.SECTOR
        return self._store[at : at + size]

    def put(self, sector: int, data: bytes) -> None:
        """Store bytes from a sector on."""
        at = sector * bits.SECTOR
        self._store[at : at + len(data)] = data


def _mapped(path: Path) -> mmap.mmap:
    try:
        with path.open("r+b") as file:
            return mmap.mmap(file.fileno(), 0)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be the disk: {error}") from None
