# SPDX-License-Identifier: GPL-2.0-only
"""Serve one vhost-user connection after the other."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pykit.device.dirty import DirtyLog
from pykit.device.faults import MOMENT, DeviceFault, Returning
from pykit.device.inflight import InflightArea, InflightPart
from pykit.device.memory import BadAddressError, GuestMemory
from pykit.device.overwrite import Overwriter
from pykit.device.queue import BadChainError, Chain, PackedQueue, Queue, SplitQueue
from pykit.device.served import Served, Writes
from pykit.errors import UsageError
from pykit.spec import bits
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
    PeerGoneError,
    Protocol,
    listen,
    receive,
    send,
)

_PROTOCOL = (
    1 << Protocol.MQ
    | 1 << Protocol.LOG_SHMFD
    | 1 << Protocol.REPLY_ACK
    | 1 << Protocol.BACKEND_REQ
    | 1 << Protocol.CONFIG
    | 1 << Protocol.INFLIGHT_SHMFD
    | 1 << Protocol.CONFIGURE_MEM_SLOTS
)
_OFFERED = (
    1 << bits.INDIRECT_DESC
    | 1 << bits.EVENT_IDX
    | 1 << bits.VERSION_1
    | 1 << bits.RING_PACKED
    | 1 << bits.IN_ORDER
    | 1 << PROTOCOL_FEATURES
    | 1 << LOG_ALL
)
#: Size of a log, and where it begins in its file; the flag of a queue whose own area is logged.
_LOG, _LOGGED = struct.Struct("=QQ"), 1
_SLOTS, _LARGEST_QUEUE, _NO_FD = 32, 32768, 1 << 8


@dataclass
class _Setup:
    """What messages say of a queue before it is used."""

    number: int
    size: int = 0
    areas: tuple[int, int, int] | None = None
    #: The guest's address of the area that the device writes, where that is logged.
    logged: int | None = None
    base: int = 0
    first_size: int = 0
    kick: int = -1
    call: int = -1
    enabled: bool = False
    queue: Queue | None = None
    overwriter: Overwriter | None = None
    broken: bool = False
    part: InflightPart | None = None
    #: What a fault writes when the next chain is there.
    late: Writes = field(default_factory=list)


class _RefusedError(Exception):
    """A message cannot be done; the acknowledgement, where it is asked for, reports that."""


def serve(
    path: Path, served: Served, queues: int, fault: DeviceFault | None, say: Callable[[str], None]
) -> None:
    """Listen at a socket and serve connections until the process is ended.

    At SIGHUP a disk takes over the size of its file, and the front-end is notified.

    Raises:
        UsageError: the socket cannot be made.
    """
    listener = listen(path, 1)
    bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    signal.signal(signal.SIGHUP, lambda *_: os.eventfd_write(bell, 1))
    try:
        while True:
            connection, _ = listener.accept()
            with connection:
                try:
                    Connection(connection, served, queues, fault, say, bell).run()
                except PeerGoneError as error:
                    say(str(error))
    finally:
        listener.close()
        os.close(bell)
        path.unlink(missing_ok=True)


class Connection:
    """One front-end, from its first message to its last."""

    def __init__(
        self,
        sock: socket.socket,
        served: Served,
        queues: int,
        fault: DeviceFault | None,
        say: Callable[[str], None],
        bell: int = -1,
    ) -> None:
        self._sock, self._served, self._fault, self._say = sock, served, fault, say
        self._bell = bell
        offered = _OFFERED | served.features
        self._offered = fault.features(offered) if fault else offered
        self._memory = GuestMemory()
        self._setups = [_Setup(number) for number in range(queues)]
        self._features = self._protocol = 0
        self._stopped = False
        self._log: DirtyLog | None = None
        self._inflight: InflightArea | None = None
        #: Where requests of the device go, and descriptors for the next reply.
        self._requests: socket.socket | None = None
        self._outgoing: list[int] = []
        self._selector = selectors.DefaultSelector()
        self._selector.register(sock, selectors.EVENT_READ, None)
        if bell >= 0:
            self._selector.register(bell, selectors.EVENT_READ, bell)

    def run(self) -> None:
        """Serve messages and queues.

        Raises:
            PeerGoneError: the connection ended, or the front-end breaks the protocol.
        """
        try:
            while True:
                for key, _ in self._selector.select():
                    if key.data is None:
                        self._message(receive(self._sock))
                    elif key.data == self._bell:
                        os.eventfd_read(self._bell)
                        self._resized()
                    else:
                        self._kicked(key.data)
        finally:
            self._selector.close()
            for setup in self._setups:
                _leave_ring(setup)
                _close(setup.kick, setup.call)
            if self._requests is not None:
                self._requests.close()

    def _message(self, message: Message) -> None:
        kept: set[int] = set()
        try:
            reply = self._answer(message, kept)
            code = 0
        except (_RefusedError, BadAddressError) as error:
            self._say(f"message {message.request}: {error}")
            reply, code = None, 1
        except struct.error:
            self._say(f"message {message.request} has {len(message.payload)} bytes")
            reply, code = None, 1
        finally:
            _close(*(fd for fd in message.fds if fd not in kept))
        if reply is not None:
            try:
                send(self._sock, message.request, reply, REPLY, self._outgoing)
            finally:
                _close(*self._outgoing)
                self._outgoing = []
        elif message.flags & NEED_REPLY and self._protocol >> Protocol.REPLY_ACK & 1:
            send(self._sock, message.request, U64.pack(code), REPLY)
        elif code:
            raise PeerGoneError(f"message {message.request} cannot be done: connection ended")

    def _answer(self, message: Message, kept: set[int]) -> bytes | None:
        """Do a message; return the payload of its own reply if it has one."""
        payload = message.payload
        match message.request:
            case FrontEndRequest.GET_FEATURES:
                return U64.pack(self._offered)
            case FrontEndRequest.SET_FEATURES:
                self._set_features(U64.unpack(payload)[0])
            case FrontEndRequest.GET_PROTOCOL_FEATURES:
                return U64.pack(_PROTOCOL)
            case FrontEndRequest.SET_PROTOCOL_FEATURES:
                (self._protocol,) = U64.unpack(payload)
            case FrontEndRequest.GET_QUEUE_NUM:
                return U64.pack(len(self._setups))
            case FrontEndRequest.GET_MAX_MEM_SLOTS:
                return U64.pack(_SLOTS)
            case FrontEndRequest.SET_OWNER | FrontEndRequest.SET_VRING_ERR:
                pass
            case FrontEndRequest.SET_LOG_BASE:
                return self._set_log(payload, message.fds, kept)
            case FrontEndRequest.GET_INFLIGHT_FD:
                return self._make_record(payload)
            case FrontEndRequest.SET_INFLIGHT_FD:
                self._set_record(payload, message.fds, kept)
            case FrontEndRequest.SET_BACKEND_REQ_FD:
                self._set_requests(message.fds, kept)
            case FrontEndRequest.SET_MEM_TABLE:
                self._set_memory(payload, message.fds, kept)
            case FrontEndRequest.ADD_MEM_REG:
                self._add_memory(payload[8:], message.fds, kept)
            case FrontEndRequest.GET_CONFIG:
                return self._config(payload)
            case FrontEndRequest.GET_VRING_BASE:
                return self._stop(VRING.unpack(payload)[0])
            case _:
                self._set_queue(message, kept)
        return None

    def _set_features(self, features: int) -> None:
        if features & ~self._offered:
            raise _RefusedError(f"features {features & ~self._offered:#x} are not offered")
        lax = self._fault is not None and self._fault.lax
        if not lax and not self._served.accepts(features):
            raise _RefusedError("the driver lacks features that the device needs")
        refuses = self._fault.refuses if self._fault is not None else ""
        if refuses == "always" or (refuses == "later" and self._stopped):
            raise _RefusedError(f"features {features:#x} are refused")
        self._features = features

    def _set_log(self, payload: bytes, fds: tuple[int, ...], kept: set[int]) -> bytes:
        if len(fds) != 1:
            raise _RefusedError(f"a log with {len(fds)} descriptors")
        size, offset = _LOG.unpack(payload)
        kept.add(fds[0])
        self._log = DirtyLog(size, offset, fds[0])
        return U64.pack(0)

    def _make_record(self, payload: bytes) -> bytes:
        _, _, queues, entries = INFLIGHT.unpack_from(payload)
        if queues > len(self._setups) or entries > _LARGEST_QUEUE:
            raise _RefusedError(f"a record for {queues} queues of {entries}")
        fd, size = InflightArea.make(queues, entries)
        self._outgoing = [fd]
        return INFLIGHT.pack(size, 0, queues, entries) + INFLIGHT_PADDING

    def _set_record(self, payload: bytes, fds: tuple[int, ...], kept: set[int]) -> None:
        if len(fds) != 1:
            raise _RefusedError(f"a record of chains in flight with {len(fds)} descriptors")
        size, offset, queues, entries = INFLIGHT.unpack_from(payload)
        kept.add(fds[0])
        self._inflight = InflightArea(size, offset, queues, entries, fds[0])

    def _set_requests(self, fds: tuple[int, ...], kept: set[int]) -> None:
        if len(fds) != 1:
            raise _RefusedError(f"a socket for requests with {len(fds)} descriptors")
        try:
            requests = socket.socket(fileno=fds[0])
        except OSError as error:
            raise _RefusedError(f"a socket for requests: {error.strerror}") from None
        kept.add(fds[0])
        requests.settimeout(PATIENCE)
        if self._requests is not None:
            self._requests.close()
        self._requests = requests

    def _resized(self) -> None:
        try:
            changed = self._served.resized()
        except UsageError as error:
            self._say(str(error))
            return
        if changed:
            self._announce()

    def _announce(self) -> None:
        """Notify the front-end that the configuration has changed, where it can be."""
        if self._requests is not None and self._protocol >> Protocol.BACKEND_REQ & 1:
            send(self._requests, BackEndRequest.CONFIG_CHANGE_MSG, b"", 0)

    def _set_memory(self, payload: bytes, fds: tuple[int, ...], kept: set[int]) -> None:
        count, _ = VRING.unpack_from(payload)
        if count != len(fds) or len(payload) < VRING.size + count * REGION.size:
            raise _RefusedError(f"{count} regions with {len(fds)} descriptors")
        self._memory.clear()
        for number in range(count):
            region = payload[VRING.size + number * REGION.size :][: REGION.size]
            self._add_memory(region, fds[number : number + 1], kept)

    def _add_memory(self, payload: bytes, fds: tuple[int, ...], kept: set[int]) -> None:
        if len(fds) != 1:
            raise _RefusedError(f"a region with {len(fds)} descriptors")
        guest, size, user, offset = REGION.unpack(payload)
        kept.add(fds[0])
        self._memory.add(guest, size, user, offset, fds[0])

    def _config(self, payload: bytes) -> bytes:
        offset, size, flags = CONFIG.unpack_from(payload)
        # Before anything of that size is made.
        if size > len(payload):
            raise _RefusedError(f"configuration of {size} bytes in a message of {len(payload)}")
        whole = self._served.config()
        if self._fault is not None:
            whole = self._fault.config(whole)
        data = whole[offset : offset + size].ljust(size, b"\0")
        return CONFIG.pack(offset, size, flags) + data

    def _set_queue(self, message: Message, kept: set[int]) -> None:
        payload, fds = message.payload, message.fds
        match message.request:
            case FrontEndRequest.SET_VRING_NUM:
                index, size = VRING.unpack(payload)
                if not 0 < size <= _LARGEST_QUEUE:
                    raise _RefusedError(f"a queue of {size}")
                self._setup(index).size = size
            case FrontEndRequest.SET_VRING_BASE:
                index, base = VRING.unpack(payload)
                self._setup(index).base = base
            case FrontEndRequest.SET_VRING_ADDR:
                index, flags, desc, used, avail, logged = VRING_ADDR.unpack(payload)
                self._setup(index).areas = (desc, used, avail)
                self._setup(index).logged = logged if flags & _LOGGED else None
            case FrontEndRequest.SET_VRING_ENABLE:
                index, enabled = VRING.unpack(payload)
                self._setup(index).enabled = bool(enabled)
                self._start(index)
            case FrontEndRequest.SET_VRING_KICK | FrontEndRequest.SET_VRING_CALL:
                (value,) = U64.unpack(payload)
                unmasked = self._fault is not None and self._fault.unmasked
                setup = self._setup(value if unmasked else value & 0xFF)
                if not value & _NO_FD and len(fds) != 1:
                    raise _RefusedError(f"{len(fds)} descriptors")
                fd = -1 if value & _NO_FD else fds[0]
                kept.update(fds if fd >= 0 else ())
                self._set_descriptor(message.request, value & 0xFF, setup, fd)
            case _:
                raise _RefusedError("unknown message")

    def _setup(self, index: int) -> _Setup:
        if index >= len(self._setups):
            raise _RefusedError(f"there is no queue {index}")
        return self._setups[index]

    def _set_descriptor(self, request: int, index: int, setup: _Setup, fd: int) -> None:
        if request == FrontEndRequest.SET_VRING_CALL:
            if setup.call >= 0 and self._fault is not None and self._fault.keeps_call:
                _close(fd)
                return
            _close(setup.call)
            setup.call = fd
            return
        self._drop_kick(setup)
        if fd >= 0:
            try:
                self._selector.register(fd, selectors.EVENT_READ, setup)
            except OSError as error:
                _close(fd)
                raise _RefusedError(f"a descriptor for kicks: {error.strerror}") from None
        setup.kick = fd
        if not self._features >> PROTOCOL_FEATURES & 1:
            setup.enabled = True
        self._start(index)

    def _drop_kick(self, setup: _Setup) -> None:
        if setup.kick >= 0:
            self._selector.unregister(setup.kick)
            _close(setup.kick)
            setup.kick = -1

    def _start(self, index: int) -> None:
        """Begin to use a queue that has all it needs, and look at what is there already."""
        setup = self._setups[index]
        if not (setup.enabled and setup.size and setup.areas and setup.kick >= 0):
            return
        if setup.queue is None:
            make = PackedQueue if self._has(bits.RING_PACKED) else SplitQueue
            event_idx = self._has(bits.EVENT_IDX)
            setup.first_size = setup.first_size or setup.size
            size = setup.size
            if self._fault is not None:
                size = self._fault.size or size
                size = setup.first_size if self._fault.keeps_size else size
            setup.queue = make(self._memory, size, setup.areas, event_idx, setup.base)
            if self._fault is not None:
                self._fault.begins(setup.queue)
            setup.broken = False
            if self._fault is not None and self._fault.beside is not None:
                setup.overwriter = Overwriter(setup.queue, self._fault.beside)
            if self._protocol >> Protocol.INFLIGHT_SHMFD & 1 and self._inflight is not None:
                self._resume(index, setup, setup.queue, self._inflight)
        self._serve(setup)

    def _resume(self, index: int, setup: _Setup, queue: Queue, record: InflightArea) -> None:
        """Serve what was in flight when the connection before ended."""
        try:
            part = record.part(index, queue)
            if self._records == "ignored":
                return
            setup.part = part
            for chain in part.resume(queue):
                self._return(setup, queue, chain)
        except BadChainError as error:
            self._say(f"queue stopped: {error}")
            setup.broken = True

    def _has(self, bit: int) -> bool:
        return bool(self._features >> bit & 1)

    def _stop(self, index: int) -> bytes:
        """Stop a queue; return where it stood."""
        setup = self._setup(index)
        base = setup.queue.base if setup.queue is not None else setup.base
        if setup.queue is not None and self._fault is not None:
            self._fault.stops(setup.queue)
        self._stopped = True
        setup.queue, setup.part, setup.base, setup.late = None, None, base, []
        _leave_ring(setup)
        self._drop_kick(setup)
        return VRING.pack(index, base)

    def _kicked(self, setup: _Setup) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(setup.kick)
        if setup.queue is not None and setup.enabled:
            self._serve(setup)
            for number in self._served.due():
                other = self._setups[number]
                if other.queue is not None and other.enabled:
                    self._serve(other)

    def _serve(self, setup: _Setup) -> None:
        """Serve all chains; ask for notifications, and look once more."""
        queue = setup.queue
        assert queue is not None
        undisturbed = setup.overwriter.lock if setup.overwriter else contextlib.nullcontext()
        try:
            with undisturbed:
                self._serve_all(setup, queue)
        except BadChainError as error:
            # The queue stands still until the device is reset (section 2.1.2).
            self._say(f"queue stopped: {error}")
            setup.broken = True

    def _serve_all(self, setup: _Setup, queue: Queue) -> None:
        while not setup.broken:
            chain = self._take(setup, queue)
            if chain is not None:
                self._return(setup, queue, chain)
                if self._fault is not None and self._fault.idles:
                    return
                continue
            if self._fault is not None and self._fault.forgets:
                time.sleep(MOMENT)
            queue.request_notifications()
            if self._fault is not None:
                self._fault.asks(queue)
                if self._fault.forgets:
                    return
            chain = self._take(setup, queue)
            if chain is None:
                return
            self._return(setup, queue, chain)

    def _take(self, setup: _Setup, queue: Queue) -> Chain | None:
        if not self._served.ready(setup.number):
            return None
        chain = queue.pop()
        if chain is not None and setup.part is not None:
            setup.part.taken(chain)
        return chain

    @property
    def _records(self) -> str:
        return self._fault.records if self._fault is not None else "all"

    def _return(self, setup: _Setup, queue: Queue, chain: Chain) -> None:
        _write(setup.late)
        taken = self._fault.takes(chain) if self._fault is not None else chain
        length, writes = self._served.serve(self._memory, taken, setup.number)
        step = Returning(queue, self._memory, chain, writes, length, self._served)
        if self._fault is not None:
            for number, other in enumerate(self._setups):
                if other.queue is not None and other is not setup:
                    step.others[number] = other.queue
            self._fault.change(step)
        _write(step.writes)
        if step.early:
            self._interrupt(setup, step)
            time.sleep(MOMENT)
        part = setup.part if step.times and self._records != "kept" else None
        if part is not None:
            part.returning(chain, queue)
        for _ in range(step.times):
            to = queue if step.returned_in is None else step.others[step.returned_in]
            to.push(step.chain, step.length)
        if part is not None:
            part.returned(chain, queue)
        if self._log is not None and self._has(LOG_ALL):
            self._mark(self._log, setup, queue, chain)
        if step.then is not None:
            step.then()
        if step.announces:
            self._announce()
        if not step.early:
            self._interrupt(setup, step)
        setup.late = step.late

    @staticmethod
    def _mark(log: DirtyLog, setup: _Setup, queue: Queue, chain: Chain) -> None:
        for address, length in chain.writable:
            log.mark(address, length)
        if setup.logged is not None:
            written = queue.desc if isinstance(queue, PackedQueue) else queue.device
            log.mark(setup.logged, len(written))

    def _interrupt(self, setup: _Setup, step: Returning) -> None:
        wanted = step.queue.interrupt_wanted()
        call = setup.call if step.signals is None else self._setups[step.signals].call
        if (wanted if step.interrupt is None else step.interrupt) and call >= 0:
            os.eventfd_write(call, 1)
            for _ in range(step.interrupts - 1):
                time.sleep(MOMENT)
                os.eventfd_write(call, 1)


def _write(writes: Writes) -> None:
    for view, data in writes:
        view[: len(data)] = data


def _leave_ring(setup: _Setup) -> None:
    if setup.overwriter is not None:
        setup.overwriter.stop()
        setup.overwriter = None


def _close(*fds: int) -> None:
    for fd in fds:
        if fd >= 0:
            os.close(fd)
