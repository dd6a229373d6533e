# SPDX-License-Identifier: GPL-2.0-only
"""One connection of vhost-user, read without ever waiting for the rest of a message."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

from pykit.vhost_user import HEADER, LARGEST, Message, PeerGoneError, send


class Stream:
    """A socket with the beginning of a message that is not complete yet.

    Args:
        gone: the error that a connection raises that fails.
        ended: the error of one that ends between two messages.

    Attributes:
        name: of the peer, for messages.
    """

    def __init__(
        self,
        sock: socket.socket,
        name: str,
        gone: type[PeerGoneError] = PeerGoneError,
        ended: type[PeerGoneError] | None = None,
    ) -> None:
        self.sock, self.name, self._error = sock, name, gone
        self._ended = ended or gone
        self._data = b""
        self._fds: list[int] = []

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self.sock.fileno()

    def read(self) -> Message | None:
        """Return a message if all of it is there.

        Raises:
            PeerGoneError: the connection ended, or the message is longer than any is.
        """
        while (left := self._left()) > 0:
            try:
                part, fds, _, _ = socket.recv_fds(self.sock, left, 16, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return None
            except OSError as error:
                raise self._gone(error.strerror or "error") from None
            self._fds += fds
            if not part:
                if not self._data:
                    raise self._ended(f"{self.name} ended the connection")
                raise self._gone("in a message")
            self._data += part
        request, flags, _ = HEADER.unpack_from(self._data)
        found = Message(request, flags, self._data[HEADER.size :], tuple(self._fds))
        self._data, self._fds = b"", []
        return found

    def _left(self) -> int:
        """How many bytes the header, or the whole message, lacks."""
        if len(self._data) < HEADER.size:
            return HEADER.size - len(self._data)
        request, _, size = HEADER.unpack_from(self._data)
        if size > LARGEST:
            raise PeerGoneError(f"{self.name} sent message {request} with {size} bytes of payload")
        return HEADER.size + int(size) - len(self._data)

    def _gone(self, why: str) -> PeerGoneError:
        return self._error(f"{self.name} ended the connection{f': {why}' if why else ''}")

    def send(self, request: int, payload: bytes, flags: int = 0, fds: Sequence[int] = ()) -> None:
        """Send a message.

        Raises:
            PeerGoneError: the connection ended, or the peer does not read.
        """
        try:
            send(self.sock, request, payload, flags, fds)
        except PeerGoneError as error:
            raise self._error(f"{self.name}: {error}") from None

    def close(self) -> None:
        """End the connection."""
        self.sock.close()
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()
