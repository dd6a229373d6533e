# SPDX-License-Identifier: GPL-2.0-only
"""The command tree: every verb in the order of --help."""

from __future__ import annotations

from typing import Annotated

import typer

from pykit import __version__
from pykit.cli import (
    baseline,
    bundle,
    device,
    doctor,
    drive,
    fuzz,
    kernel,
    matrix,
    mutants,
    record,
    results,
    rules,
    run,
    tap,
    top,
)
from pykit.cli.bench import bench_app
from pykit.cli.terminal import echo
from pykit.errors import Exit

app = typer.Typer(
    name="pykit",
    help="Test virtio drivers and devices on Linux against the VIRTIO specification.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(doctor.doctor)
app.command()(kernel.config)
app.command()(kernel.build)
app.command()(run.run)
app.command()(run.check)
app.command()(baseline.baseline)
app.command()(baseline.summary)
app.command()(results.show)
app.command()(results.why)
app.command()(top.top)
app.command()(results.export)
app.command()(results.finding)
app.command()(rules.rules)
app.command()(results.diff)
app.command()(results.merge)
app.command()(matrix.matrix)
app.command("export-jobs")(matrix.export_jobs)
app.command()(run.bisect)
app.command()(drive.drive)
app.command()(fuzz.fuzz)
app.command()(bundle.bundle)
app.command()(device.device)
app.command()(tap.tap)
app.command()(record.record)
app.command()(mutants.mutants)
app.add_typer(kernel.kernel_app, name="kernel")
app.add_typer(bench_app, name="bench")


def _version(value: bool) -> None:
    if value:
        echo(f"pykit {__version__}")
        raise typer.Exit(Exit.OK)


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    # Called for the options of `pykit` itself; the verbs do the rest.
    del version
