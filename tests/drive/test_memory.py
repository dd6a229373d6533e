# SPDX-License-Identifier: GPL-2.0-only
"""Memory that a device shares: what it wrote, and what it must not have written."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from pykit.drive.memory import SharedMemory, Span
from pykit.drive.requests import MARK, blk_request
from pykit.spec import bits


class Shared:
    """Memory, and a device that writes it through its file."""

    def __init__(self) -> None:
        self.memory = SharedMemory()
        self.memory.fill(0xEE)

    def write(self, address: int, data: bytes) -> None:
        os.pwrite(self.memory.fd, data, address - self.memory.base)


@pytest.fixture
def shared() -> Iterator[Shared]:
    found = Shared()
    yield found
    found.memory.close()


def test_stores_are_the_drivers(shared: Shared) -> None:
    memory = shared.memory
    at = memory.allocate(64)
    for offset, data in ((0, b"\1\2"), (3, b"\3\4"), (7, b"seven"), (16, bytes(range(40)))):
        memory.store(at + offset, data)
        assert memory.load(at + offset, len(data)) == data
        assert os.pread(memory.fd, len(data), at + offset - memory.base) == data
    assert memory.load16(at) == 0x0201
    assert not memory.trespasses()
    assert not memory.written(at, 64)


def test_what_is_outside_is_refused(shared: Shared) -> None:
    memory = shared.memory
    for at in (memory.base - 1, memory.base + memory.size - 1):
        with pytest.raises(IndexError):
            memory.store(at, b"ab")
        with pytest.raises(IndexError):
            memory.load(at, 2)


def test_trespasses_are_spans_of_bytes(shared: Shared) -> None:
    memory = shared.memory
    at = memory.base + 0x1000
    memory.allow(at + 8, 8)
    # The third byte is what stood there: the spans end before it.
    shared.write(at + 5, b"ab\xeecdefghijkl")
    shared.write(memory.base + memory.size - 1, b"z")
    assert memory.trespasses() == (
        Span(at + 5, 2),
        Span(at + 16, 2),
        Span(memory.base + memory.size - 1, 1),
    )
    assert memory.written(at, 32) == 18
    memory.forbid(at + 8, 8)
    assert memory.written(at + 8, 8) == 0
    shared.write(at + 9, b"Z")
    assert Span(at + 9, 1) in memory.trespasses()


@pytest.mark.parametrize("cuts", [(), (512,), (5, 503), (509, 1, 1, 700)])
def test_marks_go_over_pieces(shared: Shared, cuts: tuple[int, ...]) -> None:
    request = blk_request(shared.memory, bits.T_IN, 0, 1536, cuts)
    assert request.data is not None
    data = request.data()
    assert len(data) == 1536
    for end in (512, 1024, 1536):
        assert data[end - len(MARK) : end] == MARK
    assert set(data[: 512 - len(MARK)]) == {0xEE}
