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
