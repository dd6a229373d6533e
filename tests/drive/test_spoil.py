# SPDX-License-Identifier: GPL-2.0-only
"""Chains and rings as they stand in memory once they were spoilt."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import get_args

import pytest

from pykit.drive.chain import Buffer
from pykit.drive.memory import SharedMemory
from pykit.drive.packed import AVAIL, USED, PackedRing
from pykit.drive.record import Recorder
from pykit.drive.ring import Ring, RingFeatures
from pykit.drive.split import SplitRing
from pykit.drive.spoil import Where
from pykit.drive.spoil_rings import SPOILS
from pykit.errors import UsageError
from pykit.spec.bits import NEXT


@pytest.fixture
def memory() -> Iterator[SharedMemory]:
    memory = SharedMemory()
    memory.fill(0)
    yield memory
    memory.close()


def ring_of(kind: type[Ring], memory: SharedMemory, size: int = 8) -> Ring:
    ring = kind(memory, Recorder("virtio-blk-pci"), 0, size, RingFeatures(indirect=True))
    ring.lay_out()
    return ring


def spoilt(ring: Ring, name: str, indirect: bool = False) -> None:
    at = ring.memory.allocate(64)
    buffers = [Buffer(at, 16), Buffer(at + 16, 16, True), Buffer(at + 32, 1, True)]
    draft = ring.draft(buffers, indirect)
    SPOILS[name](draft, ring, "last")
    ring.expose(draft)


@pytest.mark.parametrize("kind", [SplitRing, PackedRing])
def test_a_chain_without_end(kind: type[Ring], memory: SharedMemory) -> None:
    ring = ring_of(kind, memory)
    spoilt(ring, "chain-longer-than-queue")
    flags_at = 12 if kind is SplitRing else 14
    flags = [memory.load16(ring.desc + 16 * slot + flags_at) for slot in range(8)]
    assert all(value & NEXT for value in flags)
    assert not ring.free
    if kind is SplitRing:
        links = [memory.load16(ring.desc + 16 * slot + 14) for slot in range(8)]
        assert links == [1, 2, 3, 4, 5, 6, 7, 0]


def test_a_table_longer_than_the_queue(memory: SharedMemory) -> None:
    ring = ring_of(SplitRing, memory)
    spoilt(ring, "chain-longer-than-queue", indirect=True)
    address, length = struct.unpack("<QI", memory.load(ring.desc, 12))
    assert length == 16 * 9
    assert memory.load16(address + 16 * 8 + 12) & NEXT == 0


def test_all_entries(memory: SharedMemory) -> None:
    ring = ring_of(SplitRing, memory)
    spoilt(ring, "heads-all-outside")
    assert memory.load(ring.driver + 4, 16) == struct.pack("<H", 8) * 8
    assert memory.load16(ring.driver + 2) == 8


def test_indices_that_begin_late(memory: SharedMemory) -> None:
    ring = SplitRing(memory, Recorder("virtio-blk-pci"), 0, 8, RingFeatures(), start=65535)
    ring.lay_out()
    spoilt(ring, "nothing")
    assert memory.load16(ring.driver + 2) == 0
    assert memory.load16(ring.device + 2) == 65535


def test_an_element_that_is_used(memory: SharedMemory) -> None:
    ring = ring_of(PackedRing, memory)
    spoilt(ring, "element-used")
    flags = memory.load16(ring.desc + 2 * 16 + 14)
    assert flags & AVAIL
    assert flags & USED


def test_without_another_queue(memory: SharedMemory) -> None:
    with pytest.raises(UsageError, match="the device has one queue"):
        spoilt(ring_of(SplitRing, memory), "address-of-other-descriptors")


@pytest.mark.parametrize("name", SPOILS)
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize("indirect", [False, True])
@pytest.mark.parametrize("kind", [SplitRing, PackedRing])
def test_short_requests_are_spoilt_too(
    kind: type[Ring], indirect: bool, write: bool, count: int, name: str, memory: SharedMemory
) -> None:
    """Some devices' requests have a single buffer; what has no meaning then says so."""
    for where in get_args(Where):
        memory.fill(0)
        ring = ring_of(kind, memory)
        at = memory.allocate(64)
        draft = ring.draft([Buffer(at + 16 * i, 16, write) for i in range(count)], indirect)
        with suppress(UsageError):
            SPOILS[name](draft, ring, where)
            ring.expose(draft)
