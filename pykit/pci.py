# SPDX-License-Identifier: GPL-2.0-only
"""PCI configuration space as bytes: header, BARs, capability lists, virtio's capabilities.

The bytes come from devices that may be wrong in any way: nothing here raises for what they hold,
and every list ends. Layouts: PCI Local Bus 3.0 (6.1, 6.2.5, 6.7), PCI Express (7.6), virtio 4.1.4.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Bytes of the header, of the space of a conventional function, and of PCI Express.
HEADER, CONVENTIONAL, EXTENDED = 64, 256, 4096

#: Offsets in the header.
VENDOR, DEVICE, COMMAND, STATUS, REVISION, CLASS = 0x00, 0x02, 0x04, 0x06, 0x08, 0x09
HEADER_TYPE, BARS, SUBSYSTEM_VENDOR, SUBSYSTEM = 0x0E, 0x10, 0x2C, 0x2E
CAPABILITIES, INTERRUPT_PIN = 0x34, 0x3D
#: Bits of the command and status registers.
IO_SPACE, MEMORY_SPACE, BUS_MASTER = 1, 2, 4
INTERRUPT_STATUS, HAS_CAPABILITIES = 1 << 3, 1 << 4

#: Capability ids.
MSI, VENDOR_SPECIFIC, EXPRESS, MSI_X = 0x05, 0x09, 0x10, 0x11
#: Bytes of an entry of MSI-X's table.
MSI_X_ENTRY = 16
#: Extended capability ids.
SR_IOV = 0x10

#: Values of virtio's cfg_type (4.1.4).
COMMON_CFG, NOTIFY_CFG, ISR_CFG, DEVICE_CFG, PCI_CFG = range(1, 6)
SHARED_MEMORY_CFG, VENDOR_CFG = 8, 9
CFG_TYPES = {
    COMMON_CFG: "common", NOTIFY_CFG: "notify", ISR_CFG: "isr", DEVICE_CFG: "device",
    PCI_CFG: "pci", SHARED_MEMORY_CFG: "shared-memory", VENDOR_CFG: "vendor",
}  # fmt: skip
#: Offsets of fields in struct virtio_pci_cap: its bytes, its type, the BAR.
CAP_LEN, CAP_TYPE, CAP_BAR = 2, 3, 4
#: Bytes of struct virtio_pci_cap, and of what the structures of some types have behind it.
VIRTIO_CAP = 16
EXTRA = {NOTIFY_CFG: 4, PCI_CFG: 4, SHARED_MEMORY_CFG: 8}
#: How many BARs a function has.
BAR_COUNT = 6


@dataclass(frozen=True)
class Capability:
    """One entry of the capability list: where it is, its id, the next pointer, its bytes.

    ``data`` goes from the entry's beginning to the end of the space, or of ``cap_len`` bytes for
    a vendor-specific one: no other capability says how long it is.
    """

    pos: int
    id: int
    next: int
    data: bytes

    def number(self, offset: int, size: int) -> int | None:
        """Return a little-endian field, None if the entry does not reach so far."""
        return _number(self.data, offset, size)


@dataclass(frozen=True)
class VirtioCapability:
    """Fields of a vendor-specific capability of virtio; None where it is too short for one.

    ``length`` and ``offset`` have 64 bits for shared memory. ``multiplier`` is of notifications,
    ``vendor`` of vendor data, whose other fields have no meaning.
    """

    pos: int
    cap_len: int
    cfg_type: int | None
    bar: int | None
    id: int | None
    offset: int | None
    length: int | None
    multiplier: int | None
    vendor: int | None


@dataclass(frozen=True)
class Bar:
    """A base address register: ``address`` is 0 where nothing was assigned."""

    number: int
    address: int
    io: bool
    wide: bool
    prefetchable: bool


def capabilities(config: bytes) -> tuple[tuple[Capability, ...], str]:
    """Return the capability list as far as it can be followed, and what is wrong with it.

    ``config`` is the space from its beginning. The second value is empty for a list that ends
    with a null pointer; a function may have no list.
    """
    space = config[:CONVENTIONAL]
    status = _number(space, STATUS, 2)
    if len(space) < HEADER or status is None:
        return (), "the header is not complete"
    if not status & HAS_CAPABILITIES:
        return (), ""
    found: dict[int, Capability] = {}
    # The two lowest bits are reserved: software masks them (PCI 6.7).
    pos = space[CAPABILITIES] & ~3
    while pos:
        if pos < HEADER:
            return tuple(found.values()), f"a pointer into the header: {pos:#x}"
        if pos in found:
            return tuple(found.values()), f"the list comes back to {pos:#x}"
        if pos + 2 > len(space):
            return tuple(found.values()), f"the list leaves the space at {pos:#x}"
        name, following = space[pos], space[pos + 1] & ~3
        end = len(space)
        if name == VENDOR_SPECIFIC and pos + 2 < end:
            end = min(end, pos + max(space[pos + 2], 3))
        found[pos] = Capability(pos, name, following, space[pos:end])
        pos = following
    return tuple(found.values()), ""


def extended(config: bytes) -> tuple[tuple[tuple[int, int, int], ...], str]:
    """Return (position, id, version) of each extended capability, and what is wrong with the list.

    Of a space that ends before them there is none.
    """
    found: dict[int, tuple[int, int, int]] = {}
    pos = CONVENTIONAL
    while pos:
        head = _number(config, pos, 4)
        if head is None or (pos == CONVENTIONAL and head in (0, 0xFFFFFFFF)):
            # Nothing at the list's first place is an empty list (PCI Express 7.6.3).
            break
        if pos in found:
            return tuple(found.values()), f"the extended list comes back to {pos:#x}"
        found[pos] = (pos, head & 0xFFFF, head >> 16 & 0xF)
        pos = head >> 20 & ~3
        if 0 < pos < CONVENTIONAL:
            return tuple(found.values()), f"an extended pointer to {pos:#x}"
    return tuple(found.values()), ""


def virtio(capability: Capability) -> VirtioCapability:
    """Return the fields of a vendor-specific capability of a virtio device."""
    at = capability.number
    cfg_type = at(3, 1)
    offset, length = at(8, 4), at(12, 4)
    vendor = None
    if cfg_type == SHARED_MEMORY_CFG:
        high = at(16, 4), at(20, 4)
        offset = None if offset is None or high[0] is None else offset | high[0] << 32
        length = None if length is None or high[1] is None else length | high[1] << 32
    elif cfg_type == VENDOR_CFG:
        offset = length = None
        vendor = at(4, 2)
    structure = cfg_type != VENDOR_CFG
    return VirtioCapability(
        pos=capability.pos,
        cap_len=at(2, 1) or 0,
        cfg_type=cfg_type,
        bar=at(4, 1) if structure else None,
        id=at(5, 1) if structure else None,
        offset=offset,
        length=length,
        multiplier=at(16, 4) if cfg_type == NOTIFY_CFG else None,
        vendor=vendor,
    )


def bars(config: bytes) -> tuple[Bar, ...]:
    """Return the BARs of an ordinary function that are not 0, without the upper halves."""
    found, number = [], 0
    while number < BAR_COUNT:
        low = _number(config, BARS + 4 * number, 4)
        if low is None:
            break
        io, wide = bool(low & 1), low & 7 == 4
        address = low & (~3 if io else ~15)
        if wide:
            high = _number(config, BARS + 4 * number + 4, 4) if number + 1 < BAR_COUNT else 0
            address |= (high or 0) << 32
        if low:
            found.append(Bar(number, address, io, wide, not io and bool(low & 8)))
        number += 2 if wide else 1
    return tuple(found)


def field(config: bytes, offset: int, size: int) -> int:
    """Return a field of the space; all ones where it was not read, as from an absent function."""
    value = _number(config, offset, size)
    return (1 << 8 * size) - 1 if value is None else value


def _number(data: bytes, offset: int, size: int) -> int | None:
    part = data[offset : offset + size]
    return int.from_bytes(part, "little") if len(part) == size else None
