# SPDX-License-Identifier: GPL-2.0-only
"""Carry a driver to a vhost device of a guest's kernel: its ioctls, by the guest's agent.

Sources: include/uapi/linux/vhost.h, vhost_types.h, if_tun.h; drivers/vhost/net.c and vsock.c for
what each needs beside its queues; kernel/include/uapi/linux/pykit_vhost.h for our own.
"""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

from pykit.drive.carriers import PeerGoneError, RefusedError
from pykit.drive.carriers.agent import AgentCarrier, AgentLine
from pykit.drive.memory import SharedMemory
from pykit.drive.ring import Ring
from pykit.peers import KnownDeviation
from pykit.spec import bits
from pykit.vhost_user import LOG_ALL, U64, VRING, VRING_ADDR

_NONE, _WRITE, _READ = 0, 1, 2
_TYPE = 0xAF


def _number(direction: int, number: int, size: int, group: int = _TYPE) -> int:
    """An ioctl's request (asm-generic/ioctl.h)."""
    return direction << 30 | size << 16 | group << 8 | number


_GET_FEATURES = _number(_READ, 0x00, U64.size)
_SET_FEATURES = _number(_WRITE, 0x00, U64.size)
_SET_OWNER = _number(_NONE, 0x01, 0)
#: Of a table without its regions.
_SET_MEM_TABLE = _number(_WRITE, 0x03, 8)
_SET_VRING_NUM = _number(_WRITE, 0x10, VRING.size)
_SET_VRING_ADDR = _number(_WRITE, 0x11, VRING_ADDR.size)
_SET_VRING_BASE = _number(_WRITE, 0x12, VRING.size)
_SET_VRING_KICK = _number(_WRITE, 0x20, VRING.size)
_SET_VRING_CALL = _number(_WRITE, 0x21, VRING.size)
_SET_VRING_ERR = _number(_WRITE, 0x22, VRING.size)
_NET_SET_BACKEND = _number(_WRITE, 0x30, VRING.size)
_VSOCK_SET_CID = _number(_WRITE, 0x60, U64.size)
_VSOCK_SET_RUNNING = _number(_WRITE, 0x61, 4)
_PYKIT_START = _number(_WRITE, 0xE0, U64.size)
_PYKIT_SET_DISK = _number(_WRITE, 0xE2, 16)
#: One region: its count and padding; guest address, size, user address, padding.
_MEMORY = struct.Struct("=IIQQQQ")


class _BackEnd:
    """What one type of vhost device needs beside its queues.

    Attributes:
        path: of its file.
        kind: its device type.
        queues: how many it has; others of the type are the monitor's.
    """

    path: str
    kind: str
    queues: int = 2

    def prepare(self, line: VhostLine) -> None:
        """Make what it takes, before its features are read."""

    def start(self, line: VhostLine) -> None:
        """Let it serve."""
        raise NotImplementedError


class _Net(_BackEnd):
    path, kind = "/dev/vhost-net", "net"
    _TAP, _VNET_HEADER, _NO_PI = 0x0002, 0x4000, 0x1000
    _SET_INTERFACE = _number(_WRITE, 202, 4, ord("T"))
    _SET_HEADER = _number(_WRITE, 216, 4, ord("T"))
    _NAME, _UP = "pykit0", 0x1003

    def prepare(self, line: VhostLine) -> None:
        """Make a TAP device that is up, whose frames begin with the header of section 5.1.6."""
        self._tap = line.open("/dev/net/tun")
        flags = self._TAP | self._VNET_HEADER | self._NO_PI
        line.control(self._SET_INTERFACE, struct.pack("=16sH22x", self._NAME.encode(), flags),
                     self._tap)  # fmt: skip
        line.control(self._SET_HEADER, struct.pack("=i", 12), self._tap)
        line.ask(f"w /sys/class/net/{self._NAME}/flags {self._UP:#x}")

    def start(self, line: VhostLine) -> None:
        """Give each queue the TAP device."""
        for queue in range(self.queues):
            line.control(_NET_SET_BACKEND, VRING.pack(queue, self._tap))


