# SPDX-License-Identifier: GPL-2.0-only
"""Transports: which machine of QEMU has them, and how a device comes and goes there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from pykit.arch import AMD64, MACHINES, Arch
from pykit.errors import UsageError
from pykit.toml import choice

#: What QEMU's names of devices on PCI and on channel I/O end in.
_PCI, CCW = "-pci", "-ccw"


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
    #: The bus that devices are plugged into while the guest runs. None: all are there from
    #: power-on, and the guest binds the transport's driver to one where it would be plugged.
    plugged_on: str | None = None
    #: What the kernel's command line says beside what all say.
    arguments: tuple[str, ...] = ()
    #: QEMU's trace events of the machine, which the decoder knows (pykit/trace/pciconfig.py).
    events: tuple[str, ...] = ()
    #: The machine's.
    arch: Arch = AMD64

    @property
    def hot_plug(self) -> bool:
        """Whether devices come and go while the guest runs."""
        return self.plugged_on is not None

    @property
    def ports(self) -> bool:
        """Whether its registers are I/O ports."""
        return self.legacy and self.suffix == _PCI

    def bus(self, number: int) -> str:
        """Where the scenario's device of that number (from 0) goes."""
        return self.plugged_on or f"virtio-mmio-bus.{number}"


def _pci(arch: Arch, name: str, *, legacy: bool) -> Transport:
    # A legacy device has an I/O BAR, and an empty port gets no I/O window unless it asks.
    port = ("-device", "pcie-root-port,id=rp0,chassis=10,slot=10,io-reserve=4096")
    return Transport(
        name,
        ("-M", arch.pci),
        port if arch.root_ports else (),
        profile="pci-legacy" if legacy else arch.profile,
        module="virtio_pci",
        suffix=_PCI,
        legacy=legacy,
        options={"disable-modern": True, "disable-legacy": "off"} if legacy else {},
        plugged_on="rp0" if arch.root_ports else "pci.0",
        arch=arch,
    )


def _iommu(arch: Arch) -> Transport:
    """Devices on PCI whose addresses an IOMMU translates, which the kernel switches on."""
    plain = _pci(arch, "pci-iommu", legacy=False)
    return replace(
        plain,
        machine=(*plain.machine, "-device", "intel-iommu"),
        profile="pci-iommu",
        options={"disable-legacy": "on", "iommu_platform": True},
        arguments=("intel_iommu=on",),
        events=("vtd_switch_address_space", "vtd_dmar_fault"),
    )


def _mmio(arch: Arch, name: str, *, legacy: bool) -> Transport:
    version = f"virtio-mmio.force-legacy={'true' if legacy else 'false'}"
    return Transport(
        name,
        ("-M", arch.mmio, "-global", version),
        (),
        profile="mmio",
        module="virtio_mmio",
        suffix="-device",
        legacy=legacy,
        registers=arch.slots,
        arch=arch,
    )


def _ccw(arch: Arch, name: str) -> Transport:
    return Transport(
        name,
        ("-M", arch.ccw),
        (),
        profile=arch.profile,
        # Its own module is part of every kernel, and no index of modules has it.
        module="virtio",
        suffix=CCW,
        legacy=False,
        plugged_on="virtual-css",
        arch=arch,
    )


def _all(arch: Arch) -> dict[str, Transport]:
    there = []
    if arch.ccw:
        there.append(_ccw(arch, "ccw"))
    there.append(_pci(arch, "pci", legacy=False))
    if arch.root_ports:
        there.append(_pci(arch, "pci-legacy", legacy=True))
    if arch == AMD64:
        there.append(_iommu(arch))
    if arch.mmio:
        there += [_mmio(arch, "mmio", legacy=False), _mmio(arch, "mmio-legacy", legacy=True)]
    return {transport.name: transport for transport in there}


#: The first of an architecture's is what its guests use unless another is chosen.
_BY_ARCH = {arch: _all(arch) for arch in MACHINES}
#: All names of transports, of whatever architecture.
NAMES = tuple(dict.fromkeys(name for there in _BY_ARCH.values() for name in there))
TRANSPORTS = _BY_ARCH[AMD64]
PCI = TRANSPORTS["pci"]


def default_transport(arch: Arch) -> Transport:
    """The transport that guests of an architecture use unless another is chosen."""
    return next(iter(_BY_ARCH[arch].values()))


def transport(name: str, arch: Arch = AMD64) -> Transport:
    """A transport of an architecture's machines by its name; raises UsageError for any other."""
    there = _BY_ARCH[arch]
    if name not in there:
        raise UsageError(choice(name, there, "transport"))
    return there[name]
