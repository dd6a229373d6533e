# SPDX-License-Identifier: GPL-2.0-only
"""A QEMU without a guest, for one of its virtio devices."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pykit.drive.memory import SharedMemory
from pykit.drive.peer import DISK
from pykit.errors import UsageError
from pykit.guests.monitor import TRACE_EVENTS
from pykit.peers import KnownDeviation
from pykit.qemu import program as qemu

#: All of the machine's memory, and the part that the driver uses.
RAM, BASE, SIZE = 16 << 20, 1 << 20, 1 << 18
#: The name of the disk, and what the path of QMP's socket has behind that of qtest's.
NODE, MONITOR = "disk", ".qmp"
_BLOCKDEV = ("-blockdev", f"driver=file,filename={DISK},node-name={NODE},discard=unmap")
#: Machines: microvm has MMIO transports; without its timer nothing raises interrupts but them.
_PCI = "q35,memory-backend=ram"
_MMIO = "microvm,pit=off,pic=off,rtc=off,ioapic2=off,memory-backend=ram"
_NAME = re.compile(
    r"(?P<family>virtio-.+?)(-(?P<bus>pci|device)(-non-transitional|-transitional)?)?"
)


@dataclass(frozen=True)
class Family:
    """The devices of one type.

    Attributes:
        kind: as ``pykit drive --device`` names it.
        behind: options for what the device needs at the host's side.
        joined: properties that connect it.
        ports: a device on the bus that it makes.
        pci: there is none on MMIO.
    """

    kind: str
    behind: tuple[str, ...] = ()
    joined: str = ""
    ports: tuple[str, ...] = ()
    pci: bool = False


_MORE = ("-object", "memory-backend-ram,id=more,size=128M")
#: A flush of memory that is no file fails.
_MORE_FILE = ("-object", "memory-backend-file,id=more,size=16M,share=on,mem-path={folder}/more")


_FAMILIES = {
    "virtio-blk": Family("blk", _BLOCKDEV, ",drive=disk"),
    "virtio-net": Family("net", ("-netdev", "user,id=net,restrict=on"), ",netdev=net"),
    # With a limit, as management tools give it one.
    "virtio-rng": Family(
        "rng", ("-object", "rng-builtin,id=rng"), ",rng=rng,max-bytes=65536,period=1"
    ),
    "virtio-scsi": Family("scsi", _BLOCKDEV, ports=("-device", "scsi-hd,drive=disk")),
    "virtio-serial": Family(
        "console", ("-chardev", "null,id=null"), ports=("-device", "virtconsole,chardev=null")
    ),
    "virtio-balloon": Family("balloon"),
    "virtio-keyboard": Family("input"),
    "virtio-mouse": Family("input"),
    "virtio-tablet": Family("input"),
    "virtio-crypto": Family(
        "crypto", ("-object", "cryptodev-backend-builtin,id=crypto"), ",cryptodev=crypto"
    ),
    "virtio-9p": Family(
        "9p",
        ("-fsdev", "local,id=files,path={folder},security_model=none"),
        ",fsdev=files,mount_tag=files",
    ),
    "virtio-gpu": Family("gpu"),
    "virtio-vga": Family("gpu", pci=True),
    "virtio-iommu": Family("iommu", pci=True),
    "virtio-mem": Family("mem", _MORE, ",memdev=more", pci=True),
    "virtio-pmem": Family("pmem", _MORE_FILE, ",memdev=more", pci=True),
}


_VERSIONS = "QEMU 7.2.22, 10.0 and 11.1"
#: What all of its devices do, and those on MMIO.
_KNOWN = (
    KnownDeviation(
        "queue-select-far-beyond",
        ("wrong-data",),
        "QEMU ignores the selection of a queue from 1024 on: the one before stays selected",
        f"{_VERSIONS}: a size that is not 0 is read for queue 65535; hw/virtio/virtio-pci.c, "
        "virtio_pci_common_write(), and virtio-mmio.c, virtio_mmio_write()",
    ),
    KnownDeviation(
        "no-interrupt-before-driver-ok",
        ("wrong-data",),
        "QEMU serves a queue that is notified, and interrupts, before DRIVER_OK",
        f"{_VERSIONS}: a read of virtio-blk comes back; hw/virtio/virtio.c, "
        "virtio_queue_notify(), does not look at the status",
        # An interrupt that announces nothing is another matter.
        detail="^interrupts own is 0: 1$",
    ),
    KnownDeviation(
        "table-behind-buffers",
        ("rejected", "stopped", "wrong-data"),
        "QEMU takes INDIRECT into account in the first descriptor of a chain alone",
        f"{_VERSIONS}: hw/virtio/virtio.c, virtqueue_split_pop()",
    ),
)
_KNOWN_MMIO = (
    KnownDeviation(
        "notified-while-not-ready",
        ("wrong-data",),
        "QEMU's virtio-mmio serves a queue that is notified while its QueueReady is 0",
        "QEMU 7.2.22: a read of virtio-blk comes back; hw/virtio/virtio-mmio.c, "
        "virtio_mmio_write(), leaves the queue as it is at QueueReady 0",
    ),
    *(
        KnownDeviation(
            row,
            ("wrong-data",),
            "QEMU's virtio-mmio offers RING_RESET and has no register QueueReset",
            f"{_VERSIONS}: hw/virtio/virtio-mmio.c, virtio_mmio_write(), knows no offset 0x0c0",
        )
        for row in (
            *("queue-reset", "queue-reset-busy", "queue-reset-twice", "queue-reset-other-size"),
            "queue-reset-is-over",
        )
    ),
)
_KNOWN_PMEM = (
    KnownDeviation(
        "plain",
        ("stopped",),
        "QEMU's virtio-pmem serves one request a notification",
        "QEMU 7.2.22: of four flushes that were made available together the first one comes back; "
        "hw/virtio/virtio-pmem.c, virtio_pmem_flush(), takes one element",
    ),
)


def known(device: str) -> tuple[KnownDeviation, ...]:
    """Return the known deviations of a device of QEMU's."""
    pmem = _KNOWN_PMEM if device.startswith("virtio-pmem") else ()
    return (*_KNOWN, *(_KNOWN_MMIO if is_mmio(device) else ()), *pmem)


