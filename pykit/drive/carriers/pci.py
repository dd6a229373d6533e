# SPDX-License-Identifier: GPL-2.0-only
"""A virtio PCI device by its registers: modern (section 4.1) and legacy (section 4.1.4.10)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pykit import pci
from pykit.drive.carriers import PeerGoneError
from pykit.drive.carriers.registers import (
    PAGE,
    Bus,
    BusAccess,
    OneByOne,
    RegisterBlock,
    RegisterDevice,
    RegisterSpan,
)
from pykit.drive.ring import Ring
from pykit.spec.bits import NO_VECTOR
from pykit.trace.register_map import LEGACY_CONFIG, REGISTERS, STRUCTURES

#: Ports of PCI's configuration mechanism, and where BARs are put.
_ADDRESS, _DATA = 0xCF8, 0xCFC
_MEMORY, _PORTS = 0xE0000000, 0xC000
_VENDOR = 0x1AF4
#: The first device ids and the last ones of virtio (section 4.1.2).
_IDS = range(0x1000, 0x1080)
#: The function that is looked for is on bus 0; 32 slots.
_SLOTS = 32
#: Where configuration spaces are put in memory, and q35's register for that.
ECAM, _ECAM_REGISTER = 0xB0000000, 0x60
_MSIX_ENABLE = 1 << 15
#: Bytes of the common configuration with all of its fields.
_COMMON_BYTES = 64
#: Bytes of a legacy device's own configuration, at most.
_LEGACY_CONFIG_BYTES = 256


class PciBus(Bus, Protocol):
    """Memory space, with the I/O ports beside it."""

    @property
    def ports(self) -> Bus:
        """The I/O ports."""


@dataclass
class PciFunction(OneByOne):
    """The one virtio function of a machine, with its BARs assigned.

    Attributes:
        slot: on bus 0.
        bars: where each BAR was put.
        ports: numbers of those that are I/O ports.
        config: its configuration space after that.
        sizes: bytes of each BAR, and whether its address has 64 bits.
        extended: what follows in its extended configuration space, once it was surveyed.
        report: is called for each access to the configuration space: offset, value, and whether it
            is a write.
    """

    bus: PciBus
    slot: int
    bars: dict[int, int] = field(default_factory=dict)
    ports: set[int] = field(default_factory=set)
    config: bytes = b""
    sizes: dict[int, tuple[int, bool]] = field(default_factory=dict)
    report: Callable[[int, int, bool], None] = lambda offset, value, write: None
    extended: bytes = b""

    @classmethod
    def find(cls, bus: PciBus) -> PciFunction:
        """Find the function and assign its BARs.

        Raises:
            PeerGoneError: there is none.
        """
        for slot in range(_SLOTS):
            function = cls(bus, slot)
            vendor, device = function.read(pci.VENDOR, 2), function.read(pci.DEVICE, 2)
            if vendor == _VENDOR and device in _IDS:
                function._assign()
                return function
        raise PeerGoneError("QEMU has no virtio device on its first PCI bus")

    def read(self, offset: int, width: int) -> int:
        """Read the configuration space."""
        self.bus.ports.write(_ADDRESS, 1 << 31 | self.slot << 11 | offset & 0xFC, 4)
        value = self.bus.ports.read(_DATA + (offset & 3), width)
        self.report(offset, value, False)
        return value

    def write(self, offset: int, value: int, width: int) -> None:
        """Write the configuration space."""
        self.report(offset, value, True)
        self.bus.ports.write(_ADDRESS, 1 << 31 | self.slot << 11 | offset & 0xFC, 4)
        self.bus.ports.write(_DATA + (offset & 3), value, width)

    def _assign(self) -> None:
        memory, ports, number = _MEMORY, _PORTS, 0
        while number < pci.BAR_COUNT:
            at = pci.BARS + 4 * number
            kind = self.read(at, 4)
            self.write(at, 0xFFFFFFFF, 4)
            mask = self.read(at, 4)
            wide = not kind & 1 and kind & 6 == 4
            if mask in (0, 0xFFFFFFFF):
                number += 1
                continue
            if kind & 1:
                size = (~(mask & ~3) & 0xFFFF) + 1
                ports = -(-ports // size) * size
                self.write(at, ports, 4)
                self.ports.add(number)
                self.sizes[number] = size, False
                self.bars[number], ports = ports, ports + size
            else:
                size = (~(mask & ~0xF) & 0xFFFFFFFF) + 1
                memory = -(-memory // size) * size
                self.write(at, memory, 4)
                if wide:
                    self.write(at + 4, 0, 4)
                self.sizes[number] = size, wide
                self.bars[number], memory = memory, memory + size
            number += 2 if wide else 1
        self.enable()

    def enable(self) -> None:
        """Turn on memory, I/O ports and bus mastering, and read the configuration space."""
        enabled = pci.IO_SPACE | pci.MEMORY_SPACE | pci.BUS_MASTER
        self.write(pci.COMMAND, self.read(pci.COMMAND, 2) | enabled, 2)
        words = [self.read(at, 4) for at in range(0, pci.CONVENTIONAL, 4)]
        self.config = b"".join(word.to_bytes(4, "little") for word in words)

    def report_found(self) -> None:
        """Report the reads of the configuration space by which the function was found."""
        for at in range(0, pci.CONVENTIONAL, 4):
            self.report(at, int.from_bytes(self.config[at : at + 4], "little"), False)

    def survey(self) -> dict[str, Any]:
        """What the configuration space shows, as a survey of a guest's device has it."""
        regions = [
            {"bar": number, "size": size, "io": number in self.ports, "wide": wide}
            for number, (size, wide) in self.sizes.items()
        ]
        found = {"transport": "pci", "at": "found", "place": self.address}
        found["config"] = (self.config + self._extended()).hex()
        return found | {"regions": regions, "reads": []}

    def _extended(self) -> bytes:
        """Read the heads of extended capabilities, and zeros between them, where there are any."""
        if not any(found.id == pci.EXPRESS for found in pci.capabilities(self.config)[0]):
            return b""
        PciFunction(self.bus, 0).write(_ECAM_REGISTER, ECAM | 1, 4)
        space, pos, express = bytearray(), pci.CONVENTIONAL, ExpressSpace(self)
        while pos >= pci.CONVENTIONAL + len(space):
            head = express.read(pos, 4)
            if head in (0, 0xFFFFFFFF):
                break
            space = space.ljust(pos - pci.CONVENTIONAL, b"\0") + head.to_bytes(4, "little")
            pos = head >> 20 & ~3
        self.extended = bytes(space)
        return self.extended

    @property
    def address(self) -> str:
        """Bus, slot and function, as PCI writes them."""
        return f"00:{self.slot:02x}.0"

    def structures(self) -> dict[int, pci.VirtioCapability]:
        """The structures of the modern interface, by type."""
        found: dict[int, pci.VirtioCapability] = {}
        for capability in pci.capabilities(self.config)[0]:
            if capability.id == pci.VENDOR_SPECIFIC:
                structure = pci.virtio(capability)
                # The first of several is the one that the device prefers (section 4.1.4.1).
                if structure.cfg_type is not None and structure.bar in self.bars:
                    found.setdefault(structure.cfg_type, structure)
        return found

    def place(self, structure: pci.VirtioCapability) -> int:
        """The address of a structure."""
        assert structure.bar is not None
        return self.bars[structure.bar] + (structure.offset or 0)

    def message_table(self, on: bool = True) -> int:
        """Turn MSI-X on or off; return the address of its table, 0 without one."""
        for capability in pci.capabilities(self.config)[0]:
            table = capability.number(4, 4) if capability.id == pci.MSI_X else None
            if table is not None and table & 7 in self.bars:
                control = self.read(capability.pos + 2, 2)
                control = control | _MSIX_ENABLE if on else control & ~_MSIX_ENABLE
                self.write(capability.pos + 2, control, 2)
                return self.bars[table & 7] + (table & ~7)
        return 0

    @property
    def vectors(self) -> int:
        """How many vectors MSI-X has, 0 without it."""
        for capability in pci.capabilities(self.config)[0]:
            control = capability.number(2, 2) if capability.id == pci.MSI_X else None
            if control is not None:
                return (control & 0x7FF) + 1
        return 0

    def named(self, name: str) -> tuple[Bus, int] | None:
        """The configuration space, a capability in it, or a table of MSI-X, as steps name it."""
        if name == "pci":
            return self, 0
        if name == "sr-iov":
            places = [
                p
                for p, kind, _ in pci.extended(self.config + self.extended)[0]
                if kind == pci.SR_IOV
            ]
            return (ExpressSpace(self), places[0]) if places else None
        kinds = {"express": pci.EXPRESS, "msi": pci.MSI, "msix": pci.MSI_X}
        kinds |= {"vectors": pci.MSI_X, "pending": pci.MSI_X}
        virtio = {"window": pci.PCI_CFG, "notify-capability": pci.NOTIFY_CFG}
        for capability in pci.capabilities(self.config)[0]:
            if capability.id == pci.VENDOR_SPECIFIC:
                if pci.virtio(capability).cfg_type == virtio.get(name, -1):
                    return self, capability.pos
            elif capability.id != kinds.get(name):
                continue
            elif name in ("vectors", "pending"):
                # Where table and pending bits are: offset, and BAR in the three lowest bits.
                where = capability.number(4 if name == "vectors" else 8, 4) or 0
                return (
                    (self.bus, self.bars[where & 7] + (where & ~7))
                    if where & 7 in self.bars
                    else None
                )
            else:
                return self, capability.pos
        return None


