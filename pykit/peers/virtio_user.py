# SPDX-License-Identifier: GPL-2.0-only
"""DPDK's virtio-user as the driver of a network device whose link is a loop.

testpmd sends the frames of one file through the device and writes what it receives to another,
so that what DPDK got is compared with what it was given: neither it nor the device judges.
Formats: libpcap's savefile(5).
"""

from __future__ import annotations

import contextlib
import os
import resource
import struct
import subprocess
import time
from pathlib import Path

#: Frames of a use, and descriptors of a queue, so that the rings go round.
_FRAMES, _ENTRIES = 500, 64
_SHORTEST, _LENGTHS = 60, 1400
_HEADER, _RECORD = struct.Struct("<IHHiIII"), struct.Struct("<IIII")
_MAGIC, _ETHERNET, _LONGEST = 0xA1B2C3D4, 1, 0xFFFF
#: Broadcast, a local address, and the local experimental type.
_ADDRESSES = b"\xff" * 6 + b"\x52\x54\x00\x12\x34\x56" + b"\x88\xb5"
#: Wait for room in the transmit queue, for up to two seconds a burst.
_COMMANDS = "set fwd io retry\nset burst tx delay 100 retry 20000\nstart\n"
#: What testpmd prints when it begins to forward frames.
_BEGUN = b"Logical Core"
#: How long it may take to begin, and to the next frame, in seconds.
_BEGIN, _PATIENCE = 20.0, 3.0


class VirtioUser:
    """One use of a device.

    Args:
        program: testpmd.
        socket: of the device.
        packed: use packed rings.
        folder: for the frames; both files are there afterwards.

    Attributes:
        given, got: frames that went to the device, and that came from it, in order.
        status: how the process ended by itself, None if it did not.
        last_line: what it printed last, but for its prompt.
    """

    def __init__(self, program: Path, socket: Path, *, packed: bool, folder: Path) -> None:
        self.given = [_frame(number) for number in range(_FRAMES)]
        self.got: list[bytes] = []
        self.status: int | None = None
        self.last_line = ""
        self._sent, self._received = folder / "sent.pcap", folder / "received.pcap"
        self._log = folder / "log"
        _write(self._sent, self.given)
        device = (
            f"net_virtio_user0,path={socket},queue_size={_ENTRIES},packed_vq={int(packed)},"
            "mrg_rxbuf=0,in_order=0"
        )
        files = f"net_pcap0,rx_pcap={self._sent},tx_pcap={self._received}"
        libraries = ("net_virtio", "net_pcap", "mempool_ring")
        self._command = [
            "nice", "setpriv", "--pdeathsig", "KILL", str(program),
            "--in-memory", "--no-telemetry", "--no-huge", "--no-pci", "-m", "256", "-l", "0-1",
            *(word for name in libraries for word in ("-d", f"librte_{name}.so.26")),
            "--vdev", device, "--vdev", files, "--",
            # Frames that are there before the start are thrown away otherwise.
            "-i", "--no-flush-rx", "--total-num-mbufs=4096", "--nb-cores=1",
        ]  # fmt: skip

    def run(self) -> None:
        """Send all frames, until all came back, no more do, or the process ends."""
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                os.write(process.stdin.fileno(), _COMMANDS.encode())
            self._wait(process)
        finally:
            process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
        lines = self._log.read_text(errors="replace").replace("testpmd>", "").split("\n")
        self.last_line = next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        begun, deadline = False, time.monotonic() + _BEGIN
        while time.monotonic() < deadline and len(self.got) < len(self.given):
            self.status = process.poll()
            found = _read(self._received)
            if len(found) > len(self.got) or (not begun and _BEGUN in self._log.read_bytes()):
                self.got, begun, deadline = found, True, time.monotonic() + _PATIENCE
            if self.status is not None:
                return
            time.sleep(0.02)


def _frame(number: int) -> bytes:
    """A frame that no other is equal to."""
    size = _SHORTEST + number * 11 % _LENGTHS
    head = _ADDRESSES + number.to_bytes(4, "big")
    return head + bytes((number + at) & 0xFF for at in range(size - len(head)))


def _write(path: Path, frames: list[bytes]) -> None:
    records = (_RECORD.pack(0, 0, len(frame), len(frame)) + frame for frame in frames)
    header = _HEADER.pack(_MAGIC, 2, 4, 0, 0, _LONGEST, _ETHERNET)
    path.write_bytes(header + b"".join(records))


def _read(path: Path) -> list[bytes]:
    """The frames of a file that is still being written."""
    data = path.read_bytes() if path.exists() else b""
    found, at = [], _HEADER.size
    while at + _RECORD.size <= len(data):
        _, _, size, _ = _RECORD.unpack_from(data, at)
        at += _RECORD.size + size
        if at > len(data):
            break
        found.append(data[at - size : at])
    return found
