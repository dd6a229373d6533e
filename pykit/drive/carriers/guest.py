# SPDX-License-Identifier: GPL-2.0-only
"""Carry a driver into a guest of any monitor: registers and memory through an agent."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from pykit import pci
from pykit.drive.carriers import PeerGoneError
from pykit.drive.carriers.agent import AgentCarrier, AgentLine
from pykit.drive.carriers.by_registers import RegisterCarrier
from pykit.drive.carriers.mmio import MmioDevice
from pykit.drive.carriers.pci import ModernPci, PciFunction, interface
from pykit.drive.carriers.registers import RegisterDevice
from pykit.drive.memory import SharedMemory
from pykit.drive.ring import Ring
from pykit.spec import bits

_INTX_OFF, _PIN, _SUBSYSTEM = 1 << 10, 0x3D, 0x2E
#: Ids of modern devices are this and the id of section 5 (section 4.1.2).
_MODERN = 0x1040


@dataclass
class AssignedFunction(PciFunction):
    """A function whose BARs the guest has assigned.

    Attributes:
        line: to the agent.
        at: its place as sysfs names it.
    """

    line: AgentLine | None = None
    at: str = ""

    @classmethod
    def take(cls, line: AgentLine, at: str) -> AssignedFunction:
        """Take a function from the guest's driver, and read where its BARs are."""
        function = cls(line, 0, line=line, at=at)
        line.ask(f"u {at}")
        number = 0
        while number < pci.BAR_COUNT:
            value = function.read(pci.BARS + 4 * number, 4)
            wide = not value & 1 and value & 6 == 4
            place = value & ~3 if value & 1 else value & ~0xF
            if wide:
                place |= function.read(pci.BARS + 4 * number + 4, 4) << 32
            if place:
                function.bars[number] = place
            if value & 1:
                function.ports.add(number)
            number += 2 if wide else 1
        function.enable()
        # The interrupt line is nobody's in the guest; the ISR status shows the same.
        command = function.read(pci.COMMAND, 2)
        function.write(pci.COMMAND, command | _INTX_OFF, 2)
        return function

    def read(self, offset: int, width: int) -> int:
        """Read the configuration space."""
        assert self.line is not None
        return int(self.line.ask(f"c {self.at} {offset:x} {width:x}"), 16)

    def write(self, offset: int, value: int, width: int) -> None:
        """Write the configuration space."""
        assert self.line is not None
        self.line.post(f"C {self.at} {offset:x} {width:x} {value:x}")


class GuestCarrier(AgentCarrier, RegisterCarrier):
    """Drives a virtio device of a guest.

    Args:
        path: socket or terminal of the guest's serial line.
        wanted: id of the device (section 5).
    """

    name = "guest"

    def __init__(self, path: Path, wanted: int) -> None:
        super().__init__()
        self._path, self._wanted = path, wanted
        self._line: AgentLine | None = None
        self._device: RegisterDevice | None = None
        self._asked, self._deaf = True, False

    @property
    def device(self) -> RegisterDevice:
        """The device's registers, after the first ``reset``.

        Raises:
            PeerGoneError: there is no guest.
        """
        if self._device is None:
            raise PeerGoneError("no connection to the guest")
        return self._device

    @property
    def deaf(self) -> bool:
        """Whether the device has no interrupt line, so that its ISR status may show nothing."""
        return self._deaf

    def together(self) -> AbstractContextManager[None]:
        """As the line does it."""
        assert self._line is not None
        return self._line.together()

    def reset(self, memory: SharedMemory) -> None:
        """Wait for the guest and find the device, if that was not done; then reset it."""
        agent_memory = self._use(memory)
        if self._line is None or self._line.gone or self._device is None:
            self.stop()
            self._line = AgentLine(self._path)
            agent_memory.attach(self._line, *self._line.greet())
            self._device = self._found(self._line)
        self._broken, self._asked = False, True
        self._begin()

    def _found(self, line: AgentLine) -> RegisterDevice:
        """Find the first device of the type that is wanted.

        Raises:
            PeerGoneError: there is none.
        """
        devices = line.devices()
        for kind, place in devices:
            if kind == "p" and self._type(line, place) == self._wanted:
                function = AssignedFunction.take(line, place)
                self._deaf = not function.read(_PIN, 1)
                device = interface(line, function)
                if isinstance(device, ModernPci):
                    device.use_messages(on=False)
                return device
        places = [int(place, 16) for kind, place in devices if kind == "m"]
        return MmioDevice.find(line, places, self._wanted)

    @staticmethod
    def _type(line: AgentLine, place: str) -> int:
        device, subsystem = (
            int(line.ask(f"c {place} {at:x} 2"), 16) for at in (pci.DEVICE, _SUBSYSTEM)
        )
        return device - _MODERN if device > _MODERN else subsystem

    def typed(self, pci_type: str) -> str:
        """The device's type as captures have it: that of PCI, or its kin on MMIO."""
        mmio = isinstance(self._device, MmioDevice)
        return f"{pci_type.removesuffix('-pci')}-device" if mmio else pci_type

    def set_up(self, ring: Ring) -> None:
        """Write a queue's registers."""
        with self.together():
            self.device.set_up(ring, 0)

    def notify(self, queue: int, position: int | None = None) -> None:
        """Write the queue's number to its notification register, and the position beside it."""
        self._asked, self._heard = False, time.monotonic()
        self.device.notify(queue, position)

    def interrupts(self, queue: int) -> int:
        """Return 1 if interrupts came since the last call: what comes together is seen as one."""
        if self._deaf or not self.device.acknowledge() & 1:
            return 0
        # What it announces may have been written since memory was read.
        self._look(0)
        return 1

    def listen(self, queue: int, seconds: float) -> None:
        """Wait for the device to write anything, at most this long.

        A device that reports NEEDS_RESET is not waited for.
        """
        if not self._asked:
            self._asked = True
            self._broken = bool(self.device.status() & bits.NEEDS_RESET)
        self._look(0 if self._broken else seconds)

    def stop(self) -> None:
        """End the connection; the guest is found again in the next life."""
        if self._line is not None:
            self._line.close()
        self._line = self._device = None
