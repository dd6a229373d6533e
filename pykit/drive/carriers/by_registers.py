# SPDX-License-Identifier: GPL-2.0-only
"""What carriers have in common that reach a device by its registers."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager

from pykit.drive.carriers import PeerGoneError
from pykit.drive.carriers.registers import RegisterDevice
from pykit.spec import bits
from pykit.vhost_user import PATIENCE


class RegisterCarrier(ABC):
    """Features, queues and configuration of a device with registers."""

    def __init__(self) -> None:
        self._largest: dict[int, int] = {}
        self._queues = 1

    @property
    @abstractmethod
    def device(self) -> RegisterDevice:
        """The device's registers, after the first ``reset``.

        Raises:
            PeerGoneError: there is no connection.
        """

    @abstractmethod
    def together(self) -> AbstractContextManager[None]:
        """Send the writes that are made within this at once."""

    def _begin(self) -> None:
        """Write 0 to the status and wait until it is read (section 2.1), then ACKNOWLEDGE, DRIVER.

        Raises:
            PeerGoneError: the device does not end its reset.
        """
        device = self.device
        with self.together():
            device.set_status(0)
            deadline = time.monotonic() + PATIENCE
            while device.status():
                if time.monotonic() > deadline:
                    raise PeerGoneError("device did not end its reset")
            device.set_status(bits.ACKNOWLEDGE)
            device.set_status(bits.ACKNOWLEDGE | bits.DRIVER)
            self._queues = device.queues()

    @property
    def queues(self) -> int:
        """How many queues the device has, after the first ``reset``."""
        return self._queues

    @property
    def legacy(self) -> bool:
        """Whether the device is driven by the legacy interface."""
        return self.device.legacy

    @property
    def deaf(self) -> bool:
        """Never: interrupts are seen."""
        return False

    def offered(self) -> int:
        """Read the device's features."""
        with self.together():
            return self.device.features()

    def accept(self, features: int) -> bool:
        """Write features, then FEATURES_OK; return whether it stays set (not with legacy)."""
        device = self.device
        with self.together():
            device.accept(features)
            if device.legacy:
                return True
            device.set_status(bits.ACKNOWLEDGE | bits.DRIVER | bits.FEATURES_OK)
            return bool(device.status() & bits.FEATURES_OK)

    def config(self, offset: int, length: int) -> bytes:
        """Read the device's own configuration, a byte at a time."""
        space = self.device.space
        return bytes(space.bus.read(space.base + offset + i, 1) for i in range(length))

    def field(self, offset: int, width: int) -> bytes:
        """Read a field in its own width, one of 64 bits in its halves (section 4.1.3.1)."""
        space, step = self.device.space, width if width in (1, 2, 4) else 4
        if width % step or offset % step:
            return self.config(offset, width)
        parts = (space.bus.read(space.base + offset + at, step) for at in range(0, width, step))
        return b"".join(part.to_bytes(step, "little") for part in parts)

    def generation(self) -> int | None:
        """Read the configuration's generation; None with the legacy interface."""
        registers = self.device.registers
        return registers.read("generation") if "generation" in registers else None

    def size(self, queue: int, wanted: int) -> int:
        """What is wanted up to the largest; the legacy PCI interface leaves no choice."""
        if queue not in self._largest:
            # Once a size was written the register has that one.
            self._largest[queue] = self.device.largest(queue)
        largest = self._largest[queue]
        return largest if self.device.transport == "pci-legacy" else min(wanted, largest)

    def reset_queue(self, queue: int) -> bool:
        """Write 1 to queue_reset and wait until it reads 0 (section 2.6.1); not with MMIO."""
        registers = self.device.registers
        if "queue_reset" not in registers or self.device.transport != "pci":
            return False
        registers.write("queue_select", queue)
        registers.write("queue_reset", 1)
        deadline = time.monotonic() + PATIENCE
        while registers.read("queue_reset"):
            if time.monotonic() > deadline:
                raise PeerGoneError(f"device did not end the reset of queue {queue}")
        return True

    def unmap(self, queue: int) -> bool:
        """Take a queue's vector away; False where interrupts are no messages."""
        registers = self.device.registers
        if not self.device.messages:
            return False
        registers.write("queue_select", queue)
        registers.write("queue_vector", bits.NO_VECTOR)
        return registers.read("queue_vector") == bits.NO_VECTOR

    def unmap_changes(self) -> int | None:
        """Take the vector of configuration changes away; return what is read then.

        None where interrupts are no messages.
        """
        registers = self.device.registers
        if not self.device.messages or "config_vector" not in registers:
            return None
        registers.write("config_vector", bits.NO_VECTOR)
        return registers.read("config_vector")

    def word(self, offset: int) -> int:
        """Read four bytes of the device's configuration at once."""
        space = self.device.space
        return space.bus.read(space.base + offset, 4)

    def driver_ok(self) -> None:
        """Write DRIVER_OK."""
        self.device.set_status(self.device.status() | bits.DRIVER_OK)
