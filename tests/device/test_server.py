# SPDX-License-Identifier: GPL-2.0-only
"""A back-end outlives any front-end: it answers, refuses, or ends the connection."""

from __future__ import annotations

import os
import socket
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pykit.device import ServedDisk
from pykit.device.server import Connection
from pykit.vhost_user import HEADER, NEED_REPLY, FrontEndRequest, Message, receive

#: A connection has a thread of its own, which may have to wait on a busy machine.
PATIENT = settings(deadline=None)
NUMBERS = st.sampled_from([int(request) for request in FrontEndRequest]) | st.integers(0, 60)


def served(*messages: bytes) -> socket.socket:
    """A socket to a back-end that was sent these messages; it ends with them."""
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    disk = ServedDisk(None, 1 << 20, 2)

    def serve() -> None:
        with theirs:
            try:
                Connection(theirs, disk, 2, None, lambda _: None).run()
            except Exception as error:  # whatever it is, the test has to see it
                failures.append(error)

    failures: list[Exception] = []
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        for message in messages:
            ours.sendall(message)
    except OSError:
        pass
    ours.shutdown(socket.SHUT_WR)
    thread.join(10)
    assert not thread.is_alive()
    assert [type(error).__name__ for error in failures] == ["PeerGoneError"]
    return ours


def message(request: int, payload: bytes = b"", flags: int = 1) -> bytes:
    return HEADER.pack(request, flags, len(payload)) + payload


@PATIENT
@given(st.lists(st.tuples(NUMBERS, st.binary(max_size=64)), max_size=8))
def test_any_messages_end_the_connection_and_nothing_else(
    messages: list[tuple[int, bytes]],
) -> None:
    served(*(message(number, payload) for number, payload in messages)).close()


@PATIENT
@given(st.binary(max_size=200))
def test_any_bytes_end_the_connection_and_nothing_else(data: bytes) -> None:
    served(data).close()


def test_features_are_offered() -> None:
    with served(message(FrontEndRequest.GET_FEATURES)) as sock:
        reply = receive(sock)
    assert reply.request == FrontEndRequest.GET_FEATURES
    assert reply.u64 >> 32 & 1


@pytest.mark.parametrize(
    ("request_", "payload"),
    [
        (FrontEndRequest.SET_FEATURES, (1 << 63).to_bytes(8, "little")),
        (FrontEndRequest.SET_VRING_NUM, (7).to_bytes(4, "little") + (16).to_bytes(4, "little")),
        (FrontEndRequest.SET_VRING_NUM, bytes(4) + (1 << 20).to_bytes(4, "little")),
        (FrontEndRequest.ADD_MEM_REG, bytes(40)),
    ],
)
def test_what_cannot_be_done_is_refused(request_: FrontEndRequest, payload: bytes) -> None:
    protocol = message(FrontEndRequest.SET_PROTOCOL_FEATURES, (1 << 3).to_bytes(8, "little"))
    with served(protocol, message(request_, payload, 1 | NEED_REPLY)) as sock:
        reply: Message = receive(sock)
    assert reply.request == request_
    assert reply.u64 == 1


def test_a_record_is_described_with_padding() -> None:
    """QEMU refuses a reply of another length, and does not start the device."""
    wanted = bytes(16) + (2).to_bytes(2, "little") + (128).to_bytes(2, "little")
    protocol = message(FrontEndRequest.SET_PROTOCOL_FEATURES, (1 << 12).to_bytes(8, "little"))
    with served(protocol, message(FrontEndRequest.GET_INFLIGHT_FD, wanted + bytes(4))) as sock:
        reply = receive(sock)
    for fd in reply.fds:
        os.close(fd)
    assert (len(reply.fds), len(reply.payload)) == (1, 24)
