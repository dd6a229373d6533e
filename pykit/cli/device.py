# SPDX-License-Identifier: GPL-2.0-only
"""The verb `device`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pykit.cli.options import JsonOption
from pykit.cli.terminal import dump, print_table, progress, say
from pykit.errors import Exit, UsageError


def device(
    socket: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Listen at this socket.")
    ] = None,
    device_type: Annotated[
        str,
        typer.Option(
            "--device", metavar="TYPE", help="Serve blk, or net, which receives what it is sent."
        ),
    ] = "blk",
    disk: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Keep the disk in this file; without it, in memory."),
    ] = None,
    size_mib: Annotated[
        int, typer.Option(min=1, max=1024, help="Size a disk in memory, in MiB.")
    ] = 64,
    queues: Annotated[int, typer.Option(min=1, max=64, help="Offer this many queues.")] = 2,
    zones: Annotated[
        bool, typer.Option("--zones", help="Divide the disk into zones, as a host-managed one.")
    ] = False,
    fault: Annotated[
        str | None, typer.Option(metavar="NAME", help="Have this deliberate fault.")
    ] = None,
    script: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Have the fault that this Python file describes."),
    ] = None,
    driver: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Have this driver, fetched into the cache, use the device once with each fault, "
            "or with the one that is named: libblkio, virtio-user-split, virtio-user-packed.",
        ),
    ] = None,
    listing: Annotated[
        bool, typer.Option("--list", help="List the faults, and serve none.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Serve a device as a vhost-user back-end, with a deliberate fault if one is named.

    Example: pykit device --socket /tmp/vhost.sock
    """
    from pykit import device as back_end
    from pykit.toml import choice

    if listing:
        rows = [(name, found.does) for name, found in back_end.FAULTS.items()]
        if as_json:
            dump([{"name": name, "does": does} for name, does in rows])
        else:
            print_table(("fault", "what the device does"), rows)
        return
    if fault is not None and fault not in back_end.FAULTS:
        raise UsageError(choice(fault, back_end.FAULTS, "fault"))
    if driver is not None:
        _react(driver, fault, as_json)
        return
    if device_type not in back_end.TYPES:
        raise UsageError(choice(device_type, back_end.TYPES, "device type"))
    if socket is None:
        raise UsageError("no socket: add --socket PATH")
    if fault and script:
        raise UsageError("two faults: choose --fault or --script")
    chosen = back_end.FAULTS[fault] if fault else None
    if script:
        chosen = back_end.load_script(script)
    served: back_end.Served
    if device_type == "net":
        if disk or zones:
            raise UsageError("a network device has no disk: leave out --disk and --zones")
        if fault in back_end.OF_DISKS or (chosen and chosen.zoned):
            raise UsageError(f"{fault} is a fault of disks: choose another, or --device blk")
        if queues % 2:
            raise UsageError("a network device has pairs of queues: give an even number")
        served = back_end.ServedNet(queues)
    else:
        served = back_end.ServedDisk(disk, size_mib << 20, queues, zoned=zones)
    back_end.serve(socket, served, queues, chosen, say)


def _react(name: str, fault: str | None, as_json: bool) -> None:
    """Print what a driver does with each fault; fail where it cannot use the device without one."""
    from pykit.device.under import DRIVERS, react
    from pykit.toml import choice

    if name not in DRIVERS:
        raise UsageError(choice(name, DRIVERS, "driver"))
    driver = DRIVERS[name]
    if fault and fault not in driver.faults():
        raise UsageError(f"{fault} has no effect on a device that {name} drives: choose another")
    faults = ("", *((fault,) if fault else driver.faults()))
    with progress() as say_so:
        found = list(react(driver, faults, say_so))
    if as_json:
        dump([one.as_json() for one in found])
    else:
        rows = [(one.fault or "none", one.fared, one.said) for one in found]
        print_table(("fault", "reaction", "what the driver reports"), rows)
    raise typer.Exit(Exit.OK if found[0].fared == "contained" else Exit.FAILED)
