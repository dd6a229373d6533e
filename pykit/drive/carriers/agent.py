# SPDX-License-Identifier: GPL-2.0-only
"""The agent in a guest (guest/agent/drive.c), at the other end of a serial line."""

from __future__ import annotations

import os
import select
import socket
import stat
import termios
import time
import tty
from collections.abc import Sequence
from pathlib import Path

from pykit.drive.activity import Activity
from pykit.drive.carriers import PeerGoneError
from pykit.drive.carriers.gathering import Gathering
from pykit.drive.carriers.registers import BusAccess
from pykit.drive.memory import SharedMemory

#: Version of what the agent understands.
_VERSION = 3
#: How long a guest may take to boot, and behind the first try whether it has, in seconds.
_BOOT, _AGAIN = 180.0, 2.0
#: How long the agent may take for a line, in seconds: guests run without KVM and share CPUs.
_ANSWER = 30.0
#: Characters of a line, and bytes of one write: a tty keeps 4096.
_LINE, _PIECE = 2000, 800
#: Looks at a device that goes on writing.
_LOOKS = 64
#: A device is through with all when it has written nothing for so long, in seconds.
_SILENCE = 0.3


class AgentLine(Gathering):
    """A serial line to the agent, by a Unix socket or a terminal.

    Attributes:
        gone: the connection has ended, or the agent was silent.
        user: address of the guest's memory in the agent, when that has answered.

    Args:
        path: of either.

    Raises:
        PeerGoneError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._sock: socket.socket | None = None
        self._fd = -1
        try:
            if stat.S_ISSOCK(path.stat().st_mode):
                self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                self._sock.connect(str(path))
                self._fd = self._sock.fileno()
            else:
                self._fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
                tty.setraw(self._fd)
        except OSError as error:
            self.close()
            raise PeerGoneError(f"{path}: {error.strerror}") from None
        except termios.error as error:
            self.close()
            raise PeerGoneError(f"{path} is neither a socket nor a terminal: {error}") from None
        os.set_blocking(self._fd, False)
        self._number, self._rest = 0, b""
        self.gone, self.user = False, 0
        self.ports = _AgentPorts(self)

    def close(self) -> None:
        """End the connection; the guest stays as it is."""
        if self._sock is not None:
            self._sock.close()
        elif self._fd >= 0:
            os.close(self._fd)
        self._sock, self._fd, self.gone = None, -1, True

    def greet(self) -> tuple[int, int]:
        """Wait until the guest has booted; return address and size of its memory.

        Raises:
            PeerGoneError: it has not in time, or its agent is of another version.
        """
        deadline, number, pause = time.monotonic() + _BOOT, self._next(), _AGAIN
        while time.monotonic() < deadline:
            # What was typed before the agent was there may be in its way. It answers the first line
            # unasked when it begins, so that few tries do: a serial port of QEMU's whose buffer is
            # full when Linux opens it (PL011) interrupts no more.
            self._write(f"\n{number:x} H\n")
            answer, pause = self._read(pause), 2 * pause
            if answer is not None:
                version, *found = (int(word, 16) for word in answer.rstrip(";").split())
                if version != _VERSION:
                    raise PeerGoneError("agent of another version: make the bundle anew")
                base, size, self.user = found
                return base, size
        raise PeerGoneError(f"guest did not start its agent within {_BOOT:.0f} s")

    def defer(self, command: str) -> None:
        """Send a command that has no value with the next one that is sent."""
        self._waiting.append(command)

    def devices(self) -> list[tuple[str, str]]:
        """List devices that may be virtio's: ``p`` and their place on PCI, ``m`` and an address."""
        words = (entry.split() for entry in self.ask("L").split(",") if entry)
        return [(kind, place) for kind, place in words]

    def read(self, address: int, width: int) -> int:
        """Read the guest's physical memory."""
        return int(self.ask(f"m {address:x} {width:x}"), 16)

    def write(self, address: int, value: int, width: int) -> None:
        """Write the guest's physical memory."""
        self.post(f"M {address:x} {width:x} {value:x}")

    def do(self, accesses: Sequence[BusAccess]) -> list[int]:
        """Access the guest's physical memory, by one line if they fit there."""
        return self.do_each("m", "M", accesses)

    def do_each(self, read: str, write: str, accesses: Sequence[BusAccess]) -> list[int]:
        """Make accesses by these two commands; return what was read."""

        def command(at: int, width: int, value: int | None) -> str:
            place = f"{at:x} {width:x}"
            return f"{read} {place}" if value is None else f"{write} {place} {value:x}"

        return [int(answer, 16) for answer in self.do_all(accesses, command)]

    def _exchange(self) -> list[str]:
        commands, self._waiting = self._waiting, []
        answers: list[str] = []
        line = ""
        self.gone, gone = True, self.gone
        if gone:
            raise PeerGoneError("guest is gone")
        for command in commands:
            if line and len(line) + len(command) > _LINE:
                answers, line = answers + self._line(line), ""
            line += command + ";"
        answers += self._line(line) if line else []
        self.gone = False
        return answers

    def _line(self, line: str) -> list[str]:
        """Send a line; return the results of its commands.

        Raises:
            PeerGoneError: there is none in time, or a command could not be done.
        """
        self._write(f"{self._next():x} {line}\n")
        answer = self._read(_ANSWER)
        if answer is None:
            raise PeerGoneError("agent did not answer in time")
        if answer.startswith("!"):
            raise PeerGoneError(f"agent: {answer[1:]}")
        return answer.split(";")[:-1]

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _write(self, text: str) -> None:
        data, deadline = text.encode(), time.monotonic() + _ANSWER
        while data:
            left = max(deadline - time.monotonic(), 0)
            if not select.select((), (self._fd,), (), left)[1]:
                raise PeerGoneError("guest does not read its serial line")
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise PeerGoneError(f"guest is gone: {error.strerror}") from None

    def _read(self, seconds: float) -> str | None:
        """Return what the agent answered to the last line; None where nothing came so long."""
        deadline, begin = time.monotonic() + seconds, f":{self._number:x} ".encode()
        while True:
            while b"\n" in self._rest:
                line, _, self._rest = self._rest.partition(b"\n")
                # Before it may stand what the kernel has written.
                _, found, answer = line.rpartition(begin)
                if found:
                    return answer.strip(b"\r").decode(errors="replace")
            left = deadline - time.monotonic()
            if left <= 0 or not select.select((self._fd,), (), (), left)[0]:
                return None
            try:
                part = os.read(self._fd, 1 << 16)
            except OSError as error:
                raise PeerGoneError(f"guest is gone: {error.strerror}") from None
            if not part:
                raise PeerGoneError("guest is gone: its serial line was closed")
            self._rest += part


