# SPDX-License-Identifier: GPL-2.0-only
"""What carriers have in common that reach a device by its registers."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from pykit.drive.carriers import PeerGoneError
from pykit.drive.carriers.registers import BusAccess, RegisterDevice
from pykit.spec import bits
from pykit.vhost_user import PATIENCE

#: Bytes of the widest access to a configuration space.
WORD = 4


class ReadFields(NamedTuple):
    """Bytes of fields, and the generation before and behind their reads where it was read."""

    data: list[bytes]
    before: int | None = None
    after: int | None = None


def is_wide(widths: Sequence[int]) -> bool:
    """Whether fields of these widths take more than one access: they may change in between."""
    return len(widths) > 1 or widths[0] > WORD


class RegisterCarrier(ABC):
    """Features, queues and configuration of a device with registers."""

    def __init__(self) -> None:
        self._largest: dict[int, int] = {}
        self._queues = 1
        #: What was written to the device's status last.
        self._status = 0

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
            self._status = bits.ACKNOWLEDGE | bits.DRIVER
            device.set_status(self._status)
            # A device shows its largest sizes anew behind each reset.
            self._largest.clear()
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
            self._status |= bits.FEATURES_OK
            device.set_status(self._status)
            return bool(device.status() & bits.FEATURES_OK)

    def config(self, offset: int, length: int) -> bytes:
        """Read the device's own configuration, a byte at a time."""
        space = self.device.space
        return bytes(space.bus.read(space.base + offset + i, 1) for i in range(length))

    def fields(self, groups: Sequence[Sequence[tuple[int, int]]]) -> list[ReadFields]:
        """Read groups of fields, by offset and width, in their own widths, all by one message.

        One of 64 bits is read in its halves (section 4.1.3.1), a group that takes several accesses
        between two reads of the generation. The legacy interface has none: all are read until two
        reads agree (section 2.5.4).
        """
        found = self._fields(groups)
        if self.legacy and any(width > 1 for group in groups for _, width in group):
            while found != (again := self._fields(groups)):
                found = again
        return found

    def _fields(self, groups: Sequence[Sequence[tuple[int, int]]]) -> list[ReadFields]:
        registers, space = self.device.registers, self.device.space
        generation = [registers.reading("generation")] if "generation" in registers else []
        accesses: list[BusAccess] = []
        for group in groups:
            around = generation if is_wide([width for _, width in group]) else []
            accesses += around
            for offset, width in group:
                step = _step(offset, width)
                places = range(space.base + offset, space.base + offset + width, step)
                accesses += (BusAccess(at, step) for at in places)
            accesses += around
        values = iter(space.bus.do(accesses))
        return [_read(group, values, bool(generation)) for group in groups]

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
        """Write DRIVER_OK, and whatever the device has set beside what was written."""
        of = self.device.registers
        status = self._status | bits.DRIVER_OK
        (found,) = of.do(of.reading("status"), of.writing("status", status))
        if found & ~status:
            self.device.set_status(found | bits.DRIVER_OK)


def _step(offset: int, width: int) -> int:
    """How many bytes of a field are read at once: its own width, or the largest part of it."""
    step = width if width in (1, 2, 4) else WORD
    return 1 if width % step or offset % step else step


def _read(
    group: Sequence[tuple[int, int]], values: Iterator[int], has_generation: bool
) -> ReadFields:
    """Put fields together from what was read, with the generation around them or without."""
    around = has_generation and is_wide([width for _, width in group])
    before = next(values) if around else None
    data = []
    for offset, width in group:
        step = _step(offset, width)
        parts = (next(values).to_bytes(step, "little") for _ in range(0, width, step))
        data.append(b"".join(parts))
    return ReadFields(data, before, next(values) if around else None)
