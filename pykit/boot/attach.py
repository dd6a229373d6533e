# SPDX-License-Identifier: GPL-2.0-only
"""What QEMU is told of a device under test, over QMP or on its command line."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pykit.boot.qemu import MEMORY_MIB
from pykit.boot.scenario import Device, Scenario
from pykit.errors import InfraError

_SERVED_S = 20.0


def backing(device: Device, folder: Path) -> dict[str, Any]:
    """What is behind a disk, as blockdev-add has it; makes the raw file if it is one."""
    if device.backing == "null":
        size = device.size_mib << 20
        return {"driver": "null-co", "node-name": node(device), "size": size, "read-zeroes": True}
    path = folder / f"{device.id}.img"
    with path.open("wb") as file:
        file.truncate(device.size_mib << 20)
    return {
        "driver": "raw",
        "node-name": node(device),
        "discard": "unmap",
        "file": {"driver": "file", "filename": str(path), "discard": "unmap"},
    }


def node(device: Device) -> str:
    """The name of a device's block node."""
    return f"{device.id}-disk"


def front(device: Device, bus: str) -> dict[str, Any]:
    """The device itself, as device_add has it."""
    behind = "chardev" if device.backing == "vhost-user" else "drive"
    own = {"iothread": thread(device)} if device.iothread else {}
    return {
        "driver": device.type,
        "id": device.id,
        "bus": bus,
        behind: node(device),
        **own,
        **device.options,
    }


def thread(device: Device) -> str:
    """The name of a device's own thread."""
    return f"{device.id}-thread"


def memory_options(scenario: Scenario) -> list[str]:
    """QEMU's options for memory that another process can serve a device in."""
    if all(device.backing != "vhost-user" for device in scenario.devices):
        return []
    memory = f"memory-backend-memfd,id=pykit-shared,size={MEMORY_MIB}M,share=on"
    return ["-object", memory, "-machine", "memory-backend=pykit-shared"]


def socket_of(device: Device, folder: Path) -> Path:
    """Where a vhost-user disk is served."""
    return folder / f"{device.id}.sock"


@contextlib.contextmanager
def served(device: Device, folder: Path) -> Iterator[None]:
    """A vhost-user disk is served by qemu-storage-daemon until the block is left.

    Raises InfraError where it is not.
    """
    program = shutil.which("qemu-storage-daemon")
    if program is None:
        raise InfraError("qemu-storage-daemon is not installed: make setup")
    path, log = socket_of(device, folder), folder / f"{device.id}.log"
    export = {
        "type": "vhost-user-blk", "id": device.id, "node-name": node(device), "writable": True,
        "addr": {"type": "unix", "path": str(path)},
        "num-queues": int(device.options.get("num-queues", 1)),
    }  # fmt: skip
    disk = backing(device, folder)
    with log.open("wb") as output:
        process = subprocess.Popen(
            # Whatever becomes of pykit, the daemon does not outlive it.
            [
                "setpriv", "--pdeathsig", "KILL",
                program, "--blockdev", json.dumps(disk), "--export", json.dumps(export),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )  # fmt: skip
    try:
        end = time.monotonic() + _SERVED_S
        while not path.exists():
            if process.poll() is not None or time.monotonic() > end:
                said = log.read_text(errors="replace").strip() or "nothing"
                raise InfraError(f"qemu-storage-daemon does not serve {device.id}, it said: {said}")
            time.sleep(0.02)
        yield
    finally:
        process.kill()
        process.wait()


def cold_options(scenario: Scenario, folder: Path) -> list[str]:
    """QEMU's options for devices that have to be there from power-on; none with hot-plug."""
    options: list[str] = []
    if not scenario.transport.hot_plug:
        for number, device in enumerate(scenario.devices):
            options += ["-blockdev", json.dumps(backing(device, folder))]
            options += ["-device", json.dumps(front(device, scenario.transport.bus(number)))]
    return options