@dataclass
class ExpressSpace(OneByOne):
    """The configuration space of a function by its place in memory (PCI Express, 7.2.2)."""

    function: PciFunction

    @property
    def _base(self) -> int:
        return ECAM + (self.function.slot << 15)

    def read(self, offset: int, width: int) -> int:
        """Read the space."""
        value = self.function.bus.read(self._base + offset, width)
        self.function.report(offset, value, False)
        return value

    def write(self, offset: int, value: int, width: int) -> None:
        """Write the space."""
        self.function.report(offset, value, True)
        self.function.bus.write(self._base + offset, value, width)


def interface(bus: PciBus, function: PciFunction) -> RegisterDevice:
    """Drive a function by its modern interface, where it has one.

    Raises:
        PeerGoneError: it has neither interface.
    """
    structures = function.structures()
    if {pci.COMMON_CFG, pci.NOTIFY_CFG, pci.ISR_CFG} <= structures.keys():
        return ModernPci(bus, function, structures)
    if 0 in function.ports:
        return LegacyPci(bus, function)
    raise PeerGoneError("device has neither the modern nor the legacy interface")


class ModernPci(RegisterDevice):
    """The modern interface: structures in BARs, MSI-X or INTx."""

    transport = "pci"

    def __init__(
        self, bus: PciBus, function: PciFunction, structures: dict[int, pci.VirtioCapability]
    ) -> None:
        self._bus, self._function, self._structures = bus, function, structures
        self.registers = RegisterBlock(bus, function.place(structures[pci.COMMON_CFG]), "common")
        self._isr = RegisterBlock(bus, function.place(structures[pci.ISR_CFG]), "isr")
        # A device without a configuration of its own has no such structure.
        own = structures.get(pci.DEVICE_CFG, structures[pci.COMMON_CFG])
        self.space = RegisterBlock(bus, function.place(own), "config")
        self._doorbells = function.place(structures[pci.NOTIFY_CFG])
        # QEMU's devices may have them in I/O ports, and prefer those.
        self._bell = bus.ports if structures[pci.NOTIFY_CFG].bar in function.ports else bus
        self._multiplier = structures[pci.NOTIFY_CFG].multiplier or 0
        self._table = function.message_table()
        self.messages = bool(self._table)
        self._offsets: dict[int, int] = {}
        #: How many queues it has, once that was read.
        self._count = 0

    @property
    def spans(self) -> tuple[RegisterSpan, ...]:
        """The structures that the capabilities name, and the legacy header where there is one."""
        legacy = [
            RegisterSpan(True, self._function.bars[0], LEGACY_CONFIG, "legacy")
            for number in self._function.ports
            if number == 0
        ]
        names = pci.CFG_TYPES | {pci.DEVICE_CFG: "config"}
        # Accesses behind the end of a structure that is short are still meant for it.
        least = {pci.COMMON_CFG: _COMMON_BYTES}
        return *legacy, *(
            RegisterSpan(
                found.bar in self._function.ports,
                self._function.place(found),
                max(found.length or 0, least.get(kind, 0)),
                names[kind],
            )
            for kind, found in self._structures.items()
            if names.get(kind) in STRUCTURES
        )

    def identify(self) -> None:
        """Nothing: the configuration space of PCI has been read."""

    def survey(self) -> list[list[Any]]:
        """Read what a survey has of registers: ``[region, offset, bytes, value]`` each."""
        return [self._surveyed(name) for name in ("num_queues", "queue_select", "queue_notify_off")]

    def _surveyed(self, name: str) -> list[Any]:
        register = REGISTERS["common"][name]
        return ["common", register.offset, register.size, self.registers.read(name)]

    def queues(self) -> int:
        """Read how many queues the device has."""
        self._count = self.registers.read("num_queues")
        return self._count

    def set_up(self, ring: Ring, message: int, changes: int = 0) -> bool:
        """Write size, vector and addresses, read back what can be, and enable the queue.

        Changes of the configuration get the last vector, where no queue needs it.
        """
        of, index, vectors = self.registers, ring.index, self._function.vectors
        last = vectors - 1
        announced = bool(changes) and last >= (self._count or self.queues())
        # A queue without a vector is looked at without interrupts.
        mapped = bool(message) and index < vectors
        accesses: list[BusAccess] = []
        if announced:
            accesses += self._vector(last, changes)
            accesses += of.writing("config_vector", last), of.reading("config_vector")
        if mapped:
            accesses += self._vector(index, message)
        accesses.append(of.writing("queue_select", index))
        accesses += of.writing("queue_size", ring.asked or ring.size), of.reading("queue_size")
        if mapped:
            accesses += of.writing("queue_vector", index), of.reading("queue_vector")
        accesses += *self.areas(ring), of.reading("queue_notify_off")
        *found, self._offsets[index] = of.do(*accesses)
        if mapped and found[-1] == NO_VECTOR:
            raise PeerGoneError(f"device has no vector for queue {index}")
        of.write("queue_enable", 1)
        return announced and found[0] != NO_VECTOR

    def _vector(self, number: int, message: int) -> Iterator[BusAccess]:
        """The writes that let a vector of MSI-X write its number plus one there (PCI, 6.8.2)."""
        entry = self._table + 16 * number
        for offset, value in ((0, message), (4, 0), (8, number + 1), (12, 0)):
            yield BusAccess(entry + offset, 4, value)

    def notify(self, queue: int, position: int | None = None) -> None:
        """Write to a queue's place in the notification structure (4.1.5.2)."""
        at = self._doorbells + self._offsets.get(queue, queue) * self._multiplier
        if position is None:
            self._bell.write(at, queue, 2)
        else:
            self._bell.write(at, queue | position << 16, 4)

    def acknowledge(self) -> int:
        """Read the ISR status, which clears it."""
        return self._isr.read("isr")

    @property
    def places(self) -> Mapping[str, int]:
        """BARs and offsets of the common and the notification structure, address of the first."""
        found = {"bar": self.registers.base}
        for name, kind in (("common", pci.COMMON_CFG), ("notify", pci.NOTIFY_CFG)):
            structure = self._structures[kind]
            found[f"{name}-bar"], found[f"{name}-offset"] = (
                structure.bar or 0,
                structure.offset or 0,
            )
        common = REGISTERS["common"]
        found["offer-offset"] = found["common-offset"] + common["device_feature"].offset
        found["queues-offset"] = found["common-offset"] + common["num_queues"].offset
        return found

    @property
    def problem(self) -> str:
        """What is wrong with the capability list or with the places of notifications (4.1.4.4)."""
        if problem := pci.capabilities(self._function.config)[1]:
            return problem
        step, room = self._multiplier, self._structures[pci.NOTIFY_CFG].length or 0
        if step & step - 1:
            return f"notify_off_multiplier is {step}, no power of two"
        for queue in range(self.queues()):
            self.registers.write("queue_select", queue)
            if self.registers.read("queue_notify_off") * step + 2 > room:
                return f"queue {queue} is notified behind the {room} bytes for notifications"
        return ""

    def place(self, name: str) -> tuple[Bus, int] | None:
        """As for any device; also the configuration space, its capabilities, and MSI-X."""
        if name == "notify":
            return self._bell, self._doorbells
        if name == "legacy" and 0 in self._function.ports:
            return self._bus.ports, self._function.bars[0]
        if name == "isr":
            return self._isr.bus, self._isr.base
        return self._function.named(name) or super().place(name)

    def use_messages(self, on: bool) -> None:
        """Turn MSI-X on, or off: then the device raises its line."""
        self.messages = bool(self._function.message_table(on)) and on

    def line_state(self) -> tuple[int, int]:
        """Read the status register of PCI, then the ISR status."""
        return self._function.read(pci.STATUS, 2), self.acknowledge()

    def block(self, register: str) -> RegisterBlock | None:
        """The structure that has a register: the common one, or that of ISR."""
        return self._isr if register == "isr" else super().block(register)


