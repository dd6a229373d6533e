# SPDX-License-Identifier: GPL-2.0-only
"""A network device of ours receives what it is sent, in order, with the header of section 5.1.6."""

from __future__ import annotations

import sys

import pytest

from pykit.device import ServedNet
from pykit.device.memory import GuestMemory
from pykit.device.queue import Chain
from pykit.drive.carriers.vhost_user import VhostUserCarrier
from pykit.drive.driver import Shape, VirtioDriver
from pykit.drive.kinds import kind_of
from pykit.drive.memory import SharedMemory
from pykit.drive.peer import Peer
from pykit.drive.record import Recorder
from pykit.drive.requests import DriverRequest, ask
from pykit.spec import bits

RECEIVE, TRANSMIT = 0, 1
HEADER = bytes(10) + b"\x01\x00"


def test_it_needs_the_header_of_version_1() -> None:
    net = ServedNet(2)
    assert net.accepts(1 << bits.VERSION_1)
    assert not net.accepts(0)


def test_a_receive_queue_is_of_use_when_a_frame_waits() -> None:
    net, memory = ServedNet(4), GuestMemory()
    assert net.ready(TRANSMIT)
    assert not net.ready(RECEIVE)
    assert not list(net.due())
    net.serve(memory, Chain(0, 1, (), ()), TRANSMIT)
    assert not net.ready(RECEIVE), "a frame has more than its header"


@pytest.mark.parametrize("packed", [False, True])
def test_frames_come_back_in_order(packed: bool) -> None:
    command = [sys.executable, "-m", "pykit.cli", "device", "--device", "net"]
    peer = Peer([*command, "--socket", "{socket}"])
    memory = SharedMemory()
    got: list[bytes] = []

    def received(answer: bytes) -> str:
        got.append(answer)
        return "served"

    try:
        peer.start()
        kind = kind_of("net")
        carrier = VhostUserCarrier(peer.socket, peer.activity)
        driver = VirtioDriver(carrier, kind, memory, Recorder(kind.type))
        driver.bring_up(Shape(packed=packed, size=16))
        sent: list[DriverRequest] = [kind.request(memory, number) for number in range(40)]
        for begin in range(0, 40, 8):
            for _ in range(8):
                driver.submit(RECEIVE, ask(memory, b"", [1526], received))
            for request in sent[begin : begin + 8]:
                driver.submit(TRANSMIT, request)
            assert len(driver.wait(TRANSMIT, 8)) == 8
            done = driver.wait(RECEIVE, 8)
            assert [found.entry.length for found in done] == [len(HEADER) + 60] * 8
        frames = [memory.load(r.buffers[0].address, r.buffers[0].length) for r in sent]
        assert got == [HEADER + frame[len(HEADER) :] for frame in frames]
        carrier.stop()
    finally:
        peer.close()
        memory.close()
