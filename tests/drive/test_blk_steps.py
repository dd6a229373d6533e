# SPDX-License-Identifier: GPL-2.0-only
"""Steps of rows of block requests: how they are read, and what they lay into memory."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from pykit.drive.blk_steps import WrongStepError, build, names, parse, value
from pykit.drive.memory import SharedMemory
from pykit.spec import bits


@pytest.fixture
def memory() -> Iterator[SharedMemory]:
    memory = SharedMemory()
    yield memory
    memory.close()


def test_requests_of_one_notification() -> None:
    first, second = parse("in 0 512 is ok & out capacity-1 1024 queue=1 fill=0xff is failed")
    assert (first.kind, first.allowed) == (bits.T_IN, {bits.S_OK})
    assert (second.queue, second.fill) == (1, 255)
    assert second.allowed == {bits.S_IOERR, bits.S_UNSUPP}
    assert names([first, second]) == {"capacity"}


def test_values() -> None:
    assert value("3*zone+1", {"zone": 256}) == 769
    assert value("greatest", {}) == (1 << 64) - 1
    assert value("0x10", {}) == 16


def test_segments(memory: SharedMemory) -> None:
    (step,) = parse("discard 0 33 segments=0:8:0,capacity:1:1 times=2")
    request = build(memory, step, {"capacity": 7})
    header, data, status = request.buffers
    assert (header.length, data.length, status.length) == (16, 33, 1)
    assert not data.write
    stored = memory.load(data.address, 32)
    assert struct.unpack("<QIIQII", stored) == (0, 8, 0, 7, 1, 1)


@pytest.mark.parametrize(
    ("step", "lengths"),
    [
        ("out 0 1024 pieces=2", [16, 512, 512, 1]),
        ("out 0 512 joined=header", [528, 1]),
        ("in 0 512 joined=status", [16, 513]),
        ("in 0 512 header=15 room=0", [15, 512, 0]),
        ("zone-append 0 512", [16, 512, 9]),
    ],
)
def test_layout(step: str, lengths: list[int], memory: SharedMemory) -> None:
    request = build(memory, parse(step)[0], {})
    assert [buffer.length for buffer in request.buffers] == lengths


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("read 0 512", "unknown type 'read'"),
        ("in 0 512 is fine", "unknown status 'fine'"),
        ("in size 512", "unknown value 'size'"),
        ("in 0 512 speed=3", "unknown word 'speed'"),
        ("discard segments=0:8", "a segment is SECTOR:COUNT:FLAGS"),
    ],
)
def test_wrong_step(step: str, message: str) -> None:
    with pytest.raises(WrongStepError, match=message):
        parse(step)
