# SPDX-License-Identifier: GPL-2.0-only
"""Configuration spaces, sound ones and any others."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from pykit import pci
from tests.pci import MODERN, space, vendor

SPACES = st.one_of(st.binary(max_size=300), st.binary(min_size=256, max_size=4096))


def test_a_sound_list() -> None:
    found, problem = pci.capabilities(MODERN)
    assert problem == ""
    assert [(c.pos, c.id) for c in found][:2] == [(0x40, pci.MSI_X), (0x50, pci.VENDOR_SPECIFIC)]
    structures = {s.cfg_type: s for s in map(pci.virtio, found) if s.cap_len}
    notify = structures[pci.NOTIFY_CFG]
    assert (notify.cap_len, notify.bar, notify.offset, notify.length) == (20, 4, 0x3000, 0x1000)
    assert notify.multiplier == 4
    assert structures[pci.PCI_CFG].cap_len == 20


def test_a_function_without_a_list() -> None:
    blank = bytearray(MODERN)
    blank[pci.STATUS] = 0
    assert pci.capabilities(bytes(blank)) == ((), "")


def test_a_list_that_comes_back() -> None:
    found, problem = pci.capabilities(space([(0x40, vendor(pci.COMMON_CFG, following=0x40))]))
    assert len(found) == 1
    assert problem == "the list comes back to 0x40"


def test_a_pointer_into_the_header() -> None:
    _, problem = pci.capabilities(space([(0x40, vendor(pci.COMMON_CFG, following=0x10))]))
    assert problem == "a pointer into the header: 0x10"


def test_a_short_entry_lacks_fields() -> None:
    found, _ = pci.capabilities(space([(0x40, vendor(pci.NOTIFY_CFG, cap_len=16))]))
    assert pci.virtio(found[0]).multiplier is None
    found, _ = pci.capabilities(space([(0x40, vendor(pci.NOTIFY_CFG, cap_len=0))]))
    assert pci.virtio(found[0]).cfg_type is None


def test_shared_memory_has_64_bits() -> None:
    body = vendor(pci.SHARED_MEMORY_CFG, offset=1, length=2, extra=struct.pack("<II", 3, 4))
    shared = pci.virtio(pci.capabilities(space([(0x40, body)]))[0][0])
    assert (shared.offset, shared.length) == (1 | 3 << 32, 2 | 4 << 32)


def test_bars() -> None:
    assert [(bar.number, bar.address, bar.io, bar.wide) for bar in pci.bars(MODERN)] == [
        (1, 0xFE400000, False, False),
        (4, 0x1FE800000, False, True),
    ]


def test_extended_list() -> None:
    first = struct.pack("<I", pci.SR_IOV | 1 << 16 | 0x180 << 20)
    second = struct.pack("<I", 0x0B | 2 << 16)
    whole = (MODERN + first).ljust(0x180, b"\0") + second
    assert pci.extended(whole) == (((0x100, pci.SR_IOV, 1), (0x180, 0x0B, 2)), "")
    assert pci.extended(MODERN + b"\xff" * 4) == ((), "")
    back = struct.pack("<I", 1 | 1 << 16 | 0x100 << 20)
    assert pci.extended(MODERN + back)[1] == "the extended list comes back to 0x100"


@given(SPACES)
def test_any_bytes_end(config: bytes) -> None:
    """Lists end, and entries lie inside of the space, whatever a device shows."""
    found, _ = pci.capabilities(config)
    assert len({c.pos for c in found}) == len(found) <= 48
    for capability in found:
        assert pci.HEADER <= capability.pos <= pci.CONVENTIONAL - 2
        assert config[capability.pos :].startswith(capability.data)
        fields = pci.virtio(capability)
        assert fields.pos == capability.pos
    further, _ = pci.extended(config)
    assert len({pos for pos, _, _ in further}) == len(further)
    assert len({bar.number for bar in pci.bars(config)}) <= pci.BAR_COUNT


@given(st.data())
def test_damage_of_a_sound_space(data: st.DataObject) -> None:
    """One changed byte never takes away entries before the one that has it."""
    at = data.draw(st.integers(0x40, 0xFF))
    damaged = bytearray(MODERN)
    damaged[at] = data.draw(st.integers(0, 255))
    before, _ = pci.capabilities(MODERN)
    after, _ = pci.capabilities(bytes(damaged))
    untouched = []
    for capability in before:
        size = 20 if capability.id == pci.VENDOR_SPECIFIC else 12
        if capability.pos <= at < capability.pos + size:
            break
        untouched.append(capability.pos)
    assert [c.pos for c in after][: len(untouched)] == untouched
