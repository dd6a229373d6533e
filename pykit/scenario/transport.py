# SPDX-License-Identifier: GPL-2.0-only
"""Transports: which machine of QEMU has them, and how a device comes and goes there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pykit.errors import UsageError
from pykit.toml import choice


@dataclass(frozen=True)
class Transport:
    """A virtio transport, on the machine of QEMU that has it."""

    name: str
    #: QEMU's options for the machine.
    machine: tuple[str, ...]
    #: QEMU's options for what devices are plugged into.
    port: tuple[str, ...]
    #: What its kernel has to have, of configs/profiles.
    profile: str
    #: The kernel's module that drives it.
    module: str
    #: What QEMU's names of its devices end in.
    suffix: str
    #: Whether devices have the legacy interface alone.
    legacy: bool
    #: Options that every device gets.
    options: dict[str, Any] = field(default_factory=dict)
    #: Where its devices' registers are, where the machine says so: (first address, end).
    registers: tuple[int, int] | None = None
    #: Whether devices come and go while the guest runs. Else all are there from power-on,
    #: and the guest binds the transport's driver to one where it would be plugged.
    hot_plug: bool = True

    @property
    def ports(self) -> bool:
        """Whether its registers are I/O ports."""
        return self.legacy and self.hot_plug

    def bus(self, number: int) -> str:
        """Where the scenario's device of that number (from 0) goes."""
        return "rp0" if self.hot_plug else f"virtio-mmio-bus.{number}"


def _pci(name: str, *, legacy: bool) -> Transport:
    # A legacy device has an I/O BAR, and an empty port gets no I/O window unless it asks.
    port = ("-device", "pcie-root-port,id=rp0,chassis=10,slot=10,io-reserve=4096")
    options = {"disable-modern": True, "disable-legacy": "off"} if legacy else {}
    profile = "pci-legacy" if legacy else "guest"
    return Transport(name, ("-M", "q35"), port, profile, "virtio_pci", "-pci", legacy, options)


#: microvm's transports, 24 of 512 bytes each.
_MICROVM = (0xFEB00000, 0xFEB03000)


def _mmio(name: str, *, legacy: bool) -> Transport:
    # ioapic2: what is wired to the second one of QEMU 7.2 never interrupts under TCG.
    version = f"virtio-mmio.force-legacy={'true' if legacy else 'false'}"
    machine = ("-M", "microvm,acpi=on,pcie=on,rtc=on,ioapic2=off", "-global", version)
    return Transport(
        name,
        machine,
        (),
        "mmio",
        "virtio_mmio",
        "-device",
        legacy,
        registers=_MICROVM,
        hot_plug=False,
    )


PCI = _pci("pci", legacy=False)
TRANSPORTS = {
    transport.name: transport
    for transport in (
        PCI,
        _pci("pci-legacy", legacy=True),
        _mmio("mmio", legacy=False),
        _mmio("mmio-legacy", legacy=True),
    )
}


def transport(name: str) -> Transport:
    """A transport by its name; raises UsageError for any other."""
    if name not in TRANSPORTS:
        raise UsageError(choice(name, TRANSPORTS, "transport"))
    return TRANSPORTS[name]
