# SPDX-License-Identifier: GPL-2.0-only
"""Describe a device under test to QEMU, over QMP or on its command line."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

from pykit.errors import UsageError
from pykit.qemu import program
from pykit.qemu.keeper import require_socket
from pykit.scenario.model import BAD_SECTOR, Device, Scenario

#: A command of QMP with its arguments.
Command = tuple[str, dict[str, Any]]

#: QEMU's options that do the same as a command of QMP, where there are any.
_COLD = {
    "blockdev-add": "-blockdev",
    "netdev_add": "-netdev",
    "device_add": "-device",
    "object-add": "-object",
}

#: A slow disk answers so many requests a second, one by one, after the first tenth of them.
_SLOW = 500


def plug(device: Device, bus: str, folder: Path) -> list[Command]:
    """What plugs a device with what is behind it; files are made in ``folder``.

    The socket of a device that another process serves is there already.
    """
    commands = _behind(device, folder)
    if device.iothread:
        # Between two answers of a slow disk its thread polls, and asks for no notification.
        polls = {"poll-max-ns": 2 * 10**9 // _SLOW} if device.backing == "slow" else {}
        commands.append(("object-add", {"id": thread(device), "qom-type": "iothread", **polls}))
    commands.append(("device_add", _front(device, bus)))
    for child in device.children:
        commands += plug(child, f"{device.id}.0", folder)
    return commands


def forget(device: Device) -> list[Command]:
    """What removes what is behind a device that is gone."""
    commands: list[Command] = [c for child in device.children for c in forget(child)]
    match device.backing:
        case "file" | "null" | "failing" | "slow":
            commands.append(("blockdev-del", {"node-name": node(device)}))
            if device.backing == "slow":
                commands.append(("object-del", {"id": _back(device)}))
        case "net":
            commands.append(("netdev_del", {"id": _back(device)}))
        case "vhost-user":
            commands.append(("chardev-remove", {"id": node(device)}))
        case "pipe":
            commands.append(("chardev-remove", {"id": _back(device)}))
    if device.iothread:
        commands.append(("object-del", {"id": thread(device)}))
    return commands


def _behind(device: Device, folder: Path) -> list[Command]:
    match device.backing:
        case "file" | "null" | "failing" | "slow":
            limits = {"limits": {"iops-total": _SLOW}}
            group = {"qom-type": "throttle-group", "id": _back(device), **limits}
            slow: list[Command] = [("object-add", group)] if device.backing == "slow" else []
            return [*slow, ("blockdev-add", disk(device, folder))]
        case "vhost-user":
            peer = _socket(socket_of(device, folder), server=False)
            return [("chardev-add", {"id": node(device), "backend": peer})]
        case "net":
            # Files of the folder can be read by TFTP.
            served = folder / f"{device.id}-tftp"
            served.mkdir()
            (served / "random").write_bytes(os.urandom(device.size_mib << 20))
            arguments = {"type": "user", "id": _back(device), "tftp": str(served), "restrict": True}
            return [("netdev_add", arguments)]
        case "pipe":
            # Between a parent's first child, which makes it, and the next one, which joins.
            parent, _, number = device.id.rpartition("-")
            peer = _socket(_pipe(parent, folder), server=number == "0")
            return [("chardev-add", {"id": _back(device), "backend": peer})]
    return []


def image(device: Device, folder: Path) -> Path | None:
    """The raw file behind a block device, where there is one and pykit makes it."""
    served = device.backing == "vhost-user" and device.peer is None
    if "-blk" not in device.type or not (served or device.backing in ("file", "failing", "slow")):
        return None
    return _image(device, folder)


def _image(device: Device, folder: Path) -> Path:
    return folder / f"{device.id}.img"


def disk(device: Device, folder: Path) -> dict[str, Any]:
    """A block node, as blockdev-add has it; makes the raw file if it is one."""
    if device.backing == "null":
        size = device.size_mib << 20
        return {"driver": "null-co", "node-name": node(device), "size": size, "read-zeroes": True}
    path = _image(device, folder)
    with path.open("wb") as file:
        file.truncate(device.size_mib << 20)
    below: dict[str, Any] = {"driver": "file", "filename": str(path), "discard": "unmap"}
    if device.backing == "failing":
        error = {"event": "none", "iotype": "read", "sector": BAD_SECTOR, "errno": errno.EIO}
        below = {"driver": "blkdebug", "image": below, "inject-error": [error]}
    if device.backing == "slow":
        below = {"driver": "throttle", "throttle-group": _back(device), "file": below}
    return {
        "driver": "raw", "node-name": node(device), "discard": "unmap", "file": below,
        # Nobody reads the file after a crash of this machine, and what never reached its disk is
        # gone at once: a quarter of a second a scenario.
        "cache": {"no-flush": True},
    }  # fmt: skip


def _socket(path: Path, *, server: bool) -> dict[str, Any]:
    """One end of a socket, as chardev-add has it; who makes it waits for nobody."""
    address = {"type": "unix", "data": {"path": str(path)}}
    wait = {"wait": False} if server else {}
    return {"type": "socket", "data": {"addr": address, "server": server, **wait}}


def _front(device: Device, bus: str) -> dict[str, Any]:
    """The device itself, as device_add has it."""
    front: dict[str, Any] = {"driver": device.type, "id": device.id, "bus": bus}
    match device.backing:
        case "file" | "null" | "failing" | "slow":
            front["drive"] = node(device)
        case "vhost-user":
            front["chardev"] = node(device)
        case "net":
            front["netdev"] = _back(device)
        case "pipe":
            front["chardev"] = _back(device)
        case "folder":
            front |= {"fsdev": _back(device), "mount_tag": device.id}
    if device.iothread:
        front["iothread"] = thread(device)
    return {**front, **device.options}


def _back(device: Device) -> str:
    """The name of what is behind a device, if it is no disk."""
    return f"{device.id}-back"


def node(device: Device) -> str:
    """The name of a device's block node."""
    return f"{device.id}-disk"


