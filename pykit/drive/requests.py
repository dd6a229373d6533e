# SPDX-License-Identifier: GPL-2.0-only
"""Requests as buffers in guest memory, each with what shows that it was served."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

from pykit.drive.chain import Buffer, UsedEntry
from pykit.drive.memory import SharedMemory
from pykit.spec import bits

#: What became of a request that came back.
Served = Literal["served", "error", "wrong-data"]
Joined = Literal["", "header", "status"]
_HEADER = struct.Struct("<IIQ")
#: What stands at the end of each sector that the device is to write, and of all of the data.
MARK = bytes.fromhex("9e3779b97f4a7c15")


@dataclass
class DriverRequest:
    """A request that is ready to be exposed.

    Attributes:
        buffers: in the order of the chain.
        outcome: judges what came back, given the memory and the used length.
        note: fields of the event ``blk_start``; empty for other devices.
        status_at: address of a status byte that the device has to write; 0 without one.
        data: returns the data that it wrote or read; None for other devices.
        answer: returns what the device wrote before the status byte.
        header: the bytes of a block request's header.
        sent: the data that the device reads.
        marked: the header was not to be written, and ``MARK`` stands in what was (docs/events.md).
    """

    buffers: list[Buffer]
    outcome: Callable[[UsedEntry], Served]
    note: dict[str, int] = field(default_factory=dict)
    status_at: int = 0
    data: Callable[[], bytes] | None = None
    answer: Callable[[], bytes] = bytes
    header: bytes = b""
    sent: bytes = b""
    marked: bool = False

    @property
    def writable(self) -> int:
        """Bytes that the device may write."""
        return sum(buffer.length for buffer in self.buffers if buffer.write)


def blk_request(
    memory: SharedMemory,
    kind: int,
    sector: int,
    data: bytes | int,
    cuts: tuple[int, ...] = (),
    expected: bytes | None = None,
    *,
    header: bytes = b"",
    room: int = 1,
    joined: Joined = "",
) -> DriverRequest:
    """Make a block request (section 5.2.6).

    Args:
        memory: where its buffers go.
        kind: a type such as ``bits.T_IN``.
        sector: of the request's header.
        data: bytes to be read by the device, or how many it is to write.
        cuts: lengths at which the data are cut into buffers; the rest makes one more.
        expected: what the device has to write.
        header: all of its bytes, where they are not those of kind and sector.
        room: bytes for the status.
        joined: with what the only piece of the data shares its buffer.
    """
    header = header or _HEADER.pack(kind, 0, sector)
    length = data if isinstance(data, int) else len(data)
    lengths = [cut for cut in (*cuts, length - sum(cuts)) if cut]
    front = memory.allocate(len(header) + (length if joined == "header" else 0))
    memory.store(front, header)
    if joined:
        back = memory.allocate(room + (length if joined == "status" else 0))
        places = [front + len(header) if joined == "header" else back]
        status = back + (length if joined == "status" else 0)
    else:
        places = [memory.allocate(cut) for cut in lengths]
        status = memory.allocate(room, 1)
    writable = isinstance(data, int)
    pieces = [Buffer(at, cut, writable) for at, cut in zip(places, lengths, strict=True)]
    if isinstance(data, bytes):
        done = 0
        for piece in pieces:
            memory.store(piece.address, data[done : done + piece.length])
            done += piece.length
    else:
        _mark(memory, pieces, length)
    buffers = [Buffer(front, len(header)), *pieces, Buffer(status, room, write=True)]
    if joined == "header":
        buffers[:2] = [Buffer(front, len(header) + length)]
    elif joined == "status":
        buffers[1:] = [Buffer(back, length + room, write=True)]

    # The status is the last byte of what the device may write.
    status += max(room - 1, 0)

    front_of_status = status - max(room - 1, 0)

    def found() -> bytes:
        return b"".join(memory.load(p.address, p.length) for p in pieces)

    def answer() -> bytes:
        return (found() if writable else b"") + memory.load(front_of_status, max(room - 1, 0))

    def outcome(entry: UsedEntry) -> Served:
        if memory.load(status, 1)[0] != bits.S_OK:
            return "error"
        # Of data that are not known, one thing is: they are not what stood there before.
        unread = kind == bits.T_IN and writable and found().endswith(MARK)
        right = not unread if expected is None else found() == expected
        return "served" if right else "wrong-data"

    note = {
        "sector": sector,
        "status_addr": status,
        "bytes": length,
        "type": kind,
        "segments": len(pieces),
    }
    return DriverRequest(
        buffers,
        outcome,
        note,
        status,
        found,
        answer,
        header,
        data if isinstance(data, bytes) else b"",
        # What shares a buffer with the header is not the header's.
        marked=joined != "header" and (writable or kind == bits.T_OUT),
    )


def mark_ends(length: int) -> tuple[int, ...]:
    """Where the marks end in data of so many bytes: none lies over another."""
    ends = [end for end in range(bits.SECTOR, length, bits.SECTOR) if length - end >= len(MARK)]
    return (*ends, length) if length >= len(MARK) else ()


def _mark(memory: SharedMemory, pieces: Sequence[Buffer], length: int) -> None:
    """Put a mark at the end of each sector, and of all, of data of so many bytes."""
    ends, done = mark_ends(length), 0
    for piece in pieces:
        for end in ends:
            begin = end - len(MARK)
            first, last = max(begin, done), min(end, done + piece.length)
            if first < last:
                memory.store(piece.address + first - done, MARK[first - begin : last - begin])
        done += piece.length


def tell(memory: SharedMemory, data: bytes) -> DriverRequest:
    """Make a request of bytes for the device alone: it is served when it comes back."""
    at = memory.allocate(len(data))
    memory.store(at, data)
    return DriverRequest([Buffer(at, len(data))], lambda _: "served")


def ask(
    memory: SharedMemory, data: bytes, room: Sequence[int], judge: Callable[[bytes], Served]
) -> DriverRequest:
    """Make a request of bytes, and room for the answer.

    Args:
        memory: where its buffers go.
        data: what the device reads; empty for a request of an answer alone.
        room: bytes that the answer may have, one buffer each.
        judge: judges the bytes that the used length claims.
    """
    buffers = []
    if data:
        at = memory.allocate(len(data))
        memory.store(at, data)
        buffers.append(Buffer(at, len(data)))
    answer = [Buffer(memory.allocate(length), length, write=True) for length in room]

    def outcome(entry: UsedEntry) -> Served:
        found = b"".join(memory.load(part.address, part.length) for part in answer)
        return judge(found[: entry.length])

    return DriverRequest([*buffers, *answer], outcome)


def cut(request: DriverRequest, count: int) -> DriverRequest:
    """Cut the first buffer that the device may write into so many; return the request."""
    at = next(i for i, buffer in enumerate(request.buffers) if buffer.write)
    whole, piece = request.buffers[at], request.buffers[at].length // count
    ends = [*range(piece, piece * count, piece), whole.length]
    request.buffers[at : at + 1] = [
        replace(whole, address=whole.address + begin, length=end - begin)
        for begin, end in pairwise((0, *ends))
    ]
    return request
