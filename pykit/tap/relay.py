# SPDX-License-Identifier: GPL-2.0-only
"""Carry the messages of one connection, and change those that name memory or descriptors.

Replies carry their request's number, so that the relay never waits for one. What would go around
the tap is not offered to the front-end: a log of written memory and post-copy (so a guest cannot
be migrated while it is tapped), an IOMMU, doorbells that are mapped, notification data, in-band
notifications. In-order use is not offered either, as its used entries stand for others.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pykit.device.memory import BadAddressError
from pykit.spec import bits
from pykit.tap.channel import RequestChannel
from pykit.tap.queues import Around, TappedQueue, drain, eventfd
from pykit.tap.regions import SharedRegions
from pykit.tap.shadow import QUEUES
from pykit.tap.stream import Stream
from pykit.vhost_user import (
    LOG_ALL,
    NEED_REPLY,
    PROTOCOL_FEATURES,
    REPLY,
    U64,
    VRING,
    FrontEndRequest,
    Message,
    PeerGoneError,
    Protocol,
)

#: Features that a tapped device does not offer.
_MASKED = (
    1 << LOG_ALL
    | 1 << bits.ACCESS_PLATFORM
    | 1 << bits.NOTIFICATION_DATA
    | 1 << bits.IN_ORDER
)  # fmt: skip
#: Protocol features that pass; RARP, CRYPTO_SESSION and BACKEND_SEND_FD have no names here.
_PASSED = (
    1 << Protocol.MQ | 1 << 2 | 1 << Protocol.REPLY_ACK | 1 << Protocol.MTU
    | 1 << Protocol.BACKEND_REQ | 1 << 7 | 1 << Protocol.CONFIG | 1 << 10
    | 1 << Protocol.INFLIGHT_SHMFD | 1 << Protocol.RESET_DEVICE
    | 1 << Protocol.CONFIGURE_MEM_SLOTS | 1 << Protocol.STATUS
)  # fmt: skip
_NO_FD = 1 << 8
#: How long a base is kept back for what the back-end has still to return, in seconds.
SETTLING = 0.2
#: Stage of a driver that its observer joined.
JOINED_STAGE = 7

R = FrontEndRequest


@dataclass
class Negotiated:
    """What the front-end negotiated, to be sent again to another back-end.

    Attributes:
        features, protocol: what was accepted; None before.
        offered: the back-end's features.
        owner: SET_OWNER came.
    """

    features: int | None = None
    protocol: int | None = None
    offered: int = 0
    owner: bool = False

    @property
    def accepted(self) -> int:
        """Accepted features, none before they are."""
        return self.features or 0


@dataclass
class _HeldBase:
    """A reply to GET_VRING_BASE that waits for used entries."""

    queue: TappedQueue
    message: Message
    deadline: float


class Relay:
    """One front-end, one back-end, and the queues between them.

    Attributes:
        unsettled: queues whose base came while chains were in flight, and stayed so.
    """

    def __init__(
        self,
        front: Stream,
        back: Stream,
        around: Around,
        say: Callable[[str], None],
    ) -> None:
        self.front, self.back, self.around = front, back, around
        self.negotiated = Negotiated()
        self.queues: dict[int, TappedQueue] = {}
        self.unsettled = 0
        self.waiting: list[Message] = []
        self.regions = SharedRegions(around.memory, around.shadow, around.heals)
        self.channel = RequestChannel(around.watch, around.recorder)
        self._say = say
        self._held: list[_HeldBase] = []

    # Messages of the front-end.

    def from_front(self, message: Message) -> None:
        """Carry a message to the back-end.

        Raises:
            PeerGoneError: the back-end is gone, or the front-end breaks the protocol.
        """
        try:
            payload, fds = self._changed(message)
            if message.flags & NEED_REPLY or message.request in _ANSWERED:
                self.waiting.append(Message(message.request, message.flags, message.payload))
            self.back.send(message.request, payload, message.flags & ~1, fds)
        except struct.error:
            raise PeerGoneError(
                f"front-end sent message {message.request} with {len(message.payload)} bytes"
            ) from None
        except BadAddressError as error:
            raise PeerGoneError(f"front-end, message {message.request}: {error}") from None
        finally:
            for fd in message.fds:
                os.close(fd)
        self._follow_up(message)

    def _changed(self, message: Message) -> tuple[bytes, Sequence[int]]:
        """Return what the back-end gets in place of a message."""
        payload, fds = message.payload, message.fds
        match message.request:
            case R.SET_FEATURES:
                (self.negotiated.features,) = U64.unpack(payload)
            case R.SET_PROTOCOL_FEATURES:
                (self.negotiated.protocol,) = U64.unpack(payload)
            case R.SET_OWNER:
                self.negotiated.owner = True
            case R.RESET_OWNER | R.RESET_DEVICE:
                self._stop_all()
            case R.SET_MEM_TABLE:
                return self.regions.table(message)
            case R.ADD_MEM_REG:
                self.regions.add(payload[8:], fds, self.back)
            case R.REM_MEM_REG:
                self.regions.remove(payload[8:])
            case R.SET_VRING_KICK | R.SET_VRING_CALL:
                return self._descriptor(message)
            case R.SET_BACKEND_REQ_FD:
                return payload, self.channel.take(fds)
            case _:
                return self._ring_message(message), fds
        return payload, fds

    def _ring_message(self, message: Message) -> bytes:
        payload = message.payload
        match message.request:
            case R.SET_VRING_NUM:
                index, size = VRING.unpack(payload)
                if not 0 < size <= 32768:
                    raise PeerGoneError(f"front-end: a queue of {size} descriptors")
                self._queue(index).size = size
            case R.SET_VRING_BASE:
                index, base = VRING.unpack(payload)
                queue = self._queue(index)
                queue.base = base
                queue.prepare(self.negotiated.accepted)
            case R.SET_VRING_ADDR:
                queue = self._queue(struct.unpack_from("=I", payload)[0])
                return queue.place(payload, self.negotiated.accepted)
            case R.SET_VRING_ENABLE:
                index, enabled = VRING.unpack(payload)
                queue = self._queue(index)
                queue.enabled = queue.carries = bool(enabled)
            case R.GET_VRING_BASE:
                queue = self._queue(VRING.unpack(payload)[0])
                queue.take_chains(0)
                queue.carries = False
        return payload

    def _queue(self, index: int) -> TappedQueue:
        if index >= QUEUES:
            raise PeerGoneError(f"front-end: queue {index}: a tap carries {QUEUES} queues")
        if index not in self.queues:
            self.queues[index] = TappedQueue(index, self.around)
        return self.queues[index]

    def _descriptor(self, message: Message) -> tuple[bytes, Sequence[int]]:
        (value,) = U64.unpack(message.payload)
        queue = self._queue(value & 0xFF)
        given = -1
        if not value & _NO_FD:
            if len(message.fds) != 1 or not _is_eventfd(message.fds[0]):
                raise PeerGoneError(f"front-end: message {message.request} without an eventfd")
            given = os.dup(message.fds[0])
        plain = U64.pack(value & 0xFF)
        if message.request == R.SET_VRING_CALL:
            self.around.watch.close(queue.call)
            queue.call = given
            return plain, (queue.back_call,)
        self.around.watch.close(queue.kick)
        self.around.watch.close(queue.back_kick)
        queue.kick, queue.has_kick, queue.polled = given, True, given < 0
        queue.back_kick = eventfd()
        return plain, (queue.back_kick,)

    def _follow_up(self, message: Message) -> None:
        self.channel.sent()
        if message.request in (
            R.SET_VRING_KICK, R.SET_VRING_ENABLE, R.SET_VRING_ADDR, R.SET_VRING_BASE
        ):  # fmt: skip
            self._start_ready()

    def _start_ready(self) -> None:
        for queue in self.queues.values():
            if not queue.ready(self.negotiated.accepted):
                continue
            if all(other.ring is None for other in self.queues.values()):
                self._begin_life()
            try:
                queue.start(self.negotiated.accepted)
            except (BadAddressError, ValueError) as error:
                raise PeerGoneError(f"front-end: queue {queue.index}: {error}") from None
            queue.take_chains(drain(queue.kick))
            queue.take_used(0)

    def _begin_life(self) -> None:
        recorder = self.around.recorder
        recorder.begin()
        accepted = self.negotiated.accepted & ~(1 << LOG_ALL | 1 << PROTOCOL_FEATURES)
        recorder.device("driver", self.around.device_id, 0, JOINED_STAGE)
        # What a front-end hides of the device's features, its driver cannot accept: of those that
        # were not accepted nobody knows whether they were offered.
        if accepted >> bits.VERSION_1 & 1:
            recorder.device("features", self.negotiated.offered & accepted, accepted, accepted, 2)

    def _stop_all(self) -> None:
        for queue in self.queues.values():
            queue.stop()

    # Messages of the back-end.

    def from_back(self, message: Message) -> None:
        """Carry a reply to the front-end.

        Raises:
            PeerGoneError: the front-end is gone.
        """
        self._answered(message.request)
        payload = message.payload
        try:
            match message.request:
                case R.GET_FEATURES:
                    self.negotiated.offered = message.u64
                    payload = U64.pack(message.u64 & ~_MASKED)
                case R.GET_PROTOCOL_FEATURES:
                    passed = _PASSED
                    if self.around.heals:
                        # What a back-end writes there is of no use to the next one.
                        passed &= ~(1 << Protocol.INFLIGHT_SHMFD)
                    payload = U64.pack(message.u64 & passed)
                case R.GET_MAX_MEM_SLOTS:
                    payload = U64.pack(max(message.u64 - 1, 0))
                case R.GET_VRING_BASE if len(payload) == VRING.size:
                    self._base(message)
                    return
            self.front.send(message.request, payload, message.flags & ~1, message.fds)
        finally:
            for fd in message.fds:
                os.close(fd)

    def _answered(self, request: int) -> None:
        for waiting in self.waiting:
            if waiting.request == request:
                self.waiting.remove(waiting)
                return

    def _base(self, message: Message) -> None:
        """Hold a base until all is returned: what comes after it would be lost."""
        index, base = VRING.unpack(message.payload)
        queue = self.queues.get(index)
        if queue is None or queue.ring is None:
            self.front.send(message.request, message.payload, REPLY)
            return
        held = _HeldBase(queue, message, time.monotonic() + SETTLING)
        queue.take_used(drain(queue.back_call))
        if queue.ring.unfinished(base):
            self._held.append(held)
        else:
            self._release(held)

    def _release(self, held: _HeldBase) -> None:
        index, base = VRING.unpack(held.message.payload)
        queue = held.queue
        if queue.ring is not None:
            base = queue.ring.base_of(base)
        queue.stop()
        self.front.send(R.GET_VRING_BASE, VRING.pack(index, base), REPLY)

    def tick(self) -> None:
        """Look at all rings for what no side announced, and at bases that are held."""
        for queue in self.queues.values():
            queue.take_chains(0)
            queue.take_used(0)
        for held in list(self._held):
            ring = held.queue.ring
            base = VRING.unpack(held.message.payload)[1]
            late = time.monotonic() > held.deadline
            if ring is None or late or not ring.unfinished(base):
                self._held.remove(held)
                if ring is not None and late:
                    self.unsettled += 1
                    self._say(
                        f"queue {held.queue.index}: the back-end stopped it with chains in flight"
                    )
                self._release(held)

    @property
    def chains(self) -> int:
        """How many chains the front-end made available."""
        return sum(queue.carried[0] for queue in self.queues.values())

    @property
    def returned(self) -> int:
        """How many used entries it got."""
        return sum(queue.carried[1] for queue in self.queues.values())

    @property
    def patience(self) -> float:
        """How long the loop may wait for an event, in seconds."""
        if self._held or any(queue.polled and queue.ring for queue in self.queues.values()):
            return 0.001
        return 0.05 if any(queue.ring for queue in self.queues.values()) else 1.0

    def close(self) -> None:
        """End all connections and close what was received."""
        for queue in self.queues.values():
            queue.close()
        for stream in (self.front, self.back):
            self.around.watch.drop(stream.fileno())
            stream.close()
        self.channel.close()
        self.regions.clear()


#: Requests with replies of their own.
_ANSWERED = frozenset(
    {
        R.GET_FEATURES, R.GET_PROTOCOL_FEATURES, R.GET_VRING_BASE, R.GET_QUEUE_NUM, R.GET_CONFIG,
        R.GET_INFLIGHT_FD, R.GET_MAX_MEM_SLOTS, R.GET_STATUS,
    }
)  # fmt: skip


def _is_eventfd(fd: int) -> bool:
    return str(Path(f"/proc/self/fd/{fd}").readlink()) == "anon_inode:[eventfd]"