def thread(device: Device) -> str:
    """The name of a device's own thread."""
    return f"{device.id}-thread"


def memory_options(scenario: Scenario) -> list[str]:
    """QEMU's options for memory that another process can serve a device in.

    Observers of memory bring such memory of their own.
    """
    if all(device.backing != "vhost-user" for device in scenario.devices):
        return []
    if {"access", "rings"} & {*scenario.observe} or not scenario.transport.arch.other_pci:
        # All of its memory is in a file.
        return []
    memory = f"memory-backend-memfd,id=pykit-shared,size={program.MEMORY_MIB}M,share=on"
    return ["-object", memory, "-machine", "memory-backend=pykit-shared"]


def require_sockets(scenario: Scenario, folder: Path) -> None:
    """Raise InfraError where a device's id and TMPDIR together are too long for its socket."""
    for device in scenario.devices:
        if device.backing == "vhost-user" and not isinstance(device.peer, Path):
            require_socket(socket_of(device, folder))
        if any(child.backing == "pipe" for child in device.children):
            require_socket(_pipe(device.id, folder))


def _pipe(parent: str, folder: Path) -> Path:
    """Where the children of a device have a pipe between them."""
    return folder / f"{parent}-pipe"


def socket_of(device: Device, folder: Path) -> Path:
    """Where a vhost-user disk is served."""
    if isinstance(device.peer, Path):
        return device.peer
    return folder / f"{device.id}.sock"


def cold_options(scenario: Scenario, folder: Path) -> list[str]:
    """QEMU's options for what has to be there from power-on.

    That is folders, which QMP cannot add, and all devices where there is no hot-plug.

    Raises UsageError for a device that can only be plugged.
    """
    options: list[str] = []
    for number, device in enumerate(scenario.devices):
        if device.backing == "folder":
            shared = folder / f"{device.id}-folder"
            shared.mkdir()
            options += [
                "-fsdev",
                f"local,id={_back(device)},path={program.value(shared)},security_model=none",
            ]
        if scenario.transport.hot_plug:
            continue
        for command, arguments in plug(device, scenario.transport.bus(number), folder):
            if command not in _COLD:
                raise UsageError(f"{device.id} can only be plugged: choose pci or pci-legacy")
            options += [_COLD[command], json.dumps(arguments)]
    return options
