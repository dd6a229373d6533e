# SPDX-License-Identifier: GPL-2.0-only
"""Carry a driver to a vhost-user back-end: the front-end's side of the protocol."""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from pykit.drive.activity import Activity
from pykit.drive.carriers import PeerGoneError, RefusedError
from pykit.drive.inflight import SharedRecord
from pykit.drive.memory import SharedMemory
from pykit.drive.ring import Ring
from pykit.vhost_user import (
    CONFIG,
    INFLIGHT,
    INFLIGHT_PADDING,
    LOG_ALL,
    NEED_REPLY,
    PATIENCE,
    PROTOCOL_FEATURES,
    REGION,
    REPLY,
    U64,
    VRING,
    VRING_ADDR,
    BackEndRequest,
    FrontEndRequest,
    Message,
    Protocol,
    SilentPeerError,
    receive,
    send,
)

#: Protocol features that this front-end drives; the others would change what it has to do.
_DRIVEN = (
    1 << Protocol.MQ
    | 1 << Protocol.REPLY_ACK
    | 1 << Protocol.CONFIG
    | 1 << Protocol.CONFIGURE_MEM_SLOTS
)
#: Those that it drives where a life is about them.
_ON_DEMAND = (Protocol.INFLIGHT_SHMFD, Protocol.BACKEND_REQ)
#: A daemon closes its listener and makes a new one; a connection may land in the old one.
_DIALS, _BETWEEN = 6, 0.04
#: A back-end whose process is not known, or polls, is through with all when it is silent for this
#: long, in seconds: it may still be at work on what it took.
_SILENCE = 0.5
#: And one that polls has run for so long meanwhile, in seconds.
_WORKED = 0.4


