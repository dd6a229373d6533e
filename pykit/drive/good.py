# SPDX-License-Identifier: GPL-2.0-only
"""A good request of each device type (section 5); ``number`` varies it."""

from __future__ import annotations

import struct

from pykit.drive.chain import Buffer, UsedEntry
from pykit.drive.memory import SharedMemory
from pykit.drive.requests import DriverRequest, Served, ask, blk_request, tell
from pykit.spec import bits

_FUSE_IN = struct.Struct("<IIQQIIII")
_FUSE_INIT = struct.Struct("<IIII")
_FUSE_OUT = struct.Struct("<IiQ")
_VSOCK = struct.Struct("<QQIIIHHIII")
#: Pages that a balloon may have: behind the driver's memory, and below 16 MiB.
_PAGES, _FIRST_PAGE = 3072, 512


def read(memory: SharedMemory, number: int) -> DriverRequest:
    """A block device's read of one sector."""
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


def fuse_init(memory: SharedMemory, number: int) -> DriverRequest:
    """FUSE_INIT of protocol 7.31, the first request of any session."""
    return _fuse(memory, number, 26, 0, _FUSE_INIT.pack(7, 31, 1 << 17, 0), 64)


def fuse_statfs(memory: SharedMemory, number: int) -> DriverRequest:
    """FUSE_STATFS of the root."""
    return _fuse(memory, number, 17, 1, b"", 80)


def frame(memory: SharedMemory, number: int) -> DriverRequest:
    """An Ethernet frame of the local experimental type behind a header of zeros (section 5.1.6)."""
    data = b"\xff" * 6 + b"\x52\x54\x00\x12\x34\x56" + b"\x88\xb5" + number.to_bytes(4, "big")
    return tell(memory, bytes(12) + data.ljust(60, b"\0"))


def random(memory: SharedMemory, number: int) -> DriverRequest:
    """A buffer for random bytes (section 5.4.6)."""
    return ask(memory, b"", [64], lambda answer: "served" if answer else "error")


def vsock_reset(memory: SharedMemory, number: int) -> DriverRequest:
    """A packet that resets a connection that does not exist (section 5.10.6)."""
    return tell(memory, _VSOCK.pack(3, 2, 1024, 1024 + number % 64, 0, 1, 3, 0, 0, 0))


def report_luns(memory: SharedMemory, number: int) -> DriverRequest:
    """REPORT LUNS of target 0 (section 5.6.6.1; SPC-4, 6.33): command, response, data.

    The sense data and the residual count are the first 108 bytes of what the device writes.
    """
    lun = bytes((1, 0, 0x40, 0, 0, 0, 0, 0))
    command = bytes((0xA0, 0, 0, 0, 0, 0)) + (64).to_bytes(4, "big") + bytes(22)
    request = lun + number.to_bytes(8, "little") + bytes(3) + command

    def judge(answer: bytes) -> Served:
        # Of the response: 4 bytes of sense length, 4 of residual, qualifier, status, response.
        return "served" if answer[10:12] == bytes(2) and answer[108:] else "error"

    return ask(memory, request, (108, 64), judge)


def line(memory: SharedMemory, number: int) -> DriverRequest:
    """A line of text for a console (section 5.3.6)."""
    return tell(memory, f"line {number}\n".encode())


def inflate(memory: SharedMemory, number: int) -> DriverRequest:
    """A page for the balloon (section 5.5.6) that the driver does not use."""
    return tell(memory, struct.pack("<I", _FIRST_PAGE + number % _PAGES))


def input_status(memory: SharedMemory, number: int) -> DriverRequest:
    """Turn a LED of a keyboard on or off (section 5.8.6): type EV_LED, code LED_CAPSL."""
    return tell(memory, struct.pack("<HHI", 0x11, 1, number & 1))


def unknown_session(memory: SharedMemory, number: int) -> DriverRequest:
    """Encrypt in a session that was never made: the status is INVSESS (section 5.9.7)."""
    encrypt, algorithm, cipher = 0x0000, 3, 1
    header = struct.pack("<IIQII", encrypt, algorithm, 1 << 20 | number, 0, 0)
    # Lengths of initialisation vector, source and destination; then the type of operation.
    parameters = struct.pack("<IIII", 16, 16, 16, 0) + bytes(24) + struct.pack("<II", cipher, 0)
    data = header + parameters + bytes(32)

    def judge(answer: bytes) -> Served:
        return "served" if answer[16:17] == b"\x04" else "error"

    return ask(memory, data, [17], judge)


def version(memory: SharedMemory, number: int) -> DriverRequest:
    """Tversion of 9P2000.L (9P, version): it begins a session anew."""
    name = b"9P2000.L"
    data = struct.pack("<IBHIH", 13 + len(name), 100, 0xFFFF, 8192, len(name)) + name
    return ask(memory, data, [64], lambda answer: "served" if answer[4:5] == b"\x65" else "error")


def display_info(memory: SharedMemory, number: int) -> DriverRequest:
    """GET_DISPLAY_INFO (section 5.7.6.8)."""
    data = struct.pack("<IIQII", 0x0100, 0, 0, 0, 0)
    good = (0x1101).to_bytes(4, "little")
    return ask(memory, data, [408], lambda answer: "served" if answer[:4] == good else "error")


def unknown_endpoint(memory: SharedMemory, number: int) -> DriverRequest:
    """Detach an endpoint that does not exist: the status is NOENT (section 5.13.6.5)."""
    data = struct.pack("<BxxxII8x", 2, 1, 0xFFFFFF)
    return ask(memory, data, [4], lambda answer: "served" if answer[:1] == b"\x06" else "error")


def unplug_all(memory: SharedMemory, number: int) -> DriverRequest:
    """UNPLUG ALL of a memory device that has nothing plugged (section 5.15.6.4): ACK."""
    return ask(
        memory, struct.pack("<H22x", 2), [10],
        lambda answer: "served" if answer[:2] == bytes(2) else "error",
    )  # fmt: skip


def flush(memory: SharedMemory, number: int) -> DriverRequest:
    """Flush a persistent memory device (section 5.19.6): 0."""
    return ask(memory, bytes(4), [4], lambda answer: "served" if answer == bytes(4) else "error")
