# SPDX-License-Identifier: GPL-2.0-only
"""Device types, each with a good request of its own and what shows that it was served."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from pykit.drive.chain import Buffer, UsedEntry
from pykit.drive.memory import SharedMemory
from pykit.errors import UsageError
from pykit.spec import bits

#: What became of a request that came back.
Served = Literal["served", "error", "wrong-data"]
_HEADER = struct.Struct("<IIQ")
_FUSE_IN = struct.Struct("<IIQQIIII")
_FUSE_INIT = struct.Struct("<IIII")
_FUSE_OUT = struct.Struct("<IiQ")
_VSOCK = struct.Struct("<QQIIIHHIII")


@dataclass
class DriverRequest:
    """A request that is ready to be exposed.

    Attributes:
        buffers: in the order of the chain.
        outcome: judges what came back, given the memory and the used length.
        note: fields of the event ``blk_start``; empty for other devices.
        status_at: address of a status byte that the device has to write; 0 without one.
    """

    buffers: list[Buffer]
    outcome: Callable[[UsedEntry], Served]
    note: dict[str, int] = field(default_factory=dict)
    status_at: int = 0

    @property
    def writable(self) -> int:
        """Bytes that the device may write."""
        return sum(buffer.length for buffer in self.buffers if buffer.write)


@dataclass(frozen=True)
class Kind:
    """A device type.

    Attributes:
        name: as on the command line.
        id: device id (section 5).
        type: QEMU's name of such a device on PCI; rules ask for it.
        features: those of its own that the driver accepts if they are offered.
        queue: where its requests go.
        queues: how many queues a life sets up, at least.
        alike: the queues that take such requests.
        request: makes a good request; ``number`` varies it.
        prime: makes requests that have to be served before any other.
    """

    name: str
    id: int
    type: str
    features: int
    queue: int
    queues: int
    alike: tuple[int, ...]
    request: Callable[[SharedMemory, int], DriverRequest]
    prime: tuple[Callable[[SharedMemory, int], DriverRequest], ...] = ()


def kind_of(name: str) -> Kind:
    """Return the device type of this name.

    Raises:
        UsageError: there is none.
    """
    if name not in KINDS:
        raise UsageError(f"unknown device type {name!r} (choose from {', '.join(KINDS)})")
    return KINDS[name]


def blk_request(
    memory: SharedMemory,
    kind: int,
    sector: int,
    data: bytes | int,
    cuts: tuple[int, ...] = (),
    expected: bytes | None = None,
) -> DriverRequest:
    """Make a block request (section 5.2.6).

    Args:
        memory: where its buffers go.
        kind: a type such as ``bits.T_IN``.
        sector: of the request's header.
        data: bytes to be read by the device, or how many it is to write.
        cuts: lengths at which the data are cut into buffers; the rest makes one more.
        expected: what the device has to write.
    """
    header = memory.allocate(bits.HEADER_BYTES)
    memory.store(header, _HEADER.pack(kind, 0, sector))
    buffers = [Buffer(header, bits.HEADER_BYTES)]
    length = data if isinstance(data, int) else len(data)
    pieces = []
    for cut in (*cuts, length - sum(cuts)):
        if cut:
            pieces.append(Buffer(memory.allocate(cut), cut, isinstance(data, int)))
    if isinstance(data, bytes):
        done = 0
        for piece in pieces:
            memory.store(piece.address, data[done : done + piece.length])
            done += piece.length
    status = memory.allocate(1, 1)
    buffers += [*pieces, Buffer(status, 1, write=True)]

    def outcome(entry: UsedEntry) -> Served:
        if memory.load(status, 1)[0] != bits.S_OK:
            return "error"
        if expected is not None:
            found = b"".join(memory.load(p.address, p.length) for p in pieces)
            if found != expected:
                return "wrong-data"
        return "served"

    note = {
        "sector": sector,
        "status_addr": status,
        "bytes": length,
        "type": kind,
        "segments": len(pieces),
    }
    return DriverRequest(buffers, outcome, note, status)


def _read(memory: SharedMemory, number: int) -> DriverRequest:
    return blk_request(memory, bits.T_IN, number % 8, bits.SECTOR)


def _fuse(
    memory: SharedMemory, number: int, opcode: int, node: int, body: bytes, room: int
) -> DriverRequest:
    """Make a request of FUSE (include/uapi/linux/fuse.h) with room for its reply's body."""
    size = _FUSE_IN.size + len(body)
    request = memory.allocate(size)
    unique = number + 1
    memory.store(request, _FUSE_IN.pack(size, opcode, unique, node, 0, 0, 0, 0) + body)
    reply = memory.allocate(_FUSE_OUT.size)
    rest = memory.allocate(room)

    def outcome(entry: UsedEntry) -> Served:
        length, error, answered = _FUSE_OUT.unpack(memory.load(reply, _FUSE_OUT.size))
        if answered != unique or length > entry.length:
            return "wrong-data"
        return "error" if error else "served"

    buffers = [
        Buffer(request, size),
        Buffer(reply, _FUSE_OUT.size, write=True),
        Buffer(rest, room, write=True),
    ]
    return DriverRequest(buffers, outcome)


