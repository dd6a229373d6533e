# SPDX-License-Identifier: GPL-2.0-only
"""Firmware with virtio drivers of its own, as QEMU boots it, and what it finds on its devices."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pykit.errors import InfraError
from pykit.qemu import program
from pykit.scenario.model import Device

#: What every folder of files holds beside the scenario's own, so that there is something to read.
_DATA, _DATA_BYTES = "data.bin", 1 << 16


@dataclass(frozen=True)
class Firmware:
    """A firmware, by the options with which QEMU boots it."""

    #: As people call it.
    name: str
    #: Options, for a folder that files may be put into.
    options: Callable[[Path], list[str]]
    #: The machine with PCI that it is booted on; None: whatever the transport is on.
    machine: str | None = None


def _ovmf(folder: Path) -> list[str]:
    code, variables = (
        _first(
            "ovmf",
            f"/usr/share/OVMF/OVMF_{part}_4M.fd",
            f"/usr/share/edk2/ovmf/OVMF_{part}_4M.fd",
            f"/usr/share/edk2/ovmf/OVMF_{part}.fd",
            f"/usr/share/edk2/x64/OVMF_{part}.4m.fd",
        )
        for part in ("CODE", "VARS")
    )
    mine = folder / "vars.fd"
    shutil.copyfile(variables, mine)
    return _flash(code, mine)


def _flash(code: Path, variables: Path) -> list[str]:
    flash = "if=pflash,format=raw"
    return [
        "-drive",
        f"{flash},readonly=on,file={program.value(code)}",
        "-drive",
        f"{flash},file={program.value(variables)}",
    ]


def _aavmf(folder: Path) -> list[str]:
    root = program.package("qemu-efi-aarch64")
    mine = folder / "vars.fd"
    shutil.copyfile(root / "usr/share/AAVMF/AAVMF_VARS.fd", mine)
    return _flash(root / "usr/share/AAVMF/AAVMF_CODE.fd", mine)


def _u_boot(folder: Path) -> list[str]:
    del folder
    return ["-bios", str(_first("u-boot-qemu", "/usr/lib/u-boot/qemu-x86_64/u-boot.rom"))]


def _u_boot_of(folder: str) -> Callable[[Path], list[str]]:
    """The options for another architecture's, which ``folder`` of Debian's package has."""

    def options(_: Path) -> list[str]:
        root = program.package("u-boot-qemu")
        return ["-bios", str(root / "usr/lib/u-boot" / folder / "u-boot.bin")]

    return options


def _first(package: str, *paths: str) -> Path:
    found = next((Path(path) for path in paths if Path(path).is_file()), None)
    if found is None:
        raise InfraError(f"{package} is not installed (no {paths[0]}): make setup, or install it")
    return found


#: QEMU brings SeaBIOS; a network card's ROM is iPXE, which then speaks through SeaBIOS.
FIRMWARE = {
    "seabios": Firmware("SeaBIOS", lambda _: [], "q35"),
    "ovmf": Firmware("OVMF", _ovmf, "q35"),
    # Without SATA: it waits long for each of the ports.
    "u-boot": Firmware("U-Boot", _u_boot, "q35,sata=off"),
    "ipxe": Firmware("iPXE", lambda _: [], "q35,graphics=off"),
    "aavmf": Firmware("AAVMF", _aavmf),
    "u-boot-arm64": Firmware("U-Boot", _u_boot_of("qemu_arm64")),
    "u-boot-riscv64": Firmware("U-Boot", _u_boot_of("qemu-riscv64")),
}


def device_options(device: Device, folder: Path, *, logged: bool = False) -> list[str]:
    """QEMU's options for a device that is there from power-on, and for what is behind it.

    A disk holds ``device.files`` in a FAT file system, or our boot sector; a network card's
    peer serves them by TFTP, the first to boot. ``logged``: QEMU's log shows each notification,
    by a port too.
    """
    mmio = device.type.endswith("-device")
    files = _filled(device, folder) if device.files else None
    behind = f"{device.id}-behind"
    front = {"driver": device.type, "id": device.id, **device.options}
    if logged and not mmio:
        # Else an event of the kernel's takes them, and only that they came is logged.
        front |= {"ioeventfd": False}
    if device.type.startswith("virtio-net"):
        boot = ""
        if files:
            first = next(iter(device.files))
            boot = f",tftp={program.value(files)},bootfile={program.value(first)}"
        peer = ["-netdev", f"user,id={behind}{boot}"]
        front |= {"netdev": behind, "bootindex": 1}
    else:
        node = {"driver": "vvfat", "dir": str(files), "rw": True} if files else _raw(device, folder)
        peer = ["-blockdev", json.dumps({**node, "node-name": behind})]
        front["drive"] = behind
    # On MMIO it is the transport's option, and the machine has all of these.
    quiet = ["-global", "virtio-mmio.ioeventfd=off"] if logged and mmio else []
    return [*quiet, *peer, "-device", json.dumps(front)]


def _filled(device: Device, folder: Path) -> Path:
    inside = folder / f"{device.id}-files"
    inside.mkdir()
    for name, text in device.files.items():
        (inside / name).write_text(text)
    (inside / _DATA).write_bytes(bytes(at * 7 & 0xFF for at in range(_DATA_BYTES)))
    return inside


def _raw(device: Device, folder: Path) -> dict[str, object]:
    path = folder / f"{device.id}.img"
    source = Path(__file__).with_name("boot.S")
    done = subprocess.run(
        [
            "gcc", "-m32", "-nostdlib", "-static", "-Wl,--oformat=binary", "-Wl,-Ttext=0x7c00",
            "-Wl,--build-id=none", "-o", path, source,
        ],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["gcc said nothing"])[0]
        raise InfraError(f"{source.name} does not assemble: {said}")
    with path.open("r+b") as file:
        file.truncate(device.size_mib << 20)
    return {"driver": "raw", "file": {"driver": "file", "filename": str(path)}}
