# SPDX-License-Identifier: GPL-2.0-only
"""A virtio device by its registers: what the transports have in common (section 4).

Names of registers are those of ``pykit.trace.register_map``: one name stands for one notion in all
transports.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pykit.drive.ring import Ring
from pykit.trace.register_map import REGISTERS

#: Queues that are looked for where no register has their number.
_MOST_QUEUES = 64
#: What the used ring of a legacy queue is aligned to, and the unit of its address (2.7.2).
PAGE = 4096


class RegisterSpan(NamedTuple):
    """Where a structure of registers is: in I/O ports or in memory, first address, and bytes."""

    ports: bool
    base: int
    length: int
    structure: str


class BusAccess(NamedTuple):
    """An access that is still to be made: a write of a value, or a read."""

    address: int
    width: int
    value: int | None = None


class Bus(Protocol):
    """Access to an address space."""

    def read(self, address: int, width: int) -> int:
        """Read 1, 2, 4 or 8 bytes."""

    def write(self, address: int, value: int, width: int) -> None:
        """Write 1, 2, 4 or 8 bytes."""

    def do(self, accesses: Sequence[BusAccess]) -> list[int]:
        """Make accesses in their order, by one message if that can be; return what was read."""


class OneByOne:
    """A bus on which each access is made by itself."""

    def do(self: Bus, accesses: Sequence[BusAccess]) -> list[int]:
        """Make accesses in their order; return what was read."""
        found = []
        for address, width, value in accesses:
            if value is None:
                found.append(self.read(address, width))
            else:
                self.write(address, value, width)
        return found


@dataclass(frozen=True)
class RegisterBlock:
    """One structure of registers.

    Attributes:
        bus: the address space that it is in.
        base: its first address.
        structure: its name in ``pykit.trace.REGISTERS``.
    """

    bus: Bus
    base: int
    structure: str

    def __contains__(self, name: str) -> bool:
        return name in REGISTERS[self.structure]

    def read(self, name: str) -> int:
        """Read a register at its own width."""
        register = REGISTERS[self.structure][name]
        return self.bus.read(self.base + register.offset, register.size)

    def write(self, name: str, value: int) -> None:
        """Write a register at its own width."""
        register = REGISTERS[self.structure][name]
        self.bus.write(self.base + register.offset, value, register.size)

    def reading(self, name: str) -> BusAccess:
        """A read of a register at its own width, to be made by ``do``."""
        register = REGISTERS[self.structure][name]
        return BusAccess(self.base + register.offset, register.size)

    def writing(self, name: str, value: int) -> BusAccess:
        """A write of a register at its own width, to be made by ``do``."""
        return self.reading(name)._replace(value=value)

    def do(self, *accesses: BusAccess) -> list[int]:
        """Make accesses in their order; return what was read."""
        return self.bus.do(accesses)


class RegisterDevice(ABC):
    """A device on one transport.

    Attributes:
        transport: pci, pci-legacy, mmio or mmio-legacy.
        registers: the structure with status, features and queues.
        space: the device's own configuration, byte 0 at its base.
        messages: whether interrupts are messages into guest memory (MSI-X).
    """

    transport: str
    registers: RegisterBlock
    space: RegisterBlock
    messages = False

    @property
    def legacy(self) -> bool:
        """Whether it is driven by the legacy interface."""
        return self.transport.endswith("-legacy")

    def status(self) -> int:
        """Read the device status."""
        return self.registers.read("status")

    def set_status(self, value: int) -> None:
        """Write the device status."""
        self.registers.write("status", value)

    def queues(self) -> int:
        """Find out how many queues the device has: the first that is not there has size 0."""
        for index in range(_MOST_QUEUES):
            if not self.largest(index):
                return index
        return _MOST_QUEUES

    def largest(self, index: int) -> int:
        """Select a queue and read the largest size that the device allows."""
        self.registers.write("queue_select", index)
        return self.limit()

    def limit(self) -> int:
        """Read the largest size of the selected queue."""
        largest = "queue_size_max" if "queue_size_max" in self.registers else "queue_size"
        return self.registers.read(largest)

    @property
    @abstractmethod
    def spans(self) -> tuple[RegisterSpan, ...]:
        """Where its structures of registers are."""

    @abstractmethod
    def identify(self) -> None:
        """Read what a driver looks at before it uses the device, where registers have that."""

    @property
    def places(self) -> Mapping[str, int]:
        """Where structures are, as steps name it: numbers of BARs, offsets in them, addresses."""
        return {}

    @property
    def problem(self) -> str:
        """What is wrong with how the device presents itself; empty if nothing is."""
        return ""

    def place(self, name: str) -> tuple[Bus, int] | None:
        """A structure that steps access byte by byte: its bus, and its first address there."""
        block = {"registers": self.registers, "config": self.space}.get(name)
        return None if block is None else (block.bus, block.base)

    def block(self, register: str) -> RegisterBlock | None:
        """The structure that has a register; None without one."""
        return self.registers if register in self.registers else None

    def features(self) -> int:
        """Read all words of the device's features; the legacy PCI header has one."""
        if "device_feature_select" not in self.registers:
            return self.registers.read("device_feature")
        of = self.registers
        words = of.do(
            *(of.writing("device_feature_select", 0), of.reading("device_feature")),
            *(of.writing("device_feature_select", 1), of.reading("device_feature")),
        )
        return words[0] | words[1] << 32

    def accept(self, features: int) -> None:
        """Write all words of the driver's features."""
        if "driver_feature_select" not in self.registers:
            self.registers.write("driver_feature", features & 0xFFFFFFFF)
            return
        for word in range(2):
            self.registers.write("driver_feature_select", word)
            self.registers.write("driver_feature", features >> 32 * word & 0xFFFFFFFF)

    @abstractmethod
    def set_up(self, ring: Ring, message: int, changes: int = 0) -> bool:
        """Write a queue's size and addresses, and enable it.

        Args:
            ring: the queue.
            message: address in guest memory that its interrupt writes to, 0 without messages.
            changes: address that changes of the configuration are to write to, 0 for none.

        Returns:
            Whether changes of the configuration write there.
        """

    @abstractmethod
    def notify(self, queue: int, position: int | None = None) -> None:
        """Notify the device of new available buffers, with the ring's position if there is one."""

    @abstractmethod
    def acknowledge(self) -> int:
        """Read the interrupt status, and acknowledge it."""

    def areas(self, ring: Ring) -> Iterator[BusAccess]:
        """The writes of the addresses of a queue's three areas."""
        for name, address in (
            ("queue_desc", ring.desc), ("queue_driver", ring.driver), ("queue_device", ring.device),
        ):  # fmt: skip
            yield self.registers.writing(f"{name}_low", address & 0xFFFFFFFF)
            yield self.registers.writing(f"{name}_high", address >> 32)
