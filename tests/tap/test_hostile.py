# SPDX-License-Identifier: GPL-2.0-only
"""A tap outlives both of its sides: whatever they send, it ends their connection and no more."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pykit.device import ServedDisk
from pykit.device.server import Connection
from pykit.drive import kind_of
from pykit.tap import Tap
from pykit.vhost_user import HEADER, FrontEndRequest, PeerGoneError, receive

NUMBERS = st.sampled_from([int(request) for request in FrontEndRequest]) | st.integers(0, 60)
SMALL = st.integers(0, 3).map(lambda value: value.to_bytes(4, "little"))
PAYLOADS = st.binary(max_size=64) | st.lists(SMALL, max_size=12).map(b"".join)
FEW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Between:
    """A tap before a back-end that answers each connection with ``answer``."""

    def __init__(self, folder: Path) -> None:
        self.front = folder / "front"
        self.answer = b""
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(folder / "back"))
        self._listener.listen(8)
        threading.Thread(target=self._serve, daemon=True).start()
        self.tap = Tap(self.front, folder / "back", kind_of("blk"), folder / "run")
        self.thread = threading.Thread(target=self.tap.run)
        self.thread.start()

    def _serve(self) -> None:
        disk = ServedDisk(None, 1 << 20, 2)
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                with sock, contextlib.suppress(PeerGoneError, OSError):
                    if self.answer:
                        sock.sendall(self.answer)
                        sock.recv(1 << 16)
                    else:
                        Connection(sock, disk, 2, None, lambda _: None).run()

    def send(self, data: bytes, fds: tuple[int, ...] = ()) -> None:
        """Send bytes as a front-end, and read until the tap ends the connection."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(10)
            sock.connect(str(self.front))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                socket.send_fds(sock, [data], list(fds)) if fds else sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(1 << 16):
                    pass
        assert self.thread.is_alive()

    def close(self) -> None:
        self._listener.close()
        self.tap.stop()
        self.thread.join(10)


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[Between]:
    found = Between(tmp_path)
    yield found
    found.close()


def message(request: int, payload: bytes = b"", flags: int = 1) -> bytes:
    return HEADER.pack(request, flags, len(payload)) + payload


@FEW
@given(st.lists(st.tuples(NUMBERS, PAYLOADS), max_size=8))
def test_any_messages_of_a_front_end(hostile: Between, messages: list[tuple[int, bytes]]) -> None:
    hostile.send(b"".join(message(number, payload) for number, payload in messages))


@FEW
@given(st.lists(st.tuples(NUMBERS, PAYLOADS), min_size=1, max_size=4), st.booleans())
def test_any_replies_of_a_back_end(
    hostile: Between, messages: list[tuple[int, bytes]], reply: bool
) -> None:
    flags = 5 if reply else 1
    hostile.answer = b"".join(message(number, payload, flags) for number, payload in messages)
    hostile.send(message(FrontEndRequest.GET_FEATURES))


def test_descriptors_that_are_none_of_an_eventfd(hostile: Between) -> None:
    reader, writer = os.pipe()
    for request in (FrontEndRequest.SET_VRING_KICK, FrontEndRequest.SET_VRING_CALL):
        hostile.send(message(request, bytes(8)), (reader,))
    hostile.send(message(FrontEndRequest.ADD_MEM_REG, bytes(40)), (reader, writer))
    hostile.send(message(FrontEndRequest.SET_MEM_TABLE, bytes(8)), (reader,))
    os.close(reader)
    os.close(writer)


def test_a_good_front_end_afterwards(hostile: Between) -> None:
    hostile.send(b"\xff" * 40)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(10)
        sock.connect(str(hostile.front))
        sock.sendall(message(FrontEndRequest.GET_FEATURES))
        assert receive(sock).u64 >> 32 & 1
