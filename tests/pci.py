# SPDX-License-Identifier: GPL-2.0-only
"""Configuration spaces for tests, made entry by entry."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from pykit import pci


def vendor(
    cfg_type: int,
    *,
    bar: int = 4,
    offset: int = 0,
    length: int = 0x1000,
    following: int = 0,
    cap_len: int | None = None,
    sub_id: int = 0,
    extra: bytes = b"",
) -> bytes:
    """A vendor-specific capability of virtio."""
    extra = extra.ljust(pci.EXTRA.get(cfg_type, 0), b"\0")
    size = pci.VIRTIO_CAP + len(extra) if cap_len is None else cap_len
    head = struct.pack(
        "<BBBBBB2xII", pci.VENDOR_SPECIFIC, following, size, cfg_type, bar, sub_id, offset, length
    )
    return head + extra


def space(
    entries: Iterable[tuple[int, bytes]],
    *,
    device: int = 0x1042,
    revision: int = 1,
    subsystem: int = 0x1100,
    bars: tuple[int, ...] = (),
) -> bytes:
    """A configuration space of 256 bytes with these entries; the first is the list's head."""
    config = bytearray(pci.CONVENTIONAL)
    struct.pack_into("<HHHHB", config, 0, 0x1AF4, device, 0x0507, 0x0010, revision)
    config[pci.CLASS : pci.CLASS + 3] = b"\0\0\1"
    for number, value in enumerate(bars):
        struct.pack_into("<I", config, pci.BARS + 4 * number, value)
    struct.pack_into("<HH", config, pci.SUBSYSTEM_VENDOR, 0x1AF4, subsystem)
    placed = list(entries)
    config[pci.CAPABILITIES] = placed[0][0] if placed else 0
    config[pci.INTERRUPT_PIN] = 1
    for pos, body in placed:
        config[pos : pos + len(body)] = body
    return bytes(config)


#: A disk as QEMU lays it out: MSI-X with two vectors, and five structures in BAR 4.
MODERN = space(
    [
        (0x40, struct.pack("<BBHII", pci.MSI_X, 0x50, 0x8001, 1, 0x801)),
        (0x50, vendor(pci.NOTIFY_CFG, offset=0x3000, following=0x64, extra=struct.pack("<I", 4))),
        (0x64, vendor(pci.DEVICE_CFG, offset=0x2000, following=0x74)),
        (0x74, vendor(pci.ISR_CFG, offset=0x1000, following=0x84)),
        (0x84, vendor(pci.COMMON_CFG, following=0x94)),
        (0x94, vendor(pci.PCI_CFG, bar=0, length=0)),
    ],
    bars=(0, 0xFE400000, 0, 0, 0xFE80000C, 1),
)
