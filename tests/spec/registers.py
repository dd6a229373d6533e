# SPDX-License-Identifier: GPL-2.0-only
"""A driver's and a device's registers that conform to the specification, as QEMU logs them."""

from __future__ import annotations

from typing import Any

from pykit.spec import bits
from pykit.trace.register_map import REGISTERS
from tests.spec.log import Event, Log

DEV = 1
NO_VECTOR = 0xFFFF
SIZE = 256
MAGIC = 0x74726976
#: Where each queue is, and the pages of the legacy interface.
PLACE = 0x100000
ALL = (1 << bits.VERSION_1) | (1 << bits.RING_RESET)
QUEUES = 2


class Device:
    """Writes down a driver's accesses to one device, which has the transport ``structure``."""

    def __init__(self, structure: str, features: int = ALL, qemu_type: str = "") -> None:
        self.log = Log(kernel="of another make")
        self.structure = structure
        self.features = features
        self.mmio = structure.startswith("mmio")
        self.legacy = structure in ("legacy", "mmio-legacy")
        self.log.legacy = self.legacy
        self.log.device_type = qemu_type or f"virtio-blk-{'device' if self.mmio else 'pci'}"
        self.life: int | None = None

    def access(self, name: str, value: int, write: int, **fields: Any) -> Event:
        structure = fields.pop("structure", self.structure)
        known = REGISTERS.get(structure, {}).get(name)
        where = {"offset": known.offset, "size": known.size} if known else {}
        return self.log.add(
            "register",
            **{"dev": DEV, "life": self.life, "structure": structure, "register": name}
            | where
            | {"value": value, "write": write}
            | fields,
        )

    def write(self, name: str, value: int, **fields: Any) -> Event:
        return self.access(name, value, 1, **fields)

    def read(self, name: str, value: int, **fields: Any) -> Event:
        return self.access(name, value, 0, **fields)

    def config(self, offset: int, size: int, value: int = 0) -> Event:
        return self.read("config", value, structure="config", offset=offset, size=size)

    def status(self, value: int) -> None:
        self.write("status", value)
        self.log.add("dev_status", dev=DEV, life=self.life, pid=1, status=value)

    def reset(self) -> None:
        self.status(0)
        self.read("status", 0)

    def negotiate(self) -> None:
        self.life = 0 if self.life is None else self.life + 1
        self.status(1)
        self.status(3)
        for _ in range(2):
            for word in range(1 if self.structure == "legacy" else 2):
                if self.structure != "legacy":
                    self.write("device_feature_select", word)
                self.read("device_feature", self.features >> 32 * word & 0xFFFFFFFF)
        for word in range(1 if self.legacy else 2):
            if self.structure != "legacy":
                self.write("driver_feature_select", word)
            self.write("driver_feature", self.features >> 32 * word & 0xFFFFFFFF)
            if self.structure == "common":
                self.read("driver_feature", self.features >> 32 * word & 0xFFFFFFFF)
        seen = {"dev": DEV, "life": self.life, "cpu": 0, "pid": 7}
        self.log.add(
            "features",
            **seen,
            offered=self.features,
            driver=self.features,
            acked=self.features,
            stage=2,
        )
        if not self.legacy:
            self.status(0x0B)

    def vector(self, name: str, value: int, **fields: Any) -> None:
        self.write(name, value, **fields)
        self.read(name, value, **fields)

    def ready(self) -> None:
        self.status(0x07 if self.legacy else 0x0F)

    def set_up(self, vq: int, *, enable: bool = True, fresh: bool = True) -> None:
        self.write("queue_select", vq)
        at = PLACE * (vq + 1)
        if self.mmio:
            if not self.legacy:
                self.read("queue_enable", 0, vq=vq)
            self.read("queue_size_max", SIZE, vq=vq)
            self.write("queue_size", SIZE, vq=vq)
        elif self.legacy:
            self.read("queue_size", SIZE, vq=vq)
        else:
            self.read("queue_size", SIZE, vq=vq)
            if fresh:
                self.read("queue_enable", 0, vq=vq)
                self.read("queue_desc_low", 0, vq=vq)
                self.read("queue_vector", NO_VECTOR, vq=vq)
            self.write("queue_size", SIZE, vq=vq)
        if self.legacy:
            if self.mmio:
                self.write("queue_align", 4096, vq=vq)
            self.write("queue_pfn", at // 4096, vq=vq)
            return
        for number, area in enumerate(("desc", "driver", "device")):
            self.write(f"queue_{area}_low", at + 0x10000 * number, vq=vq)
            self.write(f"queue_{area}_high", 0, vq=vq)
        if not self.mmio:
            self.vector("queue_vector", vq + 1, vq=vq)
            self.read("queue_notify_off", vq, vq=vq)
        if enable:
            self.write("queue_enable", 1, vq=vq)

    def kick(self, vq: int, value: int | None = None, size: int = 2) -> None:
        value = vq if value is None else value
        self.write("queue_notify", value, structure="notify", offset=4 * vq, size=size, vq=vq)


def pci(features: int = ALL) -> Device:
    """A modern PCI device, driven in one life."""
    device = Device("common", features)
    device.reset()
    device.negotiate()
    device.read("num_queues", QUEUES)
    if features >> bits.ADMIN_VQ & 1:
        device.read("admin_queue_index", QUEUES)
        device.read("admin_queue_num", 1)
    else:
        device.write("queue_select", QUEUES)
        device.read("queue_size", 0, vq=QUEUES)
    device.config(34, 2, 2)
    device.config(12, 4)
    device.config(32, 1)
    device.vector("config_vector", 0)
    for vq in range(QUEUES):
        device.set_up(vq)
    if features >> bits.ADMIN_VQ & 1:
        device.set_up(QUEUES)
    device.ready()
    return device


def one_queue() -> Device:
    """A modern PCI device of which the first queue is set up."""
    device = Device("common")
    device.reset()
    device.negotiate()
    device.set_up(0)
    device.ready()
    return device


def mmio() -> Device:
    """A modern MMIO device, found and driven."""
    device = Device("mmio")
    found(device, 2)
    device.reset()
    device.read("isr", 0)
    device.negotiate()
    for offset, size in ((34, 2), (12, 4), (32, 1)):
        device.config(offset, size)
    for vq in range(QUEUES):
        device.set_up(vq)
    device.ready()
    return device


def found(device: Device, version: int) -> None:
    device.read("magic", MAGIC)
    device.read("version", version)
    device.read("device_id", 2)
    device.read("vendor_id", 0x554D4551)


def legacy(structure: str = "legacy") -> Device:
    """A device of the legacy interface, driven in one life."""
    device = Device(structure, 1 << bits.ANY_LAYOUT)
    if device.mmio:
        found(device, 1)
        device.write("page_size", 4096)
    device.reset()
    device.negotiate()
    for _ in range(2):
        device.config(0, 4)
        device.config(4, 4)
    for vq in range(QUEUES):
        device.set_up(vq)
        at = PLACE * (vq + 1)
        device.log.add(
            "queue",
            dev=DEV,
            life=0,
            vq=vq,
            cpu=0,
            pid=7,
            desc=at,
            avail=at + 16 * SIZE,
            used=at + 0x2000,
            size=SIZE,
            num_queues=QUEUES,
            avail_flags=0,
            avail_idx=0,
            used_flags=0,
            used_idx=0,
            layout=0,
            op=0,
        )
    device.ready()
    return device


def repeat(log: Log, at: Event, event: Event, *, after: bool = True, **changes: object) -> None:
    """Write an access down once more, right behind (or before) another one."""
    fields = {name: value for name, value in event.items() if name not in ("kind", "source")}
    log.insert(at, "register", after=after, **fields | changes)
