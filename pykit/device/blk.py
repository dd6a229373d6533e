# SPDX-License-Identifier: GPL-2.0-only
"""Serve block requests (section 5.2.6) from a file or from memory."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from pykit.device.memory import GuestMemory
from pykit.device.queue import Chain
from pykit.errors import UsageError
from pykit.spec import bits

_HEADER = struct.Struct("<IIQ")
_ID = b"pykit-device".ljust(bits.ID_BYTES, b"\0")
#: Features of the device: SEG_MAX, BLK_SIZE, FLUSH, MQ.
FEATURES = 1 << bits.BLK_SEG_MAX | 1 << bits.BLK_BLK_SIZE | 1 << bits.BLK_FLUSH | 1 << bits.BLK_MQ


class ServedDisk:
    """A disk of whole sectors.

    Args:
        path: a file behind it; without one its contents are gone at the end.
        size: bytes of a disk without a file.
        queues: how many queues the configuration names.
    """

    def __init__(self, path: Path | None, size: int, queues: int) -> None:
        if path is None:
            self._store = mmap.mmap(-1, size)
        else:
            try:
                with path.open("r+b") as file:
                    self._store = mmap.mmap(file.fileno(), 0)
            except (OSError, ValueError) as error:
                raise UsageError(f"{path}: cannot be the disk: {error}") from None
        self.sectors = len(self._store) // bits.SECTOR
        if not self.sectors:
            raise UsageError("the disk has no whole sector: give it at least 512 bytes")
        self._queues = queues

    def config(self) -> bytes:
        """The configuration space (section 5.2.4)."""
        data = bytearray(60)
        struct.pack_into("<Q", data, 0, self.sectors)
        struct.pack_into("<I", data, 12, 126)
        struct.pack_into("<I", data, 20, bits.SECTOR)
        struct.pack_into("<H", data, 34, self._queues)
        return bytes(data)

    def serve(
        self, memory: GuestMemory, chain: Chain
    ) -> tuple[int, list[tuple[memoryview, bytes]]]:
        """Do a request; return the used length, and what is to be written where.

        A chain without room for a status byte is returned with nothing written.
        """
        request = b"".join(bytes(memory.at(*span)) for span in chain.readable)
        room = chain.capacity
        if room < 1 or len(request) < bits.HEADER_BYTES:
            return 0, []
        kind, _, sector = _HEADER.unpack_from(request)
        status, data = self._do(kind, sector, request[bits.HEADER_BYTES :], room - 1)
        writes = _scatter(memory, chain, data, 0)
        writes += _scatter(memory, chain, bytes((status,)), room - 1)
        # The length promises that all before it was written, so an error promises nothing of the
        # data; the status byte is the last of the chain.
        return (room if len(data) == room - 1 else 0 if room > 1 else 1), writes

    def _do(self, kind: int, sector: int, data: bytes, room: int) -> tuple[int, bytes]:
        """Status, and the data to be written."""
        at = sector * bits.SECTOR
        if kind == bits.T_IN:
            if room % bits.SECTOR or sector + room // bits.SECTOR > self.sectors:
                return bits.S_IOERR, b""
            return bits.S_OK, self._store[at : at + room]
        if kind == bits.T_OUT:
            if len(data) % bits.SECTOR or sector + len(data) // bits.SECTOR > self.sectors:
                return bits.S_IOERR, b""
            self._store[at : at + len(data)] = data
            return bits.S_OK, b""
        if kind == bits.T_FLUSH:
            return bits.S_OK, b""
        if kind == bits.T_GET_ID:
            return bits.S_OK, _ID[:room]
        return bits.S_UNSUPP, b""


def _scatter(
    memory: GuestMemory, chain: Chain, data: bytes, start: int
) -> list[tuple[memoryview, bytes]]:
    """Lay data into the chain's writable buffers from a position on."""
    found, begin = [], 0
    for address, length in chain.writable:
        low, high = max(start, begin), min(start + len(data), begin + length)
        if low < high:
            view = memory.at(address + low - begin, high - low)
            found.append((view, data[low - start : high - start]))
        begin += length
    return found
