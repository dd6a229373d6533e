# SPDX-License-Identifier: GPL-2.0-only
"""What QEMU is told of a device under test, over QMP or on its command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pykit.boot.scenario import Device, Scenario


def backing(device: Device, folder: Path) -> dict[str, Any]:
    """What is behind a device, as blockdev-add has it; makes the raw file if it is one."""
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
    return {
        "driver": device.type,
        "id": device.id,
        "bus": bus,
        "drive": node(device),
        **device.options,
    }


def cold_options(scenario: Scenario, folder: Path) -> list[str]:
    """QEMU's options for devices that have to be there from power-on; none with hot-plug."""
    options: list[str] = []
    if not scenario.transport.hot_plug:
        for number, device in enumerate(scenario.devices):
            options += ["-blockdev", json.dumps(backing(device, folder))]
            options += ["-device", json.dumps(front(device, scenario.transport.bus(number)))]
    return options
