# SPDX-License-Identifier: GPL-2.0-only
"""The qtest protocol: commands that are sent together, and answers between interrupts."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pykit.drive.carriers import PeerGoneError
from pykit.drive.carriers.qtest import Qtest
from pykit.drive.carriers.registers import BusAccess, RegisterSpan
from pykit.drive.carriers.watched import WatchedMachine
from pykit.drive.record import Recorder, SeenAccess


@contextmanager
def server(folder: Path, *answers: bytes) -> Iterator[tuple[Qtest, list[bytes]]]:
    """A server that answers each message, of one command or several, by the next of these."""
    heard: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(folder / "socket"))
        listener.listen()

        def serve() -> None:
            with listener.accept()[0] as sock:
                for answer in answers:
                    heard.append(sock.recv(1 << 16))
                    sock.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        qtest = Qtest(folder / "socket")
        yield qtest, heard
        qtest.close()
        thread.join()


def test_together(tmp_path: Path) -> None:
    with server(tmp_path, b"OK\nIRQ raise 17\nOK\nOK 0x7\n", b"OK\n") as (qtest, heard):
        with qtest.together():
            qtest.write(0x10, 1, 4)
            qtest.ports.write(0x20, 2, 1)
            assert qtest.read(0x30, 2) == 7
            qtest.write(0x40, 3, 8)
        assert heard == [b"writel 0x10 0x1\noutb 0x20 0x2\nreadw 0x30\n", b"writeq 0x40 0x3\n"]
        assert qtest.raised == {17}


def test_a_refusal_names_its_command(tmp_path: Path) -> None:
    def both() -> None:
        with qtest.together():
            qtest.write(0x1, 1, 1)
            qtest.write(0x2, 2, 2)

    message = "answered 'writew 0x2 0x2' by 'FAIL unknown'"
    answers = b"OK\nFAIL unknown\n"
    with server(tmp_path, answers) as (qtest, _), pytest.raises(PeerGoneError, match=message):
        both()


ACCESSES = (
    BusAccess(0x10, 4, 1),
    BusAccess(0x30, 2),
    BusAccess(0x40, 3),
    BusAccess(0x10, 1, 2),
    BusAccess(0x30, 8),
)
COMMANDS = b"writel 0x10 0x1\nreadw 0x30\nread 0x40 0x3\nwriteb 0x10 0x2\nreadq 0x30\n"
ANSWERS = b"OK\nOK 0x7\nIRQ raise 18\nOK 0x010203\nOK\nOK 0x9\n"


def test_accesses_by_one_message(tmp_path: Path) -> None:
    with server(tmp_path, ANSWERS, b"OK\nOK 0x0005\n") as (qtest, heard):
        assert qtest.do(ACCESSES) == [7, 0x030201, 9]
        assert qtest.ports.do((BusAccess(0xCF8, 4, 6), BusAccess(0xCFC, 2))) == [5]
        assert heard == [COMMANDS, b"outl 0xcf8 0x6\ninw 0xcfc\n"]
        assert qtest.raised == {18}


def test_accesses_by_one_message_are_reported_in_their_order(tmp_path: Path) -> None:
    """Those up to the last write have a time before the device knew of it."""
    seen: list[tuple[SeenAccess, int]] = []
    with server(tmp_path, ANSWERS) as (qtest, _):
        machine = WatchedMachine(qtest, lambda access, at: seen.append((access, at)))
        machine.watch((RegisterSpan(False, 0x10, 0x40, "common"),))
        before = Recorder.now()
        machine.do(ACCESSES)
    values = [(access.offset, access.value, access.write) for access, _ in seen]
    assert values == [(0, 1, True), (32, 7, False), (48, 0x030201, False), (0, 2, True),
                      (32, 9, False)]  # fmt: skip
    *times, last = (at for _, at in seen)
    assert len(set(times)) == 1
    assert times[0] >= before
    assert not last


def test_writes_that_a_device_died_of_are_reported(tmp_path: Path) -> None:
    seen: list[SeenAccess] = []
    with server(tmp_path, b"OK\n") as (qtest, _):
        machine = WatchedMachine(qtest, lambda access, _: seen.append(access))
        machine.watch((RegisterSpan(False, 0x10, 0x40, "common"),))
        with pytest.raises(PeerGoneError, match="ended the connection"):
            machine.do(ACCESSES)
    assert [access.value for access in seen] == [1, 2]
