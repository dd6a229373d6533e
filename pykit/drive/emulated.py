# SPDX-License-Identifier: GPL-2.0-only
"""A QEMU without a guest, for one of its devices."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pykit.drive.memory import SharedMemory
from pykit.errors import UsageError
from pykit.qemu import program as qemu

#: All of the machine's memory, and the part that the driver uses.
RAM, BASE, SIZE = 16 << 20, 1 << 20, 1 << 18
#: What a device needs at the host's side, by the beginning of its name.
_BEHIND = {
    "virtio-blk": ("-blockdev", "driver=file,filename={folder}/disk,node-name=disk"),
    "virtio-net": ("-netdev", "hubport,id=net,hubid=0"),
    "virtio-rng": ("-object", "rng-builtin,id=rng"),
}
_JOINED = {
    "virtio-blk": ",drive=disk",
    "virtio-net": ",netdev=net,romfile=",
    "virtio-rng": ",rng=rng",
}
_DISK = 64 << 20


def memory() -> SharedMemory:
    """Make the guest memory that QEMU and the driver share."""
    return SharedMemory(BASE, SIZE, RAM)


def kind_of(device: str) -> str:
    """Return the device type that a QEMU device is of, as ``pykit drive --device`` names it.

    Raises:
        UsageError: no request is known for such a device.
    """
    name = device.partition(",")[0]
    for prefix in _BEHIND:
        if name.startswith(f"{prefix}-pci"):
            return prefix.removeprefix("virtio-")
    choices = ", ".join(f"{prefix}-pci" for prefix in _BEHIND)
    raise UsageError(f"unknown QEMU device {name!r} (choose from {choices})")


@contextmanager
def command(device: str, shared: SharedMemory) -> Iterator[tuple[str, ...]]:
    """Yield the command that starts QEMU with a device and a CPU that does nothing.

    Args:
        device: as for ``-device``: its name, and options after commas.
        shared: the machine's memory.
    """
    program, _ = qemu.find()
    prefix = f"virtio-{kind_of(device)}"
    with TemporaryDirectory(prefix="pykit-drive-") as name:
        folder = Path(name)
        (folder / "bios").write_bytes(_idle())
        with (folder / "disk").open("wb") as disk:
            disk.truncate(_DISK)
        yield (
            program,
            *("-machine", "q35,memory-backend=ram"),
            *qemu.cpu_options("tcg"),
            *("-nodefaults", "-no-user-config", "-display", "none", "-m", f"{RAM >> 20}"),
            *("-object", f"memory-backend-file,id=ram,size={RAM},share=on,mem-path={shared.path}"),
            *("-bios", str(folder / "bios")),
            *("-qtest", "unix:{socket},server=on,wait=off", "-qtest-log", "/dev/null"),
            *(part.replace("{folder}", qemu.value(folder)) for part in _BEHIND[prefix]),
            *("-device", f"{device}{_JOINED[prefix]}"),
        )


def _idle() -> bytes:
    """A BIOS whose reset vector halts for ever (the CPU starts 16 bytes below its end)."""
    image = bytearray(b"\xf4" * (64 << 10))
    image[-16:-12] = struct.pack("<BBBB", 0xFA, 0xF4, 0xEB, 0xFD)
    return bytes(image)
