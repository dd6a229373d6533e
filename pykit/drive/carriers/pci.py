# SPDX-License-Identifier: GPL-2.0-only
"""A virtio PCI device by its registers (section 4.1): capabilities, BARs, queues, MSI-X."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from pykit.drive.carriers import PeerGoneError
from pykit.drive.ring import Ring

#: Ports of PCI's configuration mechanism, and where BARs are put.
_ADDRESS, _DATA = 0xCF8, 0xCFC
_MEMORY, _PORTS = 0xE0000000, 0xC000
_VENDOR = 0x1AF4
_COMMON, _NOTIFY, _ISR, _DEVICE = 1, 2, 3, 4
_VENDOR_CAP, _MSIX_CAP = 0x09, 0x11
#: Registers of the common configuration (section 4.1.4.3).
_DEVICE_FEATURE_SELECT, _DEVICE_FEATURE = 0x00, 0x04
_DRIVER_FEATURE_SELECT, _DRIVER_FEATURE = 0x08, 0x0C
_NUM_QUEUES, _STATUS = 0x12, 0x14
_SELECT, _SIZE, _VECTOR, _ENABLE, _NOTIFY_OFF = 0x16, 0x18, 0x1A, 0x1C, 0x1E
_DESC, _DRIVER, _DEVICE_AREA = 0x20, 0x28, 0x30
#: The function that is looked for is on bus 0; 32 slots.
_SLOTS = 32


class Bus(Protocol):
    """Access to memory and ports."""

    def read(self, address: int, width: int) -> int:
        """Read memory space."""

    def write(self, address: int, value: int, width: int) -> None:
        """Write memory space."""

    def port_in(self, port: int, width: int) -> int:
        """Read an I/O port."""

    def port_out(self, port: int, value: int, width: int) -> None:
        """Write an I/O port."""


@dataclass
class PciDevice:
    """The one virtio device of a machine, with its BARs assigned.

    Attributes:
        slot: on bus 0.
        places: addresses of the capabilities' structures, by type.
        multiplier: of the queues' notification offsets.
        msix: address of the MSI-X table, 0 without.
    """

    registers: Bus
    slot: int
    places: dict[int, int] = field(default_factory=dict)
    multiplier: int = 0
    msix: int = 0
    _offsets: dict[int, int] = field(default_factory=dict)

    @classmethod
    def find(cls, registers: Bus) -> PciDevice:
        """Find the device, assign its BARs, and read its capabilities.

        Raises:
            PeerGoneError: there is none, or it has no modern interface.
        """
        for slot in range(_SLOTS):
            device = cls(registers, slot)
            if device._config(0, 2) == _VENDOR:
                device._assign()
                return device
        raise PeerGoneError("QEMU has no virtio device on its first PCI bus")

    def _config(self, offset: int, width: int) -> int:
        self.registers.port_out(_ADDRESS, 1 << 31 | self.slot << 11 | offset & 0xFC, 4)
        return self.registers.port_in(_DATA + (offset & 3), width)

    def _set_config(self, offset: int, value: int, width: int) -> None:
        self.registers.port_out(_ADDRESS, 1 << 31 | self.slot << 11 | offset & 0xFC, 4)
        self.registers.port_out(_DATA + (offset & 3), value, width)

    def _assign(self) -> None:
        bars = self._assign_bars()
        # I/O, memory and bus master.
        self._set_config(4, self._config(4, 2) | 7, 2)
        at, seen = self._config(0x34, 1) & 0xFC, set()
        while at and at not in seen:
            seen.add(at)
            self._capability(at, bars)
            at = self._config(at + 1, 1) & 0xFC
        if not {_COMMON, _NOTIFY, _DEVICE} <= self.places.keys():
            raise PeerGoneError("device has no modern interface: drive it without disable-modern")

    def _assign_bars(self) -> dict[int, int]:
        """Put each BAR to an address of its own; return them by number."""
        memory, ports, found, number = _MEMORY, _PORTS, {}, 0
        while number < 6:
            at = 0x10 + 4 * number
            kind = self._config(at, 4)
            self._set_config(at, 0xFFFFFFFF, 4)
            mask = self._config(at, 4)
            wide = not kind & 1 and kind & 6 == 4
            if mask in (0, 0xFFFFFFFF):
                number += 1
                continue
            if kind & 1:
                size = (~(mask & ~3) & 0xFFFF) + 1
                ports = -(-ports // size) * size
                self._set_config(at, ports, 4)
                found[number], ports = ports, ports + size
            else:
                size = (~(mask & ~0xF) & 0xFFFFFFFF) + 1
                memory = -(-memory // size) * size
                self._set_config(at, memory, 4)
                if wide:
                    self._set_config(at + 4, 0, 4)
                found[number], memory = memory, memory + size
            number += 2 if wide else 1
        return found

    def _capability(self, at: int, bars: dict[int, int]) -> None:
        kind = self._config(at, 1)
        if kind == _VENDOR_CAP:
            structure, bar = self._config(at + 3, 1), self._config(at + 4, 1)
            # The first of several is the one that the device prefers (section 4.1.4.1).
            if bar in bars and structure not in self.places:
                self.places[structure] = bars[bar] + self._config(at + 8, 4)
                if structure == _NOTIFY:
                    self.multiplier = self._config(at + 16, 4)
        elif kind == _MSIX_CAP:
            table = self._config(at + 4, 4)
            if table & 7 in bars:
                self.msix = bars[table & 7] + (table & ~7)
                self._set_config(at + 2, self._config(at + 2, 2) | 1 << 15, 2)

    def _common(self, offset: int, width: int) -> int:
        return self.registers.read(self.places[_COMMON] + offset, width)

    def _set_common(self, offset: int, value: int, width: int) -> None:
        self.registers.write(self.places[_COMMON] + offset, value, width)

    def status(self) -> int:
        """Read the device status."""
        return self._common(_STATUS, 1)

    def set_status(self, value: int) -> None:
        """Write the device status."""
        self._set_common(_STATUS, value, 1)

    def queues(self) -> int:
        """Read how many queues the device has."""
        return self._common(_NUM_QUEUES, 2)

    def features(self) -> int:
        """Read both words of the device's features."""
        found = 0
        for word in range(2):
            self._set_common(_DEVICE_FEATURE_SELECT, word, 4)
            found |= self._common(_DEVICE_FEATURE, 4) << 32 * word
        return found

    def accept(self, features: int) -> None:
        """Write both words of the driver's features."""
        for word in range(2):
            self._set_common(_DRIVER_FEATURE_SELECT, word, 4)
            self._set_common(_DRIVER_FEATURE, features >> 32 * word & 0xFFFFFFFF, 4)

    def config(self, offset: int, width: int) -> int:
        """Read the device's own configuration."""
        return self.registers.read(self.places[_DEVICE] + offset, width)

    def set_up(self, ring: Ring, message: int) -> None:
        """Write a queue's size, vector and addresses, and enable it.

        Args:
            ring: the queue.
            message: address in guest memory that its interrupt writes to.
        """
        index = ring.index
        if self.msix:
            self._vector(index, message)
        self._set_common(_SELECT, index, 2)
        self._set_common(_SIZE, ring.size, 2)
        if self.msix:
            self._set_common(_VECTOR, index, 2)
        for register, address in (
            (_DESC, ring.desc), (_DRIVER, ring.driver), (_DEVICE_AREA, ring.device),
        ):  # fmt: skip
            self._set_common(register, address & 0xFFFFFFFF, 4)
            self._set_common(register + 4, address >> 32, 4)
        self._offsets[index] = self._common(_NOTIFY_OFF, 2)
        self._set_common(_ENABLE, 1, 2)

    def _vector(self, number: int, message: int) -> None:
        """Let a vector of MSI-X write its number plus one to an address (PCI, 6.8.2)."""
        entry = self.msix + 16 * number
        for offset, value in ((0, message), (4, 0), (8, number + 1), (12, 0)):
            self.registers.write(entry + offset, value, 4)

    def notify(self, queue: int) -> None:
        """Write a queue's number to its place in the notification structure (4.1.5.2)."""
        at = self.places[_NOTIFY] + self._offsets[queue] * self.multiplier
        self.registers.write(at, queue, 2)
