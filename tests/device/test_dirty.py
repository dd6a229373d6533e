# SPDX-License-Identifier: GPL-2.0-only
"""Pages that a back-end has written are marked in the front-end's log."""

from __future__ import annotations

import os
import sys

import pytest

from pykit.device.dirty import DirtyLog
from pykit.device.memory import BadAddressError
from pykit.drive.carriers.vhost_user import VhostUserCarrier
from pykit.drive.driver import Shape, VirtioDriver
from pykit.drive.kinds import kind_of
from pykit.drive.memory import SharedMemory
from pykit.drive.peer import Peer
from pykit.drive.record import Recorder
from pykit.vhost_user import LOG_ALL, U64, FrontEndRequest, receive, send

PAGE = 4096


def shared(size: int) -> int:
    fd = os.memfd_create("log")
    os.ftruncate(fd, size)
    return fd


def test_pages_are_marked() -> None:
    fd = shared(8)
    log = DirtyLog(4, 4, os.dup(fd))
    log.mark(PAGE - 1, 2)
    log.mark(9 * PAGE, 1)
    # Beyond the log.
    log.mark(1 << 40, PAGE)
    assert os.pread(fd, 8, 0) == bytes((0, 0, 0, 0, 0b11, 0b10, 0, 0))
    os.close(fd)


@pytest.mark.parametrize(("size", "offset"), [(0, 0), (16, 0), (8, 1)])
def test_a_wrong_log_is_refused(size: int, offset: int) -> None:
    with pytest.raises(BadAddressError):
        DirtyLog(size, offset, shared(8))


@pytest.mark.parametrize("packed", [False, True])
def test_a_back_end_marks_what_it_writes(packed: bool) -> None:
    peer = Peer([sys.executable, "-m", "pykit.cli", "device", "--socket", "{socket}"])
    memory = SharedMemory()
    size = (memory.base + memory.size) // PAGE // 8 + 1
    fd = shared(size)
    try:
        peer.start()
        kind = kind_of("blk")
        carrier = VhostUserCarrier(peer.socket, peer.activity)
        driver = VirtioDriver(carrier, kind, memory, Recorder(kind.type))
        driver.bring_up(Shape(packed=packed))
        features = U64.pack(driver.features | 1 << LOG_ALL | 1 << 30)
        carrier.command(FrontEndRequest.SET_FEATURES, features, acknowledged=True)
        place = U64.pack(size) + U64.pack(0)
        send(carrier.connection, FrontEndRequest.SET_LOG_BASE, place, 0, (fd,))
        assert receive(carrier.connection).request == FrontEndRequest.SET_LOG_BASE
        request = kind.request(memory, 0)
        assert driver.serve(kind.queue, request) is not None
        log = os.pread(fd, size, 0)
        writable = {b.address // PAGE for b in request.buffers if b.write}
        found = {n for n in range(8 * size) if log[n // 8] >> n % 8 & 1}
        assert writable <= found
        assert {b.address // PAGE for b in request.buffers if not b.write} - writable == (
            {b.address // PAGE for b in request.buffers if not b.write} - found
        )
        carrier.stop()
    finally:
        peer.close()
        memory.close()
        os.close(fd)