@dataclass(frozen=True)
class EmulatedDevice:
    """A device of this QEMU's: as ``--qemu`` takes it, or why it cannot be driven."""

    name: str
    obstacle: str = ""


def memory(made: Callable[..., SharedMemory] = SharedMemory) -> SharedMemory:
    """Make the guest memory that QEMU and the driver share."""
    return made(BASE, SIZE, RAM)


def every() -> Iterator[EmulatedDevice]:
    """Yield all virtio devices of this QEMU, each once with every transport that it has."""
    names = qemu.devices()
    for name in sorted(names):
        if not re.match(r"(virtio|vhost)-.*(-pci|-device)$|(virtio|vhost-user)-vga", name):
            continue
        if obstacle := _obstacle(name):
            yield EmulatedDevice(name, obstacle)
            continue
        yield EmulatedDevice(name)
        if f"{name}-transitional" in names:
            yield EmulatedDevice(f"{name},disable-modern=on")
        if is_mmio(name):
            yield EmulatedDevice(f"{name},force-legacy=on")


def _obstacle(name: str) -> str:
    """Why a device cannot be driven; empty where it can."""
    if name.startswith("vhost-user-"):
        return "the device is another process: drive that by --socket"
    if name.startswith("vhost-"):
        return "the device is the host's kernel"
    if name.startswith("virtio-input-host"):
        return "needs an input device of the host"
    if "-gl" in name:
        return "needs a display with OpenGL"
    family = _family(name)
    if family is None:
        return "no request is known for this type"
    return "needs PCI" if family.pci and is_mmio(name) else ""