class VhostUserCarrier:
    """A connection to a back-end, made anew for each life.

    Args:
        path: its socket.
        activity: the process that serves it, where it is known.
    """

    name = "vhost-user"

    def __init__(self, path: Path, activity: Activity | None = None) -> None:
        self._path, self._activity = path, activity
        self._sock: socket.socket | None = None
        self._kicks: dict[int, int] = {}
        self._calls: dict[int, int] = {}
        self._rings: dict[int, Ring] = {}
        self._features = self._protocol = self._spoken = self._accepted = 0
        self._also = 0
        self._requests: socket.socket | None = None
        self._heard = self._ran = 0.0
        self._queues = 1
        self._memory: SharedMemory | None = None
        self._shared = False
        #: Of chains in flight, where INFLIGHT_SHMFD is driven.
        self.record: SharedRecord | None = None

    @property
    def queues(self) -> int:
        """How many queues the back-end has, after the first ``reset``."""
        return self._queues

    @property
    def legacy(self) -> bool:
        """Never: the protocol has no such back-ends."""
        return False

    @property
    def deaf(self) -> bool:
        """Never: interrupts are seen."""
        return False

    def drive_also(self, *features: Protocol) -> None:
        """Choose what new connections drive beside what all do: INFLIGHT_SHMFD, BACKEND_REQ.

        Others are left alone.
        """
        self._also = sum(1 << feature for feature in features if feature in _ON_DEMAND)

    def attend(self, activity: Activity) -> None:
        """Look at another process for whether it sleeps."""
        self._activity = activity

    def reset(self, memory: SharedMemory) -> None:
        """Stop all queues on the connection that is there, or make a new one.

        A connection that fails while its queues are stopped is replaced.
        """
        if self._sock is not None and self._memory is memory:
            try:
                for index in self._rings:
                    self.base(index)
            except PeerGoneError:
                self.stop()
            else:
                self._forget_queues()
                return
        self.stop()
        self._memory, self._shared = memory, False
        self._features = self._greet()
        self._protocol = 0
        if self._features >> PROTOCOL_FEATURES & 1:
            self._spoken = self.ask(FrontEndRequest.GET_PROTOCOL_FEATURES).u64
            self._protocol = self._spoken & (_DRIVEN | self._also)
            self.command(FrontEndRequest.SET_PROTOCOL_FEATURES, U64.pack(self._protocol))
        self.command(FrontEndRequest.SET_OWNER)
        if self._has(Protocol.MQ):
            self._queues = max(1, self.ask(FrontEndRequest.GET_QUEUE_NUM).u64)
        if self._has(Protocol.BACKEND_REQ):
            self._open_requests()

    def reconnect(self) -> None:
        """End the connection, and go on in the same life: queues, memory and record stay.

        Raises:
            PeerGoneError: there is no other connection.
            RefusedError: the back-end does not take all of it up.
        """
        rings, memory, record = list(self._rings.values()), self._memory, self.record
        assert memory is not None
        self.record = None
        self.stop()
        self.reset(memory)
        self.record = record
        if not self.accept(self._accepted):
            raise RefusedError("device refused the features of the connection before")
        for ring in rings:
            self.set_up(ring)
        self.driver_ok()

    def _open_requests(self) -> None:
        self._requests, theirs = socket.socketpair()
        self._requests.settimeout(PATIENCE)
        with theirs:
            self.command(
                FrontEndRequest.SET_BACKEND_REQ_FD, b"", (theirs.fileno(),), acknowledged=True
            )

    def config_changes(self) -> int:
        """Take the requests of the back-end; return how many announced a new configuration.

        Raises:
            PeerGoneError: what came is no message.
        """
        found = 0
        while self._requests and select.select((self._requests,), (), (), 0)[0]:
            try:
                message = _without_descriptors(receive(self._requests))
            except PeerGoneError:
                # It may close its side of this socket.
                self._requests.close()
                self._requests = None
                return found
            known = message.request == BackEndRequest.CONFIG_CHANGE_MSG
            found += known
            if message.flags & NEED_REPLY:
                send(self._requests, message.request, U64.pack(not known), REPLY)
        return found

    def offered(self) -> int:
        """Return the device's features, without the two bits that belong to the protocol."""
        return self._features & ~(1 << PROTOCOL_FEATURES | 1 << LOG_ALL)

    def accept(self, features: int) -> bool:
        """Set features; a refusal shows only with REPLY_ACK."""
        if self._features >> PROTOCOL_FEATURES & 1:
            features |= 1 << PROTOCOL_FEATURES
        try:
            self.command(FrontEndRequest.SET_FEATURES, U64.pack(features), acknowledged=True)
        except RefusedError:
            return False
        self._accepted = features
        if not self._shared:
            self._share()
            self._shared = True
        if self._has(Protocol.INFLIGHT_SHMFD) and self.record is not None:
            self._hand_over(self.record)
        return True

    def config(self, offset: int, length: int) -> bytes:
        """Read the configuration space; empty without the protocol feature CONFIG."""
        if not self._has(Protocol.CONFIG):
            return b""
        payload = CONFIG.pack(offset, length, 0) + bytes(length)
        return self.ask(FrontEndRequest.GET_CONFIG, payload).payload[CONFIG.size :]

    def size(self, queue: int, wanted: int) -> int:
        """What is wanted: the protocol has no greatest size."""
        return wanted

    def set_up(self, ring: Ring) -> None:
        """Hand a queue over: size, addresses, base, and descriptors for kick and call."""
        index, memory = ring.index, ring.memory
        if self._has(Protocol.INFLIGHT_SHMFD) and self.record is None:
            self.record = self._made_record(ring.size)
            self._hand_over(self.record)
        self._rings[index] = ring
        kick, call = (os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for _ in range(2))
        self._kicks[index], self._calls[index] = kick, call
        self.command(FrontEndRequest.SET_VRING_NUM, VRING.pack(index, ring.size))
        areas = (ring.desc, ring.device, ring.driver)
        self.command(FrontEndRequest.SET_VRING_BASE, VRING.pack(index, ring.vring_base))
        self.command(
            FrontEndRequest.SET_VRING_ADDR,
            VRING_ADDR.pack(index, 0, *(memory.user(a) for a in areas), 0),
        )
        self.command(FrontEndRequest.SET_VRING_CALL, U64.pack(index), (call,))
        self.command(FrontEndRequest.SET_VRING_KICK, U64.pack(index), (kick,))

    def _made_record(self, size: int) -> SharedRecord:
        wanted = INFLIGHT.pack(0, 0, self._queues, size) + INFLIGHT_PADDING
        send(self._connected(), FrontEndRequest.GET_INFLIGHT_FD, wanted, 0)
        reply = receive(self._connected())
        request, fds = FrontEndRequest.GET_INFLIGHT_FD, reply.fds
        if reply.request != request or len(fds) != 1 or len(reply.payload) < INFLIGHT.size:
            _without_descriptors(reply)
            raise PeerGoneError(f"reply to GET_INFLIGHT_FD has {len(fds)} descriptors")
        return SharedRecord(fds[0], reply.payload)

    def _hand_over(self, record: SharedRecord) -> None:
        self.command(
            FrontEndRequest.SET_INFLIGHT_FD, record.payload, (record.fd,), acknowledged=True
        )

    def reset_queue(self, queue: int) -> bool:
        """Never: the protocol has nothing of the kind."""
        return False

    def driver_ok(self) -> None:
        """Enable all queues."""
        if self._features >> PROTOCOL_FEATURES & 1:
            for index in self._rings:
                self.command(
                    FrontEndRequest.SET_VRING_ENABLE, VRING.pack(index, 1), acknowledged=True
                )

    def notify(self, queue: int, position: int | None = None) -> None:
        """Signal a queue's kick descriptor, which has no data."""
        self._hear()
        os.eventfd_write(self._kicks[queue], 1)

    def interrupts(self, queue: int) -> int:
        """Return how often a queue's call descriptor was signalled since the last time."""
        try:
            count = os.eventfd_read(self._calls[queue])
        except BlockingIOError:
            return 0
        self._hear()
        return count

    def listen(self, queue: int, seconds: float) -> None:
        """Wait for an interrupt of a queue, or for the end of the connection, at most this long."""
        ready: tuple[int, int] = (self._calls[queue], self._connected().fileno())
        select.select(ready, (), (), seconds)

    def quiet(self) -> bool:
        """Whether all kicks were taken and the back-end's threads sleep; raises PeerGoneError."""
        self.check()
        if self._activity is not None and not self._activity.polls:
            return self._activity.asleep()
        if time.monotonic() - self._heard <= _SILENCE:
            return False
        if self._activity is not None:
            # One that polls takes no kick, and on a busy machine it may not have run.
            return self._activity.ran() - self._ran > _WORKED
        return not any(map(_count, self._kicks.values()))

    def _hear(self) -> None:
        """Begin to wait anew: the device was notified, or has written."""
        self._heard = time.monotonic()
        if self._activity is not None and self._activity.polls:
            self._ran = self._activity.ran()

    def check(self) -> None:
        """Raise PeerGoneError where the back-end has ended the connection."""
        sock = self._connected()
        if not select.select((sock,), (), (), 0)[0]:
            return
        try:
            ended = not sock.recv(1, socket.MSG_PEEK)
        except OSError as error:
            raise PeerGoneError(f"device ended the connection: {error.strerror}") from None
        if ended:
            raise PeerGoneError("device ended the connection")

    def base(self, queue: int) -> int:
        """Stop a queue and return the base that the back-end reports for it."""
        reply = self.ask(FrontEndRequest.GET_VRING_BASE, VRING.pack(queue, 0))
        if len(reply.payload) != VRING.size:
            raise PeerGoneError(f"reply to GET_VRING_BASE has {len(reply.payload)} bytes")
        return int(VRING.unpack(reply.payload)[1])

    def stop(self) -> None:
        """Close the connection and the queues' descriptors."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None
        if self._requests is not None:
            self._requests.close()
            self._requests = None
        if self.record is not None:
            self.record.close()
            self.record = None
        self._forget_queues()

    def _forget_queues(self) -> None:
        for fd in (*self._kicks.values(), *self._calls.values()):
            os.close(fd)
        self._kicks, self._calls, self._rings = {}, {}, {}

    def ask(self, request: int, payload: bytes = b"") -> Message:
        """Send a message that has a reply of its own, and return that reply."""
        send(self._connected(), request, payload, 0)
        reply = _without_descriptors(receive(self._connected()))
        if reply.request != request:
            raise PeerGoneError(f"device answered message {request} by {reply.request}")
        return reply

    def command(
        self,
        request: int,
        payload: bytes = b"",
        fds: Sequence[int] = (),
        acknowledged: bool = False,
    ) -> None:
        """Send a message; ask for an acknowledgement where the back-end has REPLY_ACK.

        Raises:
            RefusedError: the acknowledgement says that it failed.
            PeerGoneError: the connection ended.
        """
        wanted = acknowledged and self._has(Protocol.REPLY_ACK)
        send(self._connected(), request, payload, NEED_REPLY if wanted else 0, fds)
        if wanted and (code := _without_descriptors(receive(self._connected())).u64):
            raise RefusedError(f"device refused message {FrontEndRequest(request).name}: {code}")

    def _share(self) -> None:
        memory = self._memory
        assert memory is not None
        region = REGION.pack(memory.base, memory.size, memory.user_address, 0)
        if self._has(Protocol.CONFIGURE_MEM_SLOTS):
            self.command(
                FrontEndRequest.ADD_MEM_REG, bytes(8) + region, (memory.fd,), acknowledged=True
            )
        else:
            table = VRING.pack(1, 0) + region
            self.command(FrontEndRequest.SET_MEM_TABLE, table, (memory.fd,), acknowledged=True)

    @property
    def connection(self) -> socket.socket:
        """The connection itself, for messages that no front-end should send.

        Raises:
            PeerGoneError: there is none.
        """
        return self._connected()

    def speaks(self, bit: Protocol) -> bool:
        """Whether the back-end offers a protocol feature, driven or not."""
        return bool(self._spoken >> bit & 1)

    def _has(self, bit: Protocol) -> bool:
        return bool(self._protocol >> bit & 1)

    def _connected(self) -> socket.socket:
        if self._sock is None:
            raise PeerGoneError("no connection to the device")
        return self._sock

    def _greet(self) -> int:
        """Connect and ask for the features; again where the connection is reset at once.

        Raises:
            PeerGoneError: there is no connection that lasts so long.
        """
        for _ in range(_DIALS - 1):
            self._dial()
            try:
                return self.ask(FrontEndRequest.GET_FEATURES).u64
            except SilentPeerError:
                # It has the connection, and had its time.
                raise
            except PeerGoneError:
                self.stop()
                time.sleep(_BETWEEN)
        self._dial()
        return self.ask(FrontEndRequest.GET_FEATURES).u64

    def _dial(self) -> None:
        failure: OSError | None = None
        for attempt in range(_DIALS):
            if attempt:
                time.sleep(_BETWEEN)
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.settimeout(PATIENCE)
            try:
                sock.connect(str(self._path))
            except OSError as error:
                sock.close()
                failure = error
                if error.errno not in (errno.ECONNREFUSED, errno.ENOENT, errno.ECONNRESET):
                    break
                continue
            self._sock = sock
            return
        reason = failure.strerror if failure else "no reason"
        raise PeerGoneError(f"cannot connect to {self._path}: {reason}")


def _count(eventfd: int) -> int:
    """The value of an eventfd's counter, which reading it would take."""
    for line in Path(f"/proc/self/fdinfo/{eventfd}").read_text(encoding="ascii").splitlines():
        if line.startswith("eventfd-count:"):
            return int(line.split()[1], 16)
    return 0


def _without_descriptors(message: Message) -> Message:
    """Close the descriptors that a reply has; none that this front-end asks for has any."""
    for fd in message.fds:
        os.close(fd)
    return message
