# SPDX-License-Identifier: GPL-2.0-only
"""The verb `tap`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pykit.cli.options import JsonOption
from pykit.cli.terminal import dump, echo, print_table, say
from pykit.errors import InfraError, UsageError

if TYPE_CHECKING:
    from pykit.tap import Injection


def tap(
    listen: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Take front-ends at this new socket.")
    ] = None,
    connect: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Connect them to the back-end here.")
    ] = None,
    device: Annotated[
        str, typer.Option(metavar="TYPE", help="Judge a device of this type: blk, net, vsock, fs.")
    ] = "blk",
    fault: Annotated[
        str | None, typer.Option(metavar="NAME", help="Make this deliberate fault on the way.")
    ] = None,
    at: Annotated[
        int, typer.Option(min=1, metavar="N", help="Make it in the N-th chain that goes its way.")
    ] = 1,
    heal: Annotated[
        bool, typer.Option("--heal", help="Replace a back-end that goes: dial again, offer again.")
    ] = False,
    listing: Annotated[
        bool, typer.Option("--list", help="List the faults, and do no more.")
    ] = False,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR", help="Write the run to this new directory."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Observe what goes by between a vhost-user front-end and its back-end, until Ctrl-C.

    The capture is judged by pykit check, and shown and exported as any other. No code of the
    front-end, the back-end or a guest is needed.

    Example: pykit tap --listen /tmp/front.sock --connect /tmp/vhost.sock
    """
    from pykit import drive, paths
    from pykit import tap as tapping

    if listing:
        rows = [(f.name, f.reaches, f.does) for f in tapping.FAULTS.values()]
        if as_json:
            dump([{"name": name, "reaches": side, "does": does} for name, side, does in rows])
        else:
            print_table(("fault", "reaches", "what the tap does"), rows)
        return
    if listen is None or connect is None:
        raise UsageError("two sockets are needed: add --listen PATH --connect PATH")
    injection = _injection(fault, at)
    directory = to or paths.fresh_directory("tap")
    carried = tapping.Tap(
        listen, connect, drive.kind_of(device), directory,
        injection=injection, heals=heal, say=say,
    ).run()  # fmt: skip
    if as_json:
        dump(
            {"connections": carried.connections, "chains": carried.chains,
             "events": carried.events, "heals": carried.heals, "unsettled": carried.unsettled,
             "injected": carried.injected, "directory": str(directory)}
        )  # fmt: skip
    else:
        echo(
            f"{carried.chains} chains of {carried.connections} connections, {carried.events} "
            f"events, back-end replaced {carried.heals} times: pykit check {directory}"
        )
    if carried.full:
        raise InfraError(f"{directory}: not all was written down: {carried.full}: free some space")


def _injection(name: str | None, at: int) -> Injection | None:
    from pykit import tap as tapping
    from pykit.toml import choice

    if name is None:
        return None
    if name not in tapping.FAULTS:
        raise UsageError(choice(name, tapping.FAULTS, "fault"))
    return tapping.Injection(tapping.FAULTS[name], at)