class _AgentPorts:
    """The I/O ports of the guest."""

    def __init__(self, line: AgentLine) -> None:
        self._line = line

    def read(self, address: int, width: int) -> int:
        """Read an I/O port: 1, 2 or 4 bytes."""
        return int(self._line.ask(f"i {address:x} {width:x}"), 16)

    def write(self, address: int, value: int, width: int) -> None:
        """Write an I/O port."""
        self._line.post(f"I {address:x} {width:x} {value:x}")

    def do(self, accesses: Sequence[BusAccess]) -> list[int]:
        """Access I/O ports, by one line if they fit there."""
        return self._line.do_each("i", "I", accesses)


class AgentMemory(SharedMemory):
    """A guest's memory, of which this is a copy: stores go there, and changes are fetched.

    What is read behind a store is what the device has made of it by then: a driver that writes an
    index and reads whether that has to be notified depends on this order.

    Attributes:
        touched: when the driver wrote last.
    """

    def __init__(self) -> None:
        super().__init__()
        self._line: AgentLine | None = None
        self._stored, self.touched = False, 0.0

    def attach(self, line: AgentLine, base: int, size: int) -> None:
        """Stand for the memory of a guest, which begins at an address of its.

        Raises:
            PeerGoneError: it is smaller than this.
        """
        if size < self.size:
            raise PeerGoneError(f"agent has {size} bytes of memory: make the bundle anew")
        self._line, self.base = line, base

    def store(self, address: int, data: bytes) -> None:
        """Write bytes as the driver, before what is sent next."""
        super().store(address, data)
        if self._line is not None:
            self._stored, self.touched = True, time.monotonic()
            for at in range(0, len(data), _PIECE):
                piece = data[at : at + _PIECE]
                self._line.defer(f"W {address + at - self.base:x} {piece.hex()}")

    def fill(self, canary: int) -> None:
        """Set every byte, as for any memory."""
        super().fill(canary)
        if self._line is not None:
            self._line.defer(f"F {canary:x}")

    def load(self, address: int, length: int) -> bytes:
        """Read bytes as the driver, with what has changed since a store."""
        self._look()
        return super().load(address, length)

    def load16(self, address: int) -> int:
        """Read two aligned bytes as the driver, with what has changed since a store."""
        self._look()
        return super().load16(address)

    def _look(self) -> None:
        if self._stored and self._line is not None and not self._line.gone:
            self.fetch(0)

    def fetch(self, seconds: float) -> bool:
        """Wait so long for the device to change the memory; return whether it did.

        What was written while one look went over the memory is seen by the next, so that the
        copy has all that came before an index.

        Raises:
            PeerGoneError: the guest is gone.
        """
        assert self._line is not None
        self._stored = False
        found = self._line.ask(f"S {int(seconds * 1000):x}")
        changed = bool(found)
        for _ in range(_LOOKS):
            if not found:
                break
            self._apply(found)
            found = self._line.ask("S 0")
        return changed

    def _apply(self, changes: str) -> None:
        for change in changes.rstrip("+").split(","):
            if change:
                at, data = change.split()
                value = bytes.fromhex(data)
                self.take_over(int(at, 16), value)


class AgentCarrier:
    """What carriers that reach a guest by its agent share: memory, and what shows a device at work.

    Attributes:
        _heard: when the device was notified or wrote last.
        _broken: it has reported that it serves no more.
    """

    def __init__(self) -> None:
        super().__init__()
        self._memory: AgentMemory | None = None
        self._heard, self._broken = 0.0, False

    def _use(self, memory: SharedMemory) -> AgentMemory:
        """Take the memory of the guest."""
        assert isinstance(memory, AgentMemory)
        self._memory = memory
        return memory

    def attend(self, activity: Activity) -> None:
        """Look at no process: a guest is never asleep."""

    def _look(self, seconds: float) -> None:
        """Read what the device has written, or writes within so long."""
        assert self._memory is not None
        if self._memory.fetch(seconds):
            self._heard = time.monotonic()

    def quiet(self) -> bool:
        """Whether the device is broken or has written nothing for a while.

        Raises:
            PeerGoneError: the guest is gone.
        """
        assert self._memory is not None
        self._look(0)
        last = max(self._heard, self._memory.touched)
        return self._broken or time.monotonic() - last > _SILENCE