class LegacyPci(RegisterDevice):
    """The legacy interface: a header in the I/O ports of BAR 0, INTx."""

    transport = "pci-legacy"

    def __init__(self, bus: PciBus, function: PciFunction) -> None:
        self.registers = RegisterBlock(bus.ports, function.bars[0], "legacy")
        self.space = RegisterBlock(bus.ports, function.bars[0] + LEGACY_CONFIG, "config")

    @property
    def spans(self) -> tuple[RegisterSpan, ...]:
        """The header, and the configuration behind it."""
        base = self.registers.base
        return (
            RegisterSpan(True, base, LEGACY_CONFIG, "legacy"),
            RegisterSpan(True, base + LEGACY_CONFIG, _LEGACY_CONFIG_BYTES, "config"),
        )

    def identify(self) -> None:
        """Nothing: the configuration space of PCI has been read."""

    def set_up(self, ring: Ring, message: int, changes: int = 0) -> bool:
        """Write the page that the queue begins at: its size is the device's."""
        of = self.registers
        of.do(of.writing("queue_select", ring.index), of.writing("queue_pfn", ring.desc // PAGE))
        return False

    def notify(self, queue: int, position: int | None = None) -> None:
        """Write the queue's number to the one register for all."""
        self.registers.write("queue_notify", queue)

    def acknowledge(self) -> int:
        """Read the ISR status, which clears it."""
        return self.registers.read("isr")
