# SPDX-License-Identifier: GPL-2.0-only
"""A virtio MMIO device of version 2 or 1 by its registers (sections 4.2.2 and 4.2.4)."""

from __future__ import annotations

from collections.abc import Iterable

from pykit.drive.carriers import PeerGoneError
from pykit.drive.carriers.registers import PAGE, Bus, RegisterBlock, RegisterDevice, RegisterSpan
from pykit.drive.ring import Ring
from pykit.trace.register_map import MMIO_CONFIG

#: Where QEMU's microvm has its transports.
MICROVM = range(0xFEB00000, 0xFEB00000 + 24 * 0x200, 0x200)
_MAGIC = 0x74726976
_LEGACY, _MODERN = 1, 2

#: Bits of InterruptStatus: used buffers, and a change of the configuration (section 4.2.2).
_INTERRUPTS = 0b11


class MmioDevice(RegisterDevice):
    """The device behind one transport.

    Args:
        bus: memory space.
        base: address of its registers.
        version: of the interface: 1 is the legacy one.
    """

    def __init__(self, bus: Bus, base: int, version: int) -> None:
        self.transport = "mmio-legacy" if version == _LEGACY else "mmio"
        self.registers = RegisterBlock(bus, base, self.transport)
        self.space = RegisterBlock(bus, base + MMIO_CONFIG, "config")

    @property
    def spans(self) -> tuple[RegisterSpan, ...]:
        """The registers, and the configuration behind them."""
        base = self.registers.base
        return (
            RegisterSpan(False, base, MMIO_CONFIG, self.transport),
            RegisterSpan(False, base + MMIO_CONFIG, MICROVM.step - MMIO_CONFIG, "config"),
        )

    def identify(self) -> None:
        """Read MagicValue, Version, DeviceID and VendorID (section 4.2.3.1.1).

        Raises:
            PeerGoneError: they are no device's.
        """
        known = {"magic": (_MAGIC,), "version": (_LEGACY, _MODERN)}
        for name in ("magic", "version", "device_id", "vendor_id"):
            found = self.registers.read(name)
            if found not in known.get(name, (found,)):
                raise PeerGoneError(f"the device's {name} is {found:#x}")

    @classmethod
    def find(cls, bus: Bus, places: Iterable[int] = MICROVM, wanted: int = 0) -> MmioDevice:
        """Find the transport that has a device behind it.

        Args:
            bus: memory space.
            places: addresses at which transports may be.
            wanted: id of the device (section 5); 0 for any.

        Raises:
            PeerGoneError: there is none.
        """
        for base in places:
            registers = RegisterBlock(bus, base, "mmio")
            found = registers.read("device_id") if registers.read("magic") == _MAGIC else 0
            if found and wanted in (0, found):
                return cls(bus, base, registers.read("version"))
        raise PeerGoneError("there is no such virtio device behind any MMIO transport")

    def set_up(self, ring: Ring, message: int, changes: int = 0) -> bool:
        """Write size and addresses; a legacy queue has one address, in pages."""
        of = self.registers
        size = of.writing("queue_size", ring.size)
        if self.legacy:
            of.do(
                of.writing("queue_select", ring.index),
                of.writing("page_size", PAGE),
                size,
                of.writing("queue_align", PAGE),
                of.writing("queue_pfn", ring.desc // PAGE),
            )
        else:
            enable = of.writing("queue_enable", 1)
            of.do(of.writing("queue_select", ring.index), size, *self.areas(ring), enable)
        return False

    def notify(self, queue: int, position: int | None = None) -> None:
        """Write the queue's number to QueueNotify, and the position beside it."""
        self.registers.write("queue_notify", queue | (position or 0) << 16)

    def acknowledge(self) -> int:
        """Read InterruptStatus, and write those of its bits to InterruptACK that are defined."""
        status = self.registers.read("isr") & _INTERRUPTS
        if status:
            self.registers.write("interrupt_ack", status)
        return status