class _Vsock(_BackEnd):
    path, kind = "/dev/vhost-vsock", "vsock"
    _CID = 3

    def start(self, line: VhostLine) -> None:
        """Give the guest its number."""
        line.control(_VSOCK_SET_CID, U64.pack(self._CID))
        line.control(_VSOCK_SET_RUNNING, struct.pack("=i", 1))


class _Pykit(_BackEnd):
    path, kind = "/dev/vhost-pykit", "blk"
    _BYTES = 16 << 20

    def prepare(self, line: VhostLine) -> None:
        """Take a file for the disk: memory of the device's own would go with it."""
        line.control(_PYKIT_SET_DISK, struct.pack("=QiI", 0, line.disk(self._BYTES), 0))

    def start(self, line: VhostLine) -> None:
        """Serve the disk."""
        line.control(_PYKIT_START, U64.pack(0))


_BACK_ENDS: dict[str, type[_BackEnd]] = {
    "vhost-net": _Net,
    "vhost-vsock": _Vsock,
    "vhost-pykit": _Pykit,
}
#: Device types of those that are known, by their names.
VHOST_DEVICES = {name: one.kind for name, one in _BACK_ENDS.items()}


#: What vhost itself does, whatever the device.
VHOST_KNOWN = (
    KnownDeviation(
        "table-backward",
        ("rejected", "wrong-data"),
        "Linux's vhost reads an indirect table from its begin on, wherever the links lead",
        "Linux 6.12.117 and 7.2.13: get_indirect() of drivers/vhost/vhost.c copies one descriptor "
        "after the other and uses `next` in messages alone; `pykit drive --guest --device "
        "vhost-pykit`: a read whose data are last in the table is returned with OK, and no data",
    ),
)


class VhostLine(AgentLine):
    """A line whose agent has a vhost device open.

    Attributes:
        device: its descriptor, -1 without one.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.device = -1
        self._files: list[int] = []
        self._disk = -1

    def open(self, path: str = "") -> int:
        """Open a file, or make an eventfd; return its descriptor."""
        found = int(self.ask(f"a {path}" if path else "e"), 16)
        self._files.append(found)
        return found

    def disk(self, size: int) -> int:
        """Return a file in the guest's memory that keeps its bytes from life to life."""
        if self._disk < 0:
            self._disk = int(self.ask(f"b {size:x}"), 16)
        return self._disk

    def open_device(self, path: str) -> None:
        """Open the device anew: a life of its own, without anything of the one before."""
        with self.together():
            for file in self._files:
                self.post(f"x {file:x}")
        self._files.clear()
        self.device = self.open(path)

    def control(self, request: int, data: bytes = b"", file: int | None = None) -> bytes:
        """Do an ioctl, of the device unless another file is named; return its argument.

        Raises:
            RefusedError: it failed.
        """
        file = self.device if file is None else file
        error, _, answer = self.ask(f"f {file:x} {request:x} {data.hex()}").partition(" ")
        if int(error, 16):
            raise RefusedError(f"ioctl {request & 0xFF:#x}: {os.strerror(int(error, 16))}")
        return bytes.fromhex(answer)

    def count(self, file: int) -> int:
        """Take how often an eventfd was signalled."""
        return int(self.ask(f"n {file:x}"), 16)