def _fuse_init(memory: SharedMemory, number: int) -> DriverRequest:
    """FUSE_INIT of protocol 7.31, the first request of any session."""
    return _fuse(memory, number, 26, 0, _FUSE_INIT.pack(7, 31, 1 << 17, 0), 64)


def _fuse_statfs(memory: SharedMemory, number: int) -> DriverRequest:
    """FUSE_STATFS of the root."""
    return _fuse(memory, number, 17, 1, b"", 80)


def _returned(entry: UsedEntry) -> Served:
    """A request without a reply is served when it comes back."""
    return "served"


def _transmit(memory: SharedMemory, number: int) -> DriverRequest:
    """An Ethernet frame of the local experimental type behind a header of zeros (section 5.1.6)."""
    frame = b"\xff" * 6 + b"\x52\x54\x00\x12\x34\x56" + b"\x88\xb5" + number.to_bytes(4, "big")
    data = bytes(12) + frame.ljust(60, b"\0")
    at = memory.allocate(len(data))
    memory.store(at, data)
    return DriverRequest([Buffer(at, len(data))], _returned)


def _random(memory: SharedMemory, number: int) -> DriverRequest:
    """A buffer for random bytes (section 5.4.6)."""
    at = memory.allocate(64)

    def outcome(entry: UsedEntry) -> Served:
        return "served" if 0 < entry.length <= 64 else "error"

    return DriverRequest([Buffer(at, 64, write=True)], outcome)


def _vsock_reset(memory: SharedMemory, number: int) -> DriverRequest:
    """A packet that resets a connection that does not exist (section 5.10.6)."""
    at = memory.allocate(_VSOCK.size)
    memory.store(at, _VSOCK.pack(3, 2, 1024, 1024 + number % 64, 0, 1, 3, 0, 0, 0))
    return DriverRequest([Buffer(at, _VSOCK.size)], _returned)


_BLK = bits.mask(frozenset({bits.BLK_SEG_MAX, bits.BLK_BLK_SIZE, bits.BLK_FLUSH, bits.BLK_MQ}))
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("blk", 2, "virtio-blk-pci", _BLK, 0, 1, (0, 1), _read),
        Kind("net", 1, "virtio-net-pci", 0, 1, 2, (1,), _transmit),
        Kind("rng", 4, "virtio-rng-pci", 0, 0, 1, (0,), _random),
        Kind("vsock", 19, "vhost-user-vsock-pci", 0, 1, 3, (1,), _vsock_reset),
        Kind("fs", 26, "vhost-user-fs-pci", 0, 1, 2, (1,), _fuse_statfs, (_fuse_init,)),
    )
}
