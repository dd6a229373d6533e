# SPDX-License-Identifier: GPL-2.0-only
"""Deliberate faults of a device's registers, made between a driver and a device of QEMU's.

QEMU's devices have few faults of their own. What stands between is a part of the device for its
driver: it changes what registers and the configuration space of PCI read, and drops or changes what
is written to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from pykit import pci
from pykit.drive.carriers.pci import ECAM
from pykit.drive.carriers.registers import Bus, OneByOne, RegisterSpan
from pykit.drive.carriers.watched import Machine
from pykit.trace.register_map import STRUCTURES

#: Ports of PCI's configuration mechanism.
_ADDRESS, _DATA = 0xCF8, range(0xCFC, 0xD00)
#: Where the first bus's configuration spaces are in memory.
_EXPRESS = range(ECAM, ECAM + (1 << 20))
#: The name of the field pci_cfg_data for faults, and where it is in its capability.
WINDOW, _CFG_DATA = "pci_cfg_data", 16


@dataclass
class RegisterState:
    """What the driver has done to the registers so far.

    Attributes:
        written: the last value of each register, by name; of a queue's by name and queue.
        reads: how often each register was read since it was written, or the device was reset.
        resets: how often the device was reset.
    """

    written: dict[tuple[str, int], int] = field(default_factory=dict)
    reads: dict[str, int] = field(default_factory=dict)
    resets: int = 0

    @property
    def queue(self) -> int:
        """The selected queue."""
        return self.of("queue_select")

    def of(self, name: str, queue: int = -1) -> int:
        """Return what was written last to a register, 0 before that."""
        return self.written.get((name, queue), 0)


Reads = Callable[[int, RegisterState], int]
#: None for a write that is dropped.
Writes = Callable[[int, RegisterState], "int | None"]
Edit = Callable[[bytearray], None]


@dataclass(frozen=True)
class RegisterFault:
    """A fault: what registers read, by name, what is written to them, what PCI's space has.

    ``WINDOW`` is the name of pci_cfg_data.
    """

    reads: Mapping[str, Reads] = field(default_factory=dict)
    writes: Mapping[str, Writes] = field(default_factory=dict)
    config: Edit | None = None


class FaultyMachine(OneByOne):
    """A machine whose virtio device has a fault.

    Args:
        inner: the machine.
        fault: of the device's registers, from the moment on at which they were found.
    """

    def __init__(self, inner: Machine, fault: RegisterFault) -> None:
        self._inner, self._fault = inner, fault
        self._spans: tuple[RegisterSpan, ...] = ()
        self._state = RegisterState()
        self.ports: Bus = _FaultyPorts(self, inner.ports)
        self._address, self._window = 0, -1
        self._overlay: dict[int, int] | None = None

    def together(self) -> AbstractContextManager[None]:
        """Send the writes that are made within this at once."""
        return self._inner.together()

    def watch(self, spans: tuple[RegisterSpan, ...]) -> None:
        """Have the fault in these structures."""
        self._spans = spans

    def read(self, address: int, width: int) -> int:
        """Read memory space."""
        overlay = self._overlay
        if overlay is not None and address in _EXPRESS:
            # QEMU's device has no extended space: what the fault leaves alone is empty.
            at = address & pci.EXTENDED - 1
            return int.from_bytes(bytes(overlay.get(at + i, 0) for i in range(width)), "little")
        return self.changed(address, width, self._inner.read(address, width), ports=False)

    def write(self, address: int, value: int, width: int) -> None:
        """Write memory space."""
        kept = self.kept(address, value, ports=False)
        if kept is not None:
            self._inner.write(address, kept, width)

    def changed(self, address: int, width: int, value: int, *, ports: bool) -> int:
        """What is read instead of a value."""
        name = self._name(address, ports=ports)
        change = self._fault.reads.get(name)
        if not name or change is None:
            return value
        self._state.reads[name] = self._state.reads.get(name, 0) + 1
        return change(value, self._state) & (1 << 8 * width) - 1

    def kept(self, address: int, value: int, *, ports: bool) -> int | None:
        """What is written instead of a value; None for nothing."""
        name = self._name(address, ports=ports)
        change = self._fault.writes.get(name)
        found = value if change is None else change(value, self._state)
        state = self._state
        if name == "status" and not value:
            state.written.clear()
            state.reads.clear()
            state.resets += 1
        elif name:
            state.written[name, -1] = state.written[name, state.queue] = value
            state.reads[name] = 0
        return found

    def _name(self, address: int, *, ports: bool) -> str:
        for span in self._spans:
            if span.ports == ports and span.base <= address < span.base + span.length:
                if span.structure == "config":
                    return f"config+{address - span.base}"
                for register in STRUCTURES[span.structure]:
                    if register.offset == address - span.base or span.structure == "notify":
                        return register.name
        return ""

    # PCI's configuration space.

    def select(self, value: int) -> None:
        """Take note of the place that the next access to the space is about."""
        self._address = value

    def space_read(self, port: int, width: int, value: int) -> int:
        """What a read of the space has instead."""
        at = (self._address & 0xFC) + port - _DATA.start
        change = self._fault.reads.get(WINDOW) if at == self._window else None
        if change is not None:
            return change(value, self._state) & (1 << 8 * width) - 1
        if self._overlay is None:
            return value
        data = value.to_bytes(width, "little")
        shown = bytes(self._overlay.get(at + i, byte) for i, byte in enumerate(data))
        return int.from_bytes(shown, "little")

    def space_kept(self, port: int, value: int) -> int | None:
        """What is written to the space instead; None for nothing."""
        at = (self._address & 0xFC) + port - _DATA.start
        change = self._fault.writes.get(WINDOW) if at == self._window else None
        return value if change is None else change(value, self._state)

    def space_written(self, port: int) -> None:
        """Make the fault's changes once the function is switched on, which ends its search."""
        at = (self._address & 0xFC) + port - _DATA.start
        if at != pci.COMMAND:
            return
        before = self._space().ljust(pci.EXTENDED, b"\0")
        self._window = _window(before)
        if self._fault.config is None:
            return
        after = bytearray(before)
        self._fault.config(after)
        self._overlay = {i: new for i, new in enumerate(after) if new != before[i]}

    def _space(self) -> bytes:
        slot, found = self._address & ~0xFF, bytearray()
        for at in range(0, pci.CONVENTIONAL, 4):
            self._inner.ports.write(_ADDRESS, slot | at, 4)
            found += self._inner.ports.read(_DATA.start, 4).to_bytes(4, "little")
        self._inner.ports.write(_ADDRESS, self._address, 4)
        return bytes(found)


def _window(space: bytes) -> int:
    """Where pci_cfg_data is, -1 without it (section 4.1.4.9)."""
    for capability in pci.capabilities(space)[0]:
        own = capability.id == pci.VENDOR_SPECIFIC
        if own and pci.virtio(capability).cfg_type == pci.PCI_CFG:
            return capability.pos + _CFG_DATA
    return -1


class _FaultyPorts(OneByOne):
    """The I/O ports of a faulty machine."""

    def __init__(self, machine: FaultyMachine, inner: Bus) -> None:
        self._machine, self._inner = machine, inner

    def read(self, address: int, width: int) -> int:
        """Read an I/O port."""
        value = self._inner.read(address, width)
        if address in _DATA:
            return self._machine.space_read(address, width, value)
        return self._machine.changed(address, width, value, ports=True)

    def write(self, address: int, value: int, width: int) -> None:
        """Write an I/O port."""
        kept = self._machine.kept(address, value, ports=True)
        if kept is not None and address in _DATA:
            kept = self._machine.space_kept(address, kept)
        if kept is None:
            return
        if address == _ADDRESS:
            self._machine.select(value)
        self._inner.write(address, kept, width)
        if address in _DATA:
            self._machine.space_written(address)
