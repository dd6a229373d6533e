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
            "or with the one that is named: libblkio.",
        ),
    ] = None,
    listing: Annotated[
        bool, typer.Option("--list", help="List the faults, and serve none.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Serve a block device as a vhost-user back-end, with a deliberate fault if one is named.

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
        from pykit.device.under import DRIVERS

        if driver not in DRIVERS:
            raise UsageError(choice(driver, DRIVERS, "driver"))
        _react(("", *((fault,) if fault else back_end.FAULTS)), as_json)
        return
    if socket is None:
        raise UsageError("no socket: add --socket PATH")
    if fault and script:
        raise UsageError("two faults: choose --fault or --script")
    chosen = back_end.FAULTS[fault] if fault else None
    if script:
        chosen = back_end.load_script(script)
    store = back_end.ServedDisk(disk, size_mib << 20, queues, zoned=zones)
    back_end.serve(socket, store, queues, chosen, say)


def _react(faults: tuple[str, ...], as_json: bool) -> None:
    """Print what a driver does with each fault; fail where it cannot use the device without one."""
    from pykit.device.under import react

    with progress() as say_so:
        found = list(react(faults, say_so))
    if as_json:
        dump([one.as_json() for one in found])
    else:
        rows = [(one.fault or "none", one.fared, one.said) for one in found]
        print_table(("fault", "reaction", "what the driver reports"), rows)
    raise typer.Exit(Exit.OK if found[0].fared == "contained" else Exit.FAILED)