def _family(device: str) -> Family | None:
    match = _NAME.fullmatch(device.partition(",")[0])
    return _FAMILIES.get(match["family"]) if match else None


def is_mmio(device: str) -> bool:
    """Whether a device of QEMU's is one for MMIO."""
    return device.partition(",")[0].endswith("-device")


def kind_of(device: str) -> str:
    """Return the device type that a QEMU device is of, as ``pykit drive --device`` names it.

    Raises:
        UsageError: no request is known for such a device.
    """
    family = _family(device)
    if family is not None:
        return family.kind
    choices = ", ".join(f"{prefix}-pci" for prefix in _FAMILIES)
    raise UsageError(
        f"unknown QEMU device {device.partition(',')[0]!r} (choose from {choices}, or all)"
    )


def type_of(device: str, pci: str) -> str:
    """The device's type as captures have it: that of PCI, or its kin on MMIO."""
    return f"{pci.removesuffix('-pci')}-device" if is_mmio(device) else pci


def options_of(device: str) -> dict[str, str | int]:
    """The options of a device as ``--qemu`` takes it, numbers as numbers."""
    pairs = (part.partition("=") for part in device.split(",")[1:])
    return {name: int(value) if value.isdigit() else value for name, _, value in pairs}


@contextmanager
def command(
    device: str, shared: SharedMemory, log: Path | None = None
) -> Iterator[tuple[str, ...]]:
    """Yield the command that starts QEMU with a device and a CPU that does nothing.

    Args:
        device: as for ``-device``: its name, and options after commas. Of an MMIO device
            ``force-legacy=on``, which is its transport's, chooses the legacy interface.
        shared: the machine's memory.
        log: a file for QEMU's log of what it does as a virtio device.
    """
    program, _ = qemu.find()
    kind_of(device)
    family = _family(device)
    assert family is not None
    mmio = is_mmio(device)
    plain = device.replace(",force-legacy=on", "").replace(",force-legacy=off", "")
    name, comma, given = plain.partition(",")
    legacy = "on" if ",force-legacy=on" in device else "off"
    with TemporaryDirectory(prefix="pykit-drive-") as place:
        folder = Path(place)
        (folder / "bios").write_bytes(_idle())
        traced = [word for name in TRACE_EVENTS for word in ("-trace", name)]
        options = "" if mmio or family.kind != "net" else ",romfile="
        yield (
            program,
            *("-machine", _MMIO if mmio else _PCI),
            *qemu.cpu_options("tcg"),
            *("-nodefaults", "-no-user-config", "-display", "none"),
            *("-m", f"{RAM >> 20}" if mmio else f"{RAM >> 20},slots=1,maxmem=1G"),
            *("-object", f"memory-backend-file,id=ram,size={RAM},share=on,mem-path={shared.path}"),
            # This option takes its value as it is.
            *("-bios", str(folder / "bios")),
            *("-chardev", "socket,id=qtest,path={socket},server=on,wait=off"),
            *("-chardev", f"socket,id=qmp,path={{socket}}{MONITOR},server=on,wait=off"),
            *("-mon", "chardev=qmp,mode=control"),
            *("-qtest", "chardev:qtest", "-qtest-log", "/dev/null"),
            *("-global", f"virtio-mmio.force-legacy={legacy}"),
            *(part.replace("{folder}", qemu.value(folder)) for part in family.behind),
            # What is named, last, is stronger.
            *("-device", f"{name}{family.joined}{options}{comma}{given}"),
            *family.ports,
            *(("-msg", "timestamp=on", "-D", str(log), *traced) if log else ()),
        )


def _idle() -> bytes:
    """A BIOS whose reset vector halts for ever (the CPU starts 16 bytes below its end)."""
    image = bytearray(b"\xf4" * (64 << 10))
    image[-16:-12] = struct.pack("<BBBB", 0xFA, 0xF4, 0xEB, 0xFD)
    return bytes(image)