class VhostCarrier(AgentCarrier):
    """Drives a vhost device of a guest's kernel.

    Args:
        path: socket or terminal of the guest's serial line.
        device: one of VHOST_DEVICES.
    """

    name = "vhost"
    legacy = deaf = False

    def __init__(self, path: Path, device: str) -> None:
        super().__init__()
        self._path, self._back_end = path, _BACK_ENDS[device]()
        self._line: VhostLine | None = None
        self._kicks: dict[int, int] = {}
        self._calls: dict[int, int] = {}
        self._errors = -1

    @property
    def queues(self) -> int:
        """How many queues the kernel serves."""
        return self._back_end.queues

    @property
    def line(self) -> VhostLine:
        """The line to the agent.

        Raises:
            PeerGoneError: there is none.
        """
        if self._line is None:
            raise PeerGoneError("no connection to the guest")
        return self._line

    def reset(self, memory: SharedMemory) -> None:
        """Wait for the guest, if that was not done, and open the device anew."""
        agent_memory = self._use(memory)
        if self._line is None or self._line.gone:
            self.stop()
            self._line = VhostLine(self._path)
            agent_memory.attach(self._line, *self._line.greet())
        self._kicks, self._calls, self._broken = {}, {}, False
        line = self._line
        line.open_device(self._back_end.path)
        line.control(_SET_OWNER)
        self._errors = line.open()
        self._back_end.prepare(line)

    def offered(self) -> int:
        """Features of the device but for a log of written memory and an IOMMU: both need more."""
        (features,) = U64.unpack(self.line.control(_GET_FEATURES, bytes(U64.size)))
        return int(features) & ~(1 << LOG_ALL | 1 << bits.ACCESS_PLATFORM)

    def accept(self, features: int) -> bool:
        """Set features, then the memory."""
        assert self._memory is not None
        try:
            self.line.control(_SET_FEATURES, U64.pack(features))
        except RefusedError:
            return False
        region = _MEMORY.pack(1, 0, self._memory.base, self._memory.size, self.line.user, 0)
        self.line.control(_SET_MEM_TABLE, region)
        return True

    def config(self, offset: int, length: int) -> bytes:
        """Nothing: the configuration space is the monitor's."""
        return b""

    def size(self, queue: int, wanted: int) -> int:
        """What is wanted: any power of two."""
        return wanted

    def set_up(self, ring: Ring) -> None:
        """Hand over a queue that is the kernel's: size, addresses, eventfds."""
        index, line = ring.index, self.line
        if index >= self.queues:
            return
        line.control(_SET_VRING_NUM, VRING.pack(index, ring.size))
        line.control(_SET_VRING_BASE, VRING.pack(index, ring.vring_base))
        areas = (self._at(at) for at in (ring.desc, ring.device, ring.driver))
        line.control(_SET_VRING_ADDR, VRING_ADDR.pack(index, 0, *areas, 0))
        self._kicks[index], self._calls[index] = line.open(), line.open()
        line.control(_SET_VRING_KICK, VRING.pack(index, self._kicks[index]))
        line.control(_SET_VRING_CALL, VRING.pack(index, self._calls[index]))
        line.control(_SET_VRING_ERR, VRING.pack(index, self._errors))

    def _at(self, address: int) -> int:
        """Where the agent has a guest address."""
        assert self._memory is not None
        return address - self._memory.base + self.line.user

    def reset_queue(self, queue: int) -> bool:
        """Never: there is no ioctl for it."""
        return False

    def driver_ok(self) -> None:
        """Let the device serve."""
        self._back_end.start(self.line)

    def notify(self, queue: int, position: int | None = None) -> None:
        """Signal a queue's kick, which has no data; one that is not the kernel's goes nowhere."""
        self._heard = time.monotonic()
        if queue in self._kicks:
            self.line.post(f"k {self._kicks[queue]:x}")

    def interrupts(self, queue: int) -> int:
        """Return how often a queue's call was signalled since the last time."""
        if queue not in self._calls:
            return 0
        count = self.line.count(self._calls[queue])
        if count:
            # What it announces may have been written since memory was read.
            self._look(0)
        return count

    def listen(self, queue: int, seconds: float) -> None:
        """Wait for the device to write anything, at most this long, unless it reports an error."""
        self._broken = self._broken or bool(self.line.count(self._errors))
        self._look(0 if self._broken else seconds)

    def stop(self) -> None:
        """End the connection; what the agent has open is closed in the next life."""
        if self._line is not None:
            self._line.close()
        self._line = None
