# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios: which device, which modules and programs, and what is done with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pykit.arch import AMD64, ARM64, RISCV64
from pykit.paths import ROOT
from pykit.qemu.program import CPUS
from pykit.scenario.transport import PCI, Transport

SCENARIOS = ROOT / "scenarios"

#: What the host does between the guest's steps.
Action = Literal["plug", "unplug", "resize", "query", "qmp"]

#: Who may look on from outside: a plugin of TCG's that sees every access to a ring, a thread that
#: looks at the rings in the guest's memory, and a tap before each device that another process
#: serves.
Observer = Literal["access", "rings", "tap"]


#: What is behind a device: a raw file, one of which reads of BAD_SECTOR fail, one that answers its
#: requests one by one, nothing at all (QEMU answers at once), or a file that a process of its own
#: (qemu-storage-daemon) serves, as a vhost-user device. No disk has QEMU's own network, a folder,
#: one end of a pipe to its parent's other child, or none of all.
Backing = Literal[
    "file", "failing", "slow", "null", "vhost-user", "net", "folder", "pipe", "none"
]  # fmt: skip

#: What goes wrong in a run without a rule that fails. A scenario lists what it provokes on purpose;
#: any other makes the run fail.
#:
#: * io-errors: the guest's kernel reports I/O errors, or a ring that it cannot understand;
#: * qemu-errors: QEMU reports an error of a virtio device on its standard error;
#: * back-end-gone: the process that serves a device hung up;
#: * needs-reset: a device set DEVICE_NEEDS_RESET;
#: * refused-used: the driver refused a used entry;
#: * lost-requests: the driver took requests back that the device had not returned;
#: * standstill: a queue stands still where the trace ends;
#: * contested: rules look violated, and either side may be to blame.
Trouble = Literal[
    "io-errors", "qemu-errors", "back-end-gone", "needs-reset", "refused-used", "lost-requests",
    "standstill", "contested",
]  # fmt: skip

#: The sector that cannot be read of a disk that fails.
BAD_SECTOR = 2048

#: Stands for the path of its socket in a back-end's command.
SOCKET = "{socket}"

#: The kit's own driver.
OWN_DRIVER = "pykit_virtio_blk"

#: Firmware that has virtio drivers of its own, and the machines that it is for.
FIRMWARE = {
    "seabios": AMD64, "ovmf": AMD64, "u-boot": AMD64, "ipxe": AMD64,
    "aavmf": ARM64, "u-boot-arm64": ARM64, "u-boot-riscv64": RISCV64,
}  # fmt: skip


@dataclass(frozen=True)
class Device:
    """A device under test, of ``size_mib``."""

    id: str
    type: str
    size_mib: int
    options: dict[str, Any]
    #: The virtio driver that is to drive it.
    driver: str = OWN_DRIVER
    backing: Backing = "file"
    #: Whether QEMU serves it in a thread of its own.
    iothread: bool = False
    #: For firmware: text files, by name, that it is to find on or by the device.
    files: dict[str, str] = field(default_factory=dict)
    #: Devices on the bus that this one makes.
    children: tuple[Device, ...] = ()
    #: The user's back-end of a vhost-user device, its socket or its command with SOCKET in it;
    #: None: qemu-storage-daemon.
    peer: Path | tuple[str, ...] | None = None


@dataclass(frozen=True)
class Step:
    """One step: a shell script in the guest, or an action of the host, mostly on a device.

    With both, the host acts while the script runs: when it calls ``ready``. Of firmware, what
    has to appear on its console, and what is typed then.
    """

    name: str
    #: Lines for the guest's shell; empty for an action.
    guest: str = ""
    action: Action | None = None
    device: str = ""
    #: For resize: the new size.
    size_mib: int = 0
    #: For qmp: what QEMU is asked.
    command: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    #: For firmware.
    expect: str = ""
    type: str = ""


@dataclass(frozen=True)
class Scenario:
    """What is run in a guest."""

    name: str
    summary: str
    #: Seconds from the guest's start to its end.
    deadline_s: float
    #: Our modules, by name without .ko; pykit_trace comes first by itself.
    modules: tuple[str, ...]
    #: The kernel's own modules that the steps need.
    kernel_modules: tuple[str, ...]
    #: The host's programs that the steps call.
    programs: tuple[str, ...]
    #: Our programs, of guest/programs.
    guest_programs: tuple[str, ...]
    devices: tuple[Device, ...]
    steps: tuple[Step, ...]
    #: Parameters of our modules, by module.
    parameters: dict[str, dict[str, str]]
    #: How often a soak does what it does: $COUNT of its steps.
    count: int = 1
    #: What the devices are attached by.
    transport: Transport = PCI
    #: Whether QEMU logs what its devices do.
    qemu_trace: bool = True
    #: vCPUs.
    cpus: int = CPUS
    #: Whether the guest's clock counts instructions, one a nanosecond; while it is idle it goes
    #: on as the host's does. Needs one vCPU, and TCG.
    icount: bool = False
    #: The firmware that is the guest, one of FIRMWARE; None: Linux, with our agent.
    firmware: str | None = None
    #: The driver under test, where that is not the plugged devices'.
    driver: str | None = None
    #: Observers beside QEMU's trace that look at the guest from outside.
    observe: tuple[Observer, ...] = ()
    #: What it provokes on purpose.
    expects: tuple[Trouble, ...] = ()
    #: The module that has the switch of mutants, and the number to be written to it: 0 for none of
    #: them. None where the kernel's modules are its own.
    mutant: tuple[str, int] | None = None
    #: The user's own modules that have to register the driver under test.
    brought: tuple[str, ...] = ()

    @property
    def driver_name(self) -> str:
        """Return the virtio driver under test: of the first device, else the scenario's own."""
        return next((device.driver for device in self.devices), self.driver or Device.driver)

    @property
    def mutant_switch(self) -> str:
        """The mutant as the guest's steps take it: module:number, or nothing."""
        return "" if self.mutant is None else f"{self.mutant[0]}:{self.mutant[1]}"
