# SPDX-License-Identifier: GPL-2.0-only
"""The verb `device`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pykit.cli.options import JsonOption
from pykit.cli.terminal import dump, print_table, say
from pykit.errors import UsageError


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
    if socket is None:
        raise UsageError("no socket: add --socket PATH")
    if fault is not None and fault not in back_end.FAULTS:
        raise UsageError(choice(fault, back_end.FAULTS, "fault"))
    if fault and script:
        raise UsageError("two faults: choose --fault or --script")
    chosen = back_end.FAULTS[fault] if fault else None
    if script:
        chosen = back_end.load_script(script)
    store = back_end.ServedDisk(disk, size_mib << 20, queues, zoned=zones)
    back_end.serve(socket, store, queues, chosen, say)
