# SPDX-License-Identifier: GPL-2.0-only
"""The verb `fuzz`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pykit.cli.options import DriveCommand, DriveDevice, DrivePeer, DriveSocket, JsonOption
from pykit.cli.terminal import dump, echo, progress

if TYPE_CHECKING:
    from pykit.drive import FuzzResult


def fuzz(
    command: DriveCommand = None,
    socket: DriveSocket = None,
    peer: DrivePeer = None,
    qemu: Annotated[
        str | None,
        typer.Option(metavar="DEVICE", help="Drive this device of QEMU's without a guest."),
    ] = None,
    device: DriveDevice = "blk",
    count: Annotated[
        int, typer.Option("--count", min=1, metavar="N", help="Generate this many cases.")
    ] = 1000,
    seed: Annotated[int, typer.Option(metavar="N", help="Generate the cases by N.")] = 1,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", metavar="DIR", help="Write the rows that were found to this directory."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Drive a virtio device with generated cases, and reduce those that have a wrong class.

    Each is mixed of rows of `pykit drive --list`: several spoils of one chain, at any moment, in a
    queue of any size. What is found becomes a row that `pykit drive --cases FILE` runs again.

    Example: pykit fuzz --count 200 --socket /tmp/vhost.sock
    """
    from pykit import drive as driving
    from pykit import paths

    directory = to or paths.fresh_directory("fuzz")
    with (
        progress() as say,
        driving.chosen_target(socket, peer, qemu, command, device, say) as target,
    ):
        result = driving.fuzz(target, count, directory, seed=seed, progress=say)
    if as_json:
        dump(result.as_json())
    else:
        _print_result(result)
    raise typer.Exit(result.exit_code)


def _print_result(result: FuzzResult) -> None:
    for found in result.found:
        row, outcome = found.row, found.outcome
        echo(f"FAIL {row.name}: {outcome.verdict} (right: {', '.join(row.accepted)})")
        echo(f"     {row.does}")
        facts = [
            f"{' + '.join((row.spoil, *row.also))} at {row.where[0]}", f"when {row.when[0]}",
            row.rings[0], row.tables[0], f"size {row.sizes[0]}", outcome.trespass, outcome.detail,
        ]  # fmt: skip
        echo(f"     {'; '.join(fact for fact in facts if fact)}")
    classes = ", ".join(f"{count} {name}" for name, count in result.classes.most_common())
    echo(f"{result.classes.total()} cases of seed {result.seed}: {classes or 'none'}")
    if result.found:
        echo(f"run them again: pykit drive --cases {result.directory / 'found.toml'} …")
    echo(f"{result.seconds:.1f} s; details: {result.directory / 'fuzz.json'}")
