# SPDX-License-Identifier: GPL-2.0-only
"""Carry a driver to a device of QEMU's without a guest, by QEMU's qtest protocol.

One line a command (QEMU, docs/devel/testing/qtest.rst). Guest memory is a file that both map, so
that rings and buffers are plain stores and the socket carries register accesses alone.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from pykit.drive.activity import Activity
from pykit.drive.carriers import PeerGoneError, pci
from pykit.drive.carriers.by_registers import RegisterCarrier
from pykit.drive.carriers.gathering import Gathering
from pykit.drive.carriers.mmio import MmioDevice
from pykit.drive.carriers.registers import BusAccess, RegisterDevice, RegisterSpan
from pykit.drive.carriers.watched import Machine, Report, WatchedMachine
from pykit.drive.memory import SharedMemory
from pykit.drive.record import SeenAccess
from pykit.drive.ring import Ring
from pykit.spec import bits
from pykit.vhost_user import PATIENCE

#: The interrupt controller whose lines are watched, and the first line of virtio's.
_CONTROLLER, _FIRST_LINE = "ioapic", 16
#: A request that is served at once comes back within so many seconds.
_SOON = 0.0003


class Qtest(Gathering):
    """A connection to QEMU's qtest server, which QEMU opens.

    Attributes:
        raised: lines of the interrupt controller that were raised since they were taken.
    """

    def __init__(self, path: Path) -> None:
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.settimeout(PATIENCE)
        try:
            self._sock.connect(str(path))
        except OSError as error:
            self._sock.close()
            raise PeerGoneError(f"cannot connect to {path}: {error.strerror}") from None
        super().__init__()
        self._lines: deque[str] = deque()
        self._rest = b""
        self.raised: set[int] = set()
        self.ports = _Ports(self)

    def close(self) -> None:
        """End the connection."""
        self._sock.close()

    def watch_lines(self) -> None:
        """Have the lines of the interrupt controller reported."""
        self.ask(f"irq_intercept_in {_CONTROLLER}")

    def watch(self, spans: tuple[RegisterSpan, ...]) -> None:
        """Leave registers as they are."""

    def listen(self, seconds: float) -> None:
        """Wait for a line to be raised, at most this long.

        Raises:
            PeerGoneError: QEMU has ended the connection.
        """
        deadline = time.monotonic() + seconds
        while not self.raised:
            left = max(deadline - time.monotonic(), 0)
            if not self._lines and not select.select((self._sock,), (), (), left)[0]:
                return
            self._interrupt(self._line())

    def _exchange(self) -> list[str]:
        commands, self._waiting = self._waiting, []
        command = ""
        answers = []
        try:
            if commands:
                self._sock.sendall("\n".join((*commands, "")).encode())
            for command in commands:
                answers.append(self._answer(command))
        except TimeoutError:
            raise PeerGoneError(f"QEMU did not answer {command!r} in time") from None
        except OSError as error:
            raise PeerGoneError(f"QEMU ended the connection: {error.strerror}") from None
        return answers

    def _answer(self, command: str) -> str:
        # Lines of interrupts come whenever they like.
        while self._interrupt(line := self._line()):
            pass
        if not line.startswith("OK"):
            raise PeerGoneError(f"QEMU answered {command!r} by {line!r}")
        return line[3:]

    def _interrupt(self, line: str) -> bool:
        """Take a line of the protocol that reports an interrupt; return whether it was one."""
        if not line.startswith("IRQ "):
            return False
        _, what, number = line.split()
        if what == "raise" and int(number) >= _FIRST_LINE:
            self.raised.add(int(number))
        return True

    def _line(self) -> str:
        while not self._lines:
            try:
                part = self._sock.recv(1 << 16)
            except ConnectionError as error:
                raise PeerGoneError(f"QEMU ended the connection: {error.strerror}") from None
            if not part:
                raise PeerGoneError("QEMU ended the connection")
            *lines, self._rest = (self._rest + part).split(b"\n")
            self._lines.extend(line.decode(errors="replace") for line in lines)
        return self._lines.popleft()

    def read(self, address: int, width: int) -> int:
        """Read memory space: 1, 2, 4 or 8 bytes at once, or 3 as the bus divides them."""
        return _number(self.ask(_command(address, width, None)), width)

    def write(self, address: int, value: int, width: int) -> None:
        """Write memory space, as ``read`` reads it."""
        self.post(_command(address, width, value))

    def do(self, accesses: Sequence[BusAccess]) -> list[int]:
        """Access memory space by one message."""
        answers = self.ask_all([_command(*access) for access in accesses])
        found = zip(accesses, answers, strict=True)
        return [_number(answer, a.width) for a, answer in found if a.value is None]


def _command(address: int, width: int, value: int | None) -> str:
    """The command of an access to memory space: a read where there is no value."""
    letter = _LETTERS.get(width)
    if value is None:
        return f"read{letter} {address:#x}" if letter else f"read {address:#x} {width:#x}"
    if letter:
        return f"write{letter} {address:#x} {value:#x}"
    return f"write {address:#x} {width:#x} 0x{value.to_bytes(width, 'little').hex()}"


def _number(answer: str, width: int) -> int:
    """What was read, from its answer: a number, or the bytes of an odd width."""
    if width in _LETTERS:
        return int(answer, 16)
    return int.from_bytes(bytes.fromhex(answer.removeprefix("0x")), "little")


class _Ports:
    """The I/O ports."""

    def __init__(self, qtest: Qtest) -> None:
        self._qtest = qtest

    def read(self, port: int, width: int) -> int:
        """Read an I/O port: 1, 2 or 4 bytes."""
        return int(self._qtest.ask(f"in{_LETTERS[width]} {port:#x}"), 16)

    def write(self, port: int, value: int, width: int) -> None:
        """Write an I/O port."""
        self._qtest.post(f"out{_LETTERS[width]} {port:#x} {value:#x}")

    def do(self, accesses: Sequence[BusAccess]) -> list[int]:
        """Access I/O ports by one message."""

        def command(port: int, width: int, value: int | None) -> str:
            place = f"{_LETTERS[width]} {port:#x}"
            return f"in{place}" if value is None else f"out{place} {value:#x}"

        return [int(answer, 16) for answer in self._qtest.do_all(accesses, command)]


_LETTERS = {1: "b", 2: "w", 4: "l", 8: "q"}


class QtestCarrier(RegisterCarrier):
    """Drives a virtio device of QEMU's by its registers.

    Args:
        path: socket of the qtest server.
        activity: QEMU's process.
        mmio: the device is on MMIO, else on PCI.

    Attributes:
        report: is called for each access to a register.
        configured: is called for each access to the configuration space of a function that was
            surveyed: offset, value, and whether it is a write.
        surveyed: is called with what a PCI function shows, each time that the device is found.
        between: returns what stands between driver and machine, given the machine.
    """

    name = "qtest"

    def __init__(self, path: Path, activity: Activity, mmio: bool = False) -> None:
        super().__init__()
        self._path, self._activity, self._mmio = path, activity, mmio
        self._qtest: Qtest | None = None
        self._machine: WatchedMachine | None = None
        self._device: RegisterDevice | None = None
        self._messages: dict[int, int] = {}
        #: Where the message of configuration changes goes, and how many came by the line.
        self._changes, self._changed = 0, 0
        self._memory: SharedMemory | None = None
        self._broken, self._asked = False, True
        self.report: Report = lambda access, at: None
        self.configured: Callable[[int, int, bool], None] = lambda offset, value, write: None
        self.surveyed: Callable[[dict[str, Any]], None] = lambda reading: None
        self.between: Callable[[Machine], Machine] = lambda machine: machine

    @property
    def device(self) -> RegisterDevice:
        """The device's registers, after the first ``reset``.

        Raises:
            PeerGoneError: there is no connection.
        """
        self._connected()
        assert self._device is not None
        return self._device

    def _connected(self) -> Qtest:
        if self._qtest is None or self._device is None:
            raise PeerGoneError("no connection to QEMU")
        return self._qtest

    def together(self) -> AbstractContextManager[None]:
        """As the connection does it."""
        return self._connected().together()

    def attend(self, activity: Activity) -> None:
        """Look at another process for whether it sleeps."""
        self._activity = activity

    def reset(self, memory: SharedMemory) -> None:
        """Find the device if that was not done yet, and write 0 to its status (section 2.1)."""
        self.look()
        self._memory, self._messages, self._changes, self._changed = memory, {}, 0, 0
        self._broken, self._asked = False, True
        self._begin()

    def look(self) -> None:
        """Find the device if that was not done yet, and leave it as it is."""
        if self._qtest is None or self._device is None:
            self._qtest = Qtest(self._path)
            self._machine = WatchedMachine(self.between(self._qtest), self._report)
            self._device = self._found(self._machine)
            if not self._device.messages:
                self._qtest.watch_lines()

    @property
    def machine(self) -> WatchedMachine:
        """The machine, once the device was looked for."""
        assert self._machine is not None
        return self._machine

    def find(self) -> None:
        """Find the device anew, and give it addresses: it may have lost them."""
        self._connected()
        assert self._machine is not None
        self._device = self._found(self._machine)

    def _configured(self, offset: int, value: int, write: bool) -> None:
        self.configured(offset, value, write)

    def _report(self, access: SeenAccess, at: int) -> None:
        self.report(access, at)

    def _found(self, machine: WatchedMachine) -> RegisterDevice:
        with machine.together():
            machine.watch(())
            if self._mmio:
                device: RegisterDevice = MmioDevice.find(machine)
            else:
                function = pci.PciFunction.find(machine)
                reading = function.survey()
                function.report = self._configured
                # A driver may find nothing that it can use in what was surveyed.
                self.surveyed(reading)
                function.report_found()
                device = pci.interface(machine, function)
                if isinstance(device, pci.ModernPci):
                    self.surveyed(reading | {"at": "usable", "reads": device.survey()})
            machine.watch(device.spans)
            device.identify()
            return device

    def set_up(self, ring: Ring) -> None:
        """Write a queue's registers; its message becomes a store into guest memory."""
        message = 0
        if self.device.messages:
            message = self._messages[ring.index] = _place(ring.memory)
        changes = _place(ring.memory) if message and not self._changes else 0
        if self.device.set_up(ring, message, changes):
            self._changes = changes

    def use_line(self) -> bool:
        """Turn MSI-X off and watch the interrupt line; False where a PCI device is not modern."""
        device, qtest = self.device, self._qtest
        if not isinstance(device, pci.ModernPci) or qtest is None:
            return False
        device.use_messages(on=False)
        qtest.watch_lines()
        return True

    def use_messages(self) -> None:
        """Turn MSI-X on again, where the device has it."""
        if isinstance(self.device, pci.ModernPci):
            self.device.use_messages(on=True)

    def line_raised(self) -> bool:
        """Return whether the line was raised since this was asked, and forget it."""
        assert self._qtest is not None
        raised = bool(self._qtest.raised)
        self._qtest.raised.clear()
        return raised

    def line_state(self) -> tuple[int, int]:
        """Read the status register of PCI, then the ISR status, which clears itself."""
        assert isinstance(self.device, pci.ModernPci)
        return self.device.line_state()

    def notify(self, queue: int, position: int | None = None) -> None:
        """Write the queue's number to its notification register, and the position beside it."""
        self._asked = False
        self.device.notify(queue, position)

    def interrupts(self, queue: int) -> int:
        """Return 1 if interrupts came since the last call: what comes together is seen as one."""
        if self.device.messages:
            memory, at = self._memory, self._messages.get(queue)
            if memory is None or at is None or not any(memory.load(at, 4)):
                return 0
            memory.store(at, bytes(4))
            return 1
        assert self._qtest is not None
        if not self._qtest.raised:
            return 0
        # Acknowledging lowers the line, and what comes from here on raises it again.
        self._qtest.raised.clear()
        isr = self.device.acknowledge()
        self._changed += isr >> 1 & 1
        return isr & 1

    @property
    def announces(self) -> bool:
        """Whether changes of the configuration have a way to the driver."""
        return bool(self._changes) or not self.device.messages

    def config_changes(self) -> int:
        """Return 1 if configuration change notifications came since the last call.

        Those by the line are known once used buffer notifications were asked for.
        """
        memory, at = self._memory, self._changes
        found, self._changed = self._changed, 0
        if memory is not None and at and any(memory.load(at, 4)):
            memory.store(at, bytes(4))
            found += 1
        return int(found > 0)

    def listen(self, queue: int, seconds: float) -> None:
        """Wait for a queue's message or the device's line, at most this long.

        A device that reports NEEDS_RESET is not waited for.
        """
        assert self._qtest is not None
        assert self._memory is not None
        if not self._asked:
            # Most requests are served at once. A message that is there was for one before.
            if not self._comes(queue, 0) and self._comes(queue, min(seconds, _SOON)):
                return
            # Once a notification: what asks more often keeps QEMU awake.
            self._asked = True
            self._broken = bool(self.device.status() & bits.NEEDS_RESET)
        if not self._broken:
            self._comes(queue, seconds)

    def _comes(self, queue: int, seconds: float) -> bool:
        """Wait for a queue's message or the line at most this long; return whether it is there."""
        assert self._qtest is not None
        assert self._memory is not None
        if not self.device.messages:
            self._qtest.listen(seconds)
            return bool(self._qtest.raised)
        at = self._messages[queue]
        deadline = time.monotonic() + seconds
        while not any(self._memory.load(at, 4)):
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.0001)
        return True

    def quiet(self) -> bool:
        """Whether the device reports NEEDS_RESET or all of QEMU's threads sleep.

        Raises:
            PeerGoneError: QEMU has ended.
        """
        # A command would wake QEMU, so that it never slept.
        assert self._qtest is not None
        self._qtest.listen(0)
        return self._broken or self._activity.asleep()

    def stop(self) -> None:
        """End the connection; the device is found again in the next life."""
        if self._qtest is not None:
            self._qtest.close()
        self._qtest = self._machine = self._device = None


def _place(memory: SharedMemory) -> int:
    """Allocate what a message is written to."""
    at = memory.allocate(4, 4)
    memory.store(at, bytes(4))
    memory.allow(at, 4)
    return at
