# SPDX-License-Identifier: GPL-2.0-only
"""Carry a driver to a device of QEMU's without a guest, by QEMU's qtest protocol.

One line a command (QEMU, docs/devel/testing/qtest.rst). Guest memory is a file that both map, so
that rings and buffers are plain stores and the socket carries register accesses alone.
"""

from __future__ import annotations

import select
import socket
import time
from pathlib import Path

from pykit.drive.activity import Activity
from pykit.drive.carriers import PeerGoneError
from pykit.drive.carriers.pci import PciDevice
from pykit.drive.memory import SharedMemory
from pykit.drive.ring import Ring
from pykit.spec import bits
from pykit.vhost_user import PATIENCE


class Qtest:
    """A connection to QEMU's qtest server, which QEMU opens."""

    def __init__(self, path: Path) -> None:
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.settimeout(PATIENCE)
        try:
            self._sock.connect(str(path))
        except OSError as error:
            self._sock.close()
            raise PeerGoneError(f"cannot connect to {path}: {error.strerror}") from None
        self._rest = b""

    def close(self) -> None:
        """End the connection."""
        self._sock.close()

    def check(self) -> None:
        """Raise PeerGoneError where QEMU has ended the connection."""
        if not select.select((self._sock,), (), (), 0)[0]:
            return
        try:
            ended = not self._sock.recv(1, socket.MSG_PEEK)
        except OSError as error:
            raise PeerGoneError(f"QEMU ended the connection: {error.strerror}") from None
        if ended:
            raise PeerGoneError("QEMU ended the connection")

    def ask(self, command: str) -> str:
        """Send a command and return what follows its OK.

        Raises:
            PeerGoneError: QEMU ended, is silent, or refuses the command.
        """
        try:
            self._sock.sendall(command.encode() + b"\n")
            while True:
                line = self._line()
                # Lines of interrupts come whenever they like.
                if not line.startswith("IRQ "):
                    break
        except TimeoutError:
            raise PeerGoneError(f"QEMU did not answer {command!r} in time") from None
        except OSError as error:
            raise PeerGoneError(f"QEMU ended the connection: {error.strerror}") from None
        if not line.startswith("OK"):
            raise PeerGoneError(f"QEMU answered {command!r} by {line!r}")
        return line[2:].strip()

    def _line(self) -> str:
        while b"\n" not in self._rest:
            part = self._sock.recv(1 << 16)
            if not part:
                raise PeerGoneError("QEMU ended the connection")
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace")

    def read(self, address: int, width: int) -> int:
        """Read a register in memory space: 1, 2, 4 or 8 bytes."""
        return int(self.ask(f"read{_LETTERS[width]} {address:#x}"), 16)

    def write(self, address: int, value: int, width: int) -> None:
        """Write a register in memory space."""
        self.ask(f"write{_LETTERS[width]} {address:#x} {value:#x}")

    def port_in(self, port: int, width: int) -> int:
        """Read an I/O port: 1, 2 or 4 bytes."""
        return int(self.ask(f"in{_LETTERS[width]} {port:#x}"), 16)

    def port_out(self, port: int, value: int, width: int) -> None:
        """Write an I/O port."""
        self.ask(f"out{_LETTERS[width]} {port:#x} {value:#x}")


_LETTERS = {1: "b", 2: "w", 4: "l", 8: "q"}


class QtestCarrier:
    """Drives a virtio PCI device by its registers.

    Args:
        path: socket of the qtest server.
        activity: QEMU's process.
    """

    name = "qtest"

    def __init__(self, path: Path, activity: Activity) -> None:
        self._path, self._activity = path, activity
        self._qtest: Qtest | None = None
        self._device: PciDevice | None = None
        self._messages: dict[int, int] = {}
        self._memory: SharedMemory | None = None
        self._queues = 1

    @property
    def queues(self) -> int:
        """How many queues the device has, after the first ``reset``."""
        return self._queues

    def attend(self, activity: Activity) -> None:
        """Look at another process for whether it sleeps."""
        self._activity = activity

    def reset(self, memory: SharedMemory) -> None:
        """Find the device if that was not done yet, and write 0 to its status (section 2.1)."""
        if self._device is None:
            self._qtest = Qtest(self._path)
            self._device = PciDevice.find(self._qtest)
        self._memory, self._messages = memory, {}
        device = self._device
        device.set_status(0)
        deadline = time.monotonic() + PATIENCE
        while device.status():
            if time.monotonic() > deadline:
                raise PeerGoneError("device did not end its reset")
        self._queues = device.queues()
        device.set_status(bits.ACKNOWLEDGE)
        device.set_status(bits.ACKNOWLEDGE | bits.DRIVER)

    def offered(self) -> int:
        """Read the device's features."""
        return self._bound().features()

    def accept(self, features: int) -> bool:
        """Write features, then FEATURES_OK; return whether it stays set."""
        device = self._bound()
        device.accept(features)
        status = bits.ACKNOWLEDGE | bits.DRIVER | bits.FEATURES_OK
        device.set_status(status)
        return bool(device.status() & bits.FEATURES_OK)

    def config(self, offset: int, length: int) -> bytes:
        """Read the device's own configuration, a byte at a time."""
        device = self._bound()
        return bytes(device.config(offset + i, 1) for i in range(length))

    def set_up(self, ring: Ring) -> None:
        """Write a queue's registers; its interrupt becomes a store into guest memory."""
        message = ring.memory.allocate(4, 4)
        ring.memory.store(message, bytes(4))
        ring.memory.allow(message, 4)
        self._messages[ring.index] = message
        self._bound().set_up(ring, message)

    def driver_ok(self) -> None:
        """Write DRIVER_OK."""
        device = self._bound()
        device.set_status(device.status() | bits.DRIVER_OK)

    def notify(self, queue: int) -> None:
        """Write the queue's number to its notification register."""
        self._bound().notify(queue)

    def interrupts(self, queue: int) -> int:
        """Return 1 if interrupts came since the last call: their messages overwrite each other."""
        memory, at = self._memory, self._messages.get(queue)
        if memory is None or at is None or not any(memory.load(at, 4)):
            return 0
        memory.store(at, bytes(4))
        return 1

    def listen(self, queue: int, seconds: float) -> None:
        """Wait for a queue's message, at most this long."""
        memory, at = self._memory, self._messages[queue]
        assert memory is not None
        deadline = time.monotonic() + seconds
        while not any(memory.load(at, 4)) and time.monotonic() < deadline:
            time.sleep(0.0001)

    def quiet(self) -> bool:
        """Whether all threads of QEMU sleep; raises PeerGoneError where it has ended."""
        self._bound()
        assert self._qtest is not None
        # A command would wake QEMU, so that it never slept.
        self._qtest.check()
        return self._activity.asleep()

    def stop(self) -> None:
        """End the connection; the device is found again in the next life."""
        if self._qtest is not None:
            self._qtest.close()
        self._qtest = self._device = None

    def _bound(self) -> PciDevice:
        if self._device is None:
            raise PeerGoneError("no connection to QEMU")
        return self._device
