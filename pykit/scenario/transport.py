# SPDX-License-Identifier: GPL-2.0-only
"""Transports: which machine of QEMU has them, and how a device comes and goes there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pykit.arch import AMD64, ARCHES, Arch
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
    #: The machine's.
    arch: Arch = AMD64

    @property
    def ports(self) -> bool:
        """Whether its registers are I/O ports."""
        return self.legacy and self.hot_plug

    def bus(self, number: int) -> str:
        """Where the scenario's device of that number (from 0) goes."""
        return "rp0" if self.hot_plug else f"virtio-mmio-bus.{number}"


def _pci(arch: Arch, name: str, *, legacy: bool) -> Transport:
    # A legacy device has an I/O BAR, and an empty port gets no I/O window unless it asks.
    port = ("-device", "pcie-root-port,id=rp0,chassis=10,slot=10,io-reserve=4096")
    options = {"disable-modern": True, "disable-legacy": "off"} if legacy else {}
    profile = "pci-legacy" if legacy else "guest"
    return Transport(
        name,
        ("-M", arch.pci),
        port,
        profile,
        "virtio_pci",
        "-pci",
        legacy,
        options,
        arch=arch,
    )


def _mmio(arch: Arch, name: str, *, legacy: bool) -> Transport:
    version = f"virtio-mmio.force-legacy={'true' if legacy else 'false'}"
    machine = ("-M", arch.mmio, "-global", version)
    return Transport(
        name,
        machine,
        (),
        "mmio",
        "virtio_mmio",
        "-device",
        legacy,
        registers=arch.slots,
        hot_plug=False,
        arch=arch,
    )


def _all(arch: Arch) -> dict[str, Transport]:
    there = (
        _pci(arch, "pci", legacy=False),
        _pci(arch, "pci-legacy", legacy=True),
        _mmio(arch, "mmio", legacy=False),
        _mmio(arch, "mmio-legacy", legacy=True),
    )
    return {transport.name: transport for transport in there}


_BY_ARCH = {arch: _all(arch) for arch in ARCHES.values()}
TRANSPORTS = _BY_ARCH[AMD64]
PCI = TRANSPORTS["pci"]


def transport(name: str, arch: Arch = AMD64) -> Transport:
    """A transport of an architecture's machines by its name; raises UsageError for any other."""
    there = _BY_ARCH[arch]
    if name not in there:
        raise UsageError(choice(name, there, "transport"))
    return there[name]
