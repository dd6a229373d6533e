# SPDX-License-Identifier: GPL-2.0-only
"""The serial line to an agent: noise, lost beginnings, errors, and a copy of its memory."""

from __future__ import annotations

import mmap
import os
import pty
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from pykit.drive.carriers import PeerGoneError
from pykit.drive.carriers.agent import AgentLine, AgentMemory
from pykit.drive.carriers.registers import BusAccess

BASE, SIZE, USER = 0x3400000, 1 << 18, 0x7F0000200000
_PAIRS = 100


class FakeAgent:
    """Answers as guest/agent/drive.c does, over a memory of its own.

    Args:
        noise: what the kernel writes before each answer.
        deaf: how many lines are lost before it listens.
    """

    base = BASE

    def __init__(self, noise: str = "", deaf: int = 0, version: int = 3) -> None:
        self.memory: bytearray | mmap.mmap = bytearray(SIZE)
        self.seen = bytearray(SIZE)
        self.noise, self.deaf, self.version = noise, deaf, version
        self.longest = 0

    def answer(self, line: str) -> str:
        number, _, rest = line.partition(" ")
        self.longest = max(self.longest, len(line))
        results = [self.do(*command.split()) for command in rest.split(";") if command]
        if wrong := next((result for result in results if result.startswith("!")), ""):
            return f"{self.noise}:{number} {wrong}\n"
        return f"{self.noise}:{number} {''.join(result + ';' for result in results)}\n"

    def do(self, verb: str, *words: str) -> str:
        if verb == "H":
            return f"{self.version:x} {self.base:x} {SIZE:x} {USER:x}"
        if verb == "W":
            at, data = int(words[0], 16), bytes.fromhex(words[1])
            self.memory[at : at + len(data)] = self.seen[at : at + len(data)] = data
            return ""
        if verb == "F":
            self.memory[:] = self.seen[:] = bytes((int(words[0], 16),)) * SIZE
            return ""
        if verb == "S":
            return self.changes(int(words[0], 16) / 1000)
        if verb == "m":
            return f"{int(words[0], 16) * 2:x}"
        return "!unknown command"

    def changes(self, patience: float) -> str:
        """What has changed, at most a few pairs of bytes that are next to each other or not."""
        deadline, found = time.monotonic() + patience, ""
        while bytes(self.memory) == bytes(self.seen) and time.monotonic() < deadline:
            time.sleep(0.0005)
        now, before = (
            np.frombuffer(bytes(memory), np.uint16) for memory in (self.memory, self.seen)
        )
        places = [2 * int(place) for place in np.flatnonzero(now != before)]
        for at in places[:_PAIRS]:
            data = bytes(self.memory[at : at + 2])
            self.seen[at : at + 2] = data
            found += f"{at:x} {data.hex()},"
        return found + ("+" if len(places) > _PAIRS else "")

    def serve(self, sock: socket.socket) -> None:
        rest = b""
        while part := sock.recv(4096):
            rest += part
            while b"\n" in rest:
                line, _, rest = rest.partition(b"\n")
                if line and self.deaf:
                    self.deaf -= 1
                elif line:
                    sock.sendall(self.answer(line.decode()).encode())


@contextmanager
def listening(agent: FakeAgent, folder: Path) -> Iterator[Path]:
    """The socket of an agent, which serves one connection."""
    path = folder / "serial"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(1)

    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            agent.serve(sock)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield path
    finally:
        thread.join(10)
        listener.close()


@contextmanager
def connected(agent: FakeAgent, folder: Path) -> Iterator[AgentLine]:
    """A line to an agent."""
    with listening(agent, folder) as path:
        line = AgentLine(path)
        try:
            yield line
        finally:
            line.close()


def test_a_guest_that_boots_is_waited_for(tmp_path: Path) -> None:
    with connected(FakeAgent("[    1.5] a message: ", deaf=1), tmp_path) as line:
        assert line.greet() == (BASE, SIZE)
        assert line.read(0x21, 4) == 0x42


def test_accesses_by_one_line(tmp_path: Path) -> None:
    agent = FakeAgent()
    with connected(agent, tmp_path) as line:
        line.greet()
        before = line._number
        assert line.do([BusAccess(at, 4) for at in (1, 2, 3)]) == [2, 4, 6]
        assert line._number == before + 1
        # What does not fit into one goes by several.
        assert line.do([BusAccess(at, 4) for at in range(300)]) == list(range(0, 600, 2))
        assert line._number > before + 2
        assert agent.longest < 4096


def test_an_error_names_what_cannot_be_done(tmp_path: Path) -> None:
    with connected(FakeAgent(), tmp_path) as line:
        line.greet()
        with pytest.raises(PeerGoneError, match="agent: unknown command"):
            line.ask("X 1")


def test_an_agent_of_another_version_is_refused(tmp_path: Path) -> None:
    with (
        connected(FakeAgent(version=1), tmp_path) as line,
        pytest.raises(PeerGoneError, match="make the bundle anew"),
    ):
        line.greet()


def test_the_copy_follows_both_sides(tmp_path: Path) -> None:
    agent, memory = FakeAgent(), AgentMemory()
    with connected(agent, tmp_path) as line:
        memory.attach(line, *line.greet())
        memory.fill(0xEE)
        at = memory.allocate(5000)
        memory.store(at, bytes(range(250)) * 20)
        # Nothing is sent before it has to be.
        assert agent.memory[at - BASE] == 0
        assert not memory.fetch(0)
        assert bytes(agent.memory[at - BASE :][:5000]) == bytes(range(250)) * 20
        assert agent.memory[-1] == 0xEE
        assert agent.longest < 4096
        agent.memory[0x100:0x106] = b"device"
        assert memory.fetch(0)
        assert memory.load(BASE + 0x100, 6) == b"device"
        (span,) = memory.trespasses()
        assert (span.address, span.length) == (BASE + 0x100, 6)
    memory.close()


def test_a_line_that_ends_is_reported(tmp_path: Path) -> None:
    agent = FakeAgent()
    with connected(agent, tmp_path) as line:
        line.greet()
        assert line._sock is not None
        line._sock.shutdown(socket.SHUT_RDWR)
        with pytest.raises(PeerGoneError, match="guest is gone"):
            line.read(0, 4)


def test_a_terminal_is_a_line_too() -> None:
    main, other = pty.openpty()
    line = AgentLine(Path(os.ttyname(other)))

    def serve() -> None:
        data = b""
        while not data.endswith(b"H\n"):
            data += os.read(main, 100)
        # As late as on a busy machine: the line was sent again meanwhile.
        time.sleep(1)
        number = data.split()[0].decode()
        os.write(main, f"noise\r\n:{number} 3 {BASE:x} {SIZE:x} {USER:x};\n".encode())

    thread = threading.Thread(target=serve)
    thread.start()
    assert line.greet() == (BASE, SIZE)
    thread.join(10)
    line.close()
    os.close(main)
    os.close(other)


def test_what_is_no_line_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PeerGoneError, match="No such file"):
        AgentLine(tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(PeerGoneError, match="neither a socket nor a terminal"):
        AgentLine(tmp_path / "file")


def test_a_guest_that_reads_nothing_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pykit.drive.carriers.agent._ANSWER", 0.2)
    path = tmp_path / "serial"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen(1)
        line = AgentLine(path)
        with pytest.raises(PeerGoneError, match="does not read its serial line"):
            line._write("1 H\n" * 500_000)
        line.close()
