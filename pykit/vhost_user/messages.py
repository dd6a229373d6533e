# SPDX-License-Identifier: GPL-2.0-only
"""Messages of the vhost-user protocol: their numbers, and how they travel.

Layout: QEMU's docs/interop/vhost-user.rst. Numbers are native-endian; descriptors travel beside a
message as SCM_RIGHTS.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from pykit.errors import PykitError

HEADER = struct.Struct("=III")
VERSION, REPLY, NEED_REPLY = 1, 4, 8
#: Payloads: a number; a queue and its size, base or state; a queue's addresses; a region of
#: memory; a piece of the configuration space.
U64 = struct.Struct("=Q")
VRING = struct.Struct("=II")
VRING_ADDR = struct.Struct("=IIQQQQ")
REGION = struct.Struct("=QQQQ")
CONFIG = struct.Struct("=III")
#: More than any message of the protocol has.
LARGEST = 1 << 16
#: How long a reply may take, in seconds.
PATIENCE = 5.0


class PeerGoneError(PykitError):
    """The other side ended the connection or its process, stays silent, or breaks the protocol."""


class SilentPeerError(PeerGoneError):
    """The other side has the connection, and does not answer in time."""


class FrontEndRequest(IntEnum):
    """Requests of the front-end."""

    GET_FEATURES = 1
    SET_FEATURES = 2
    SET_OWNER = 3
    RESET_OWNER = 4
    SET_MEM_TABLE = 5
    SET_LOG_BASE = 6
    SET_LOG_FD = 7
    SET_VRING_NUM = 8
    SET_VRING_ADDR = 9
    SET_VRING_BASE = 10
    GET_VRING_BASE = 11
    SET_VRING_KICK = 12
    SET_VRING_CALL = 13
    SET_VRING_ERR = 14
    GET_PROTOCOL_FEATURES = 15
    SET_PROTOCOL_FEATURES = 16
    GET_QUEUE_NUM = 17
    SET_VRING_ENABLE = 18
    SEND_RARP = 19
    NET_SET_MTU = 20
    SET_BACKEND_REQ_FD = 21
    IOTLB_MSG = 22
    GET_CONFIG = 24
    SET_CONFIG = 25
    GET_INFLIGHT_FD = 31
    SET_INFLIGHT_FD = 32
    RESET_DEVICE = 34
    GET_MAX_MEM_SLOTS = 36
    ADD_MEM_REG = 37
    REM_MEM_REG = 38
    SET_STATUS = 39
    GET_STATUS = 40


class BackEndRequest(IntEnum):
    """Requests of the back-end, on a socket of their own."""

    CONFIG_CHANGE_MSG = 2


class Protocol(IntEnum):
    """Protocol feature bits."""

    MQ = 0
    LOG_SHMFD = 1
    REPLY_ACK = 3
    MTU = 4
    BACKEND_REQ = 5
    CONFIG = 9
    INFLIGHT_SHMFD = 12
    RESET_DEVICE = 13
    CONFIGURE_MEM_SLOTS = 15
    STATUS = 16


#: Feature bits of vhost-user, not of the device: log all writes; protocol features exist.
LOG_ALL, PROTOCOL_FEATURES = 26, 30


@dataclass(frozen=True)
class Message:
    """A message as it came; ``fds`` are its descriptors, which the reader has to close."""

    request: int
    flags: int
    payload: bytes
    fds: tuple[int, ...] = ()

    @property
    def u64(self) -> int:
        """The payload as one number.

        Raises:
            PeerGoneError: it has another length.
        """
        if len(self.payload) != 8:
            raise PeerGoneError(
                f"reply to message {self.request} has {len(self.payload)} bytes, not 8"
            )
        return int.from_bytes(self.payload, "little")


def send(
    sock: socket.socket, request: int, payload: bytes, flags: int, fds: Sequence[int] = ()
) -> None:
    """Send one message with its descriptors.

    Raises:
        PeerGoneError: the peer has ended the connection, or does not read.
    """
    data = HEADER.pack(request, flags | VERSION, len(payload)) + payload
    try:
        sent = socket.send_fds(sock, [data], list(fds)) if fds else sock.send(data)
        while sent < len(data):
            sent += sock.send(data[sent:])
    except TimeoutError:
        raise PeerGoneError(f"peer does not read message {request}") from None
    except OSError as error:
        raise PeerGoneError(f"peer ended the connection: {error.strerror}") from None


def receive(sock: socket.socket) -> Message:
    """Read one message with its descriptors.

    Raises:
        PeerGoneError: the connection ended in or before it, the peer stays silent, or the
            message is longer than any message of the protocol.
    """
    header, fds = _exactly(sock, HEADER.size)
    request, flags, size = HEADER.unpack(header)
    if size > LARGEST:
        _close(fds)
        raise PeerGoneError(f"peer sent message {request} with {size} bytes of payload")
    try:
        payload, more = _exactly(sock, size)
    except PeerGoneError:
        _close(fds)
        raise
    return Message(request, flags, payload, (*fds, *more))


def _exactly(sock: socket.socket, count: int) -> tuple[bytes, list[int]]:
    """Read so many bytes; close the descriptors that came where they do not all come."""
    data, fds = b"", []
    try:
        while len(data) < count:
            part, came, _, _ = socket.recv_fds(sock, count - len(data), 16)
            fds += came
            if not part:
                raise PeerGoneError("peer ended the connection")
            data += part
    except TimeoutError:
        _close(fds)
        raise SilentPeerError("peer did not reply in time") from None
    except OSError as error:
        _close(fds)
        raise PeerGoneError(f"peer ended the connection: {error.strerror}") from None
    except PeerGoneError:
        _close(fds)
        raise
    return data, fds


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
