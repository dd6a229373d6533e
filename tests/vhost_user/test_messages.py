# SPDX-License-Identifier: GPL-2.0-only
"""The codec takes whatever a peer sends, and leaks no descriptor."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pykit.vhost_user import HEADER, Message, PeerGoneError, receive, send

#: One entry a descriptor that this process has open.
OPEN = Path("/proc/self/fd")


def received(data: bytes, fds: tuple[int, ...] = ()) -> Message:
    """What a peer's bytes are read as, when it hangs up after them."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            if fds:
                socket.send_fds(theirs, [data], list(fds))
            else:
                theirs.sendall(data)
        return receive(ours)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.binary(max_size=300))
def test_message_comes_back_as_it_was_sent(request: int, flags: int, payload: bytes) -> None:
    message = received(HEADER.pack(request, flags, len(payload)) + payload)
    assert message == Message(request, flags, payload)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_message_or_one_error(data: bytes) -> None:
    try:
        message = received(data)
    except PeerGoneError:
        return
    assert len(message.payload) <= len(data) - HEADER.size


def test_descriptors_of_half_a_message_are_closed() -> None:
    before = len(list(OPEN.iterdir()))
    with Path(os.devnull).open() as file, pytest.raises(PeerGoneError):
        received(HEADER.pack(5, 1, 8) + b"half", (file.fileno(),))
    assert len(list(OPEN.iterdir())) == before


def test_payload_of_another_length_is_no_number() -> None:
    with pytest.raises(PeerGoneError, match="4 bytes, not 8"):
        _ = Message(1, 1, b"1234").u64


def test_sending_to_a_peer_that_has_gone() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours, pytest.raises(PeerGoneError, match="ended the connection"):
        send(ours, 1, b"", 0)
