# SPDX-License-Identifier: GPL-2.0-only
"""The other channel: requests of the back-end, with a pair of sockets of ours in between."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence

from pykit.tap.record import TapRecorder
from pykit.tap.stream import Stream
from pykit.tap.watch import Watch
from pykit.vhost_user import PATIENCE, Message, PeerGoneError

#: A back-end's message that the configuration changed.
_CONFIG_CHANGE = 2


class RequestChannel:
    """Carries requests of the back-end, and the front-end's replies."""

    def __init__(self, watch: Watch, recorder: TapRecorder) -> None:
        self._watch, self._recorder = watch, recorder
        self._front: Stream | None = None
        self._back: Stream | None = None
        # The back-end's end of the pair, until it was sent.
        self._theirs: socket.socket | None = None

    def take(self, fds: Sequence[int]) -> tuple[int, ...]:
        """Take the front-end's socket; return what the back-end gets in its place.

        Raises:
            PeerGoneError: there is not one descriptor.
        """
        if len(fds) != 1:
            raise PeerGoneError("front-end: a request channel without a socket")
        self._leave(self._front)
        sock = socket.socket(fileno=os.dup(fds[0]))
        sock.settimeout(PATIENCE)
        self._front = Stream(sock, "front-end")
        self._listen(self._front, self._answer)
        return self.open()

    @property
    def taken(self) -> bool:
        """Whether the front-end has one."""
        return self._front is not None

    def open(self) -> tuple[int, ...]:
        """Make a new pair; return the descriptor of the back-end's end, to be sent."""
        self._leave(self._back)
        ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.settimeout(PATIENCE)
        self._back = Stream(ours, "back-end")
        self._listen(self._back, self._ask)
        return (self._theirs.fileno(),)

    def sent(self) -> None:
        """Close the back-end's end, which it has now."""
        if self._theirs is not None:
            self._theirs.close()
            self._theirs = None

    def _listen(self, stream: Stream, carry: Callable[[Message], None]) -> None:
        """Carry messages; that one side closes this channel ends nothing."""

        def read() -> None:
            try:
                message = stream.read()
                if message is not None:
                    carry(message)
            except PeerGoneError:
                self._watch.drop(stream.fileno())

        self._watch.add(stream.fileno(), read)

    def _ask(self, message: Message) -> None:
        if message.request == _CONFIG_CHANGE:
            self._recorder.device("dev_config_signal")
        _carry(message, self._front)

    def _answer(self, message: Message) -> None:
        _carry(message, self._back)

    def _leave(self, stream: Stream | None) -> None:
        if stream is not None:
            self._watch.drop(stream.fileno())
            stream.close()

    def close(self) -> None:
        """Close both ends."""
        self.sent()
        self._leave(self._front)
        self._leave(self._back)


def _carry(message: Message, stream: Stream | None) -> None:
    try:
        if stream is not None:
            stream.send(message.request, message.payload, message.flags & ~1, message.fds)
    finally:
        for fd in message.fds:
            os.close(fd)
