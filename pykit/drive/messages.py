# SPDX-License-Identifier: GPL-2.0-only
"""Cases of vhost-user messages: steps of one message each (cases/messages.toml)."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, field_validator

from pykit.drive.carriers import PeerGoneError
from pykit.drive.carriers.vhost_user import VhostUserCarrier
from pykit.drive.rows import TableRow
from pykit.vhost_user import HEADER, FrontEndRequest, Protocol, receive

#: Moments: just connected, after features, with queues set up but not enabled, serving.
At = Literal["connected", "features-ok", "ready", "live"]
_FIELDS = {"u32": "=I", "u64": "=Q"}
#: What a descriptor that travels with a message is of.
_DESCRIPTORS = ("memory", "event", "null")
_VERSION = 1
#: Symbols that stand for numbers: the memory's guest address, size and address of this process;
#: the areas of queue 0; the features; where queue 0 stands.
SYMBOLS = ("base", "size", "user", "desc", "used", "avail", "features", "position")


@dataclass(frozen=True)
class Sending:
    """One message, taken apart.

    Attributes:
        request: its number.
        fields: format and value of each number of the payload, values as words.
        zeros: bytes of zeros behind them.
        size: what the header says; None for the payload's own length.
        flags: of the header.
        fds: what the descriptors are of.
        cut: how many bytes are sent; None for all.
        answer: numbers that the reply's payload has to have; None without a reply.
    """

    request: int
    fields: tuple[tuple[str, str], ...] = ()
    zeros: int = 0
    size: int | None = None
    flags: int = _VERSION
    fds: tuple[str, ...] = ()
    cut: int | None = None
    answer: tuple[tuple[str, str], ...] | None = None


def parse(step: str) -> Sending:
    """Take a step apart: ``REQUEST [u32 N | u64 N | zeros N | size N | flags N | fd OF | cut N]…``.

    Behind ``->`` stands what the reply has to have, numbers or nothing.

    Raises:
        ValueError: it is no such step.
    """
    sent, arrow, answered = step.partition("->")
    name, *words = sent.split() or [""]
    known = FrontEndRequest.__members__
    if name not in known and not name.isdigit():
        raise ValueError(f"unknown message {name!r}")
    numbers: dict[str, int] = {}
    fields, fds = [], []
    for key, value in _pairs(words):
        if key in _FIELDS:
            fields.append((key, _checked(value)))
        elif key == "fd" and value in _DESCRIPTORS:
            fds.append(value)
        elif key in ("zeros", "size", "flags", "cut"):
            numbers[key] = int(value, 0)
        else:
            raise ValueError(f"unknown words {key} {value} in {step!r}")
    answer = tuple((key, _checked(value)) for key, value in _pairs(answered.split()))
    request = int(known[name]) if name in known else int(name)
    return Sending(
        request, tuple(fields), fds=tuple(fds), answer=answer if arrow else None, **numbers
    )


def _pairs(words: list[str]) -> Iterator[tuple[str, str]]:
    if len(words) % 2:
        raise ValueError(f"a word without a value: {words[-1]!r}")
    yield from zip(words[::2], words[1::2], strict=True)


def _checked(value: str) -> str:
    if value not in (*SYMBOLS, "any"):
        int(value, 0)
    return value


class MessageRow(TableRow):
    """A row of the table of messages; ``clause`` names the message, as its document has no ids.

    Attributes:
        at: the moment.
        steps: the messages in order.
        needs: protocol features without which the row means something else.
    """

    at: At
    steps: list[str]
    needs: list[str] = Field([])

    @field_validator("steps")
    @classmethod
    def _steps(cls, steps: list[str]) -> list[str]:
        for step in steps:
            parse(step)
        return steps

    @field_validator("needs")
    @classmethod
    def _needs(cls, needs: list[str]) -> list[str]:
        if strange := set(needs) - set(Protocol.__members__):
            raise ValueError(f"unknown protocol feature {min(strange)!r}")
        return needs


@dataclass(frozen=True)
class MessageCase:
    """A row of messages; all is in it."""

    row: MessageRow

    @property
    def name(self) -> str:
        """Row and moment, such as ``num-zero/message/ready``."""
        return f"{self.row.name}/message/{self.row.at}"


class MessageSender:
    """Sends the messages of a row.

    Args:
        carrier: the connection.
        memory_fd: a descriptor of the guest's memory.
        number: returns what a symbol stands for.
    """

    def __init__(
        self, carrier: VhostUserCarrier, memory_fd: int, number: Callable[[str], int]
    ) -> None:
        self._carrier, self._memory_fd, self._number = carrier, memory_fd, number

    def run(self, row: MessageRow) -> str:
        """Send all; return what is wrong with the first reply that is not as it has to be.

        Raises:
            PeerGoneError: the back-end has ended the connection.
        """
        wrong = ""
        for step in row.steps:
            wrong = wrong or self._send(step, parse(step))
        return wrong

    def _send(self, step: str, message: Sending) -> str:
        payload = b"".join(self._packed(key, value) for key, value in message.fields)
        payload += bytes(message.zeros)
        size = len(payload) if message.size is None else message.size
        data = (HEADER.pack(message.request, message.flags, size) + payload)[: message.cut]
        sock = self._carrier.connection
        fds = [self._descriptor(of) for of in message.fds]
        try:
            socket.send_fds(sock, [data], fds) if fds else sock.sendall(data)
        except OSError as error:
            raise PeerGoneError(f"device ended the connection: {error.strerror}") from None
        finally:
            for fd in fds:
                os.close(fd)
        return "" if message.answer is None else self._answer(step, message)

    def _answer(self, step: str, message: Sending) -> str:
        assert message.answer is not None
        reply = receive(self._carrier.connection)
        for fd in reply.fds:
            os.close(fd)
        if reply.request != message.request:
            return f"{step}: a reply to message {reply.request}"
        at = 0
        for key, value in message.answer:
            layout = struct.Struct(_FIELDS[key])
            if at + layout.size > len(reply.payload):
                return f"{step}: a reply of {len(reply.payload)} bytes"
            (found,) = layout.unpack_from(reply.payload, at)
            at += layout.size
            if value != "any" and found != self._value(value):
                return f"{step}: {found:#x}"
        return ""

    def _packed(self, key: str, value: str) -> bytes:
        layout = struct.Struct(_FIELDS[key])
        return layout.pack(self._value(value) & (1 << 8 * layout.size) - 1)

    def _value(self, value: str) -> int:
        return self._number(value) if value in SYMBOLS else int(value, 0)

    def _descriptor(self, of: str) -> int:
        if of == "memory":
            return os.dup(self._memory_fd)
        if of == "event":
            return os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        return os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
