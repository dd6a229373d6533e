# SPDX-License-Identifier: GPL-2.0-only
"""The verb `matrix`: cells of families, and the fixed tables of kernels, pairs and makes."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from pykit.cli.options import (
    AllOption,
    JsonOption,
    OnKernelsOption,
    OnlyCellsOption,
    TagOption,
)
from pykit.cli.terminal import dump, echo, err, out, say, write
from pykit.errors import UsageError
from pykit.paths import fresh_directory

if TYPE_CHECKING:
    from pykit.matrix import Plan


class System(StrEnum):
    """CI systems with a job format."""

    GITHUB = "github"
    LAVA = "lava"


matrix_app = typer.Typer(help="Run many cells of one plan.", invoke_without_command=True)


@matrix_app.callback()
def matrix_cells(
    context: typer.Context,
    only: OnlyCellsOption = None,
    tag: TagOption = None,
    every: AllOption = False,
    kernel: OnKernelsOption = None,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Run only the i-th of n parts of the plan.")
    ] = None,
    isolate: Annotated[
        bool, typer.Option("--isolate", help="Boot a guest for every cell.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the captures of cells that held too.")
    ] = False,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Run on the workers of a Dask scheduler, tcp://…"),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Limit the guests in parallel (default: from CPU count and memory)."
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write to this directory; resume an interrupted matrix found there."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run cells of families/, many in one guest; or one of the tables below.

    Example: pykit matrix --tag smoke --to runs/smoke
    """
    if context.invoked_subcommand is not None:
        return
    if not (only or tag or every):
        raise UsageError("no cells selected: add --only PATTERN, --tag TAG or --all")
    run_cells(
        only or [],
        tags=tag or [],
        kernels=kernel or [],
        shard=shard,
        isolate=isolate,
        keep=keep,
        scheduler=scheduler,
        workers=workers,
        to=to,
        as_json=as_json,
    )


def run_cells(
    patterns: Sequence[str],
    *,
    tags: Sequence[str] = (),
    kernels: Sequence[str] = (),
    on: str | None = None,
    shard: str | None = None,
    isolate: bool = False,
    keep: bool = False,
    scheduler: str | None = None,
    workers: int | None = None,
    to: Path | None,
    as_json: bool,
) -> NoReturn:
    """Run the selected cells, print the counts and exit.

    ``kernels`` chooses among the cells, ``on`` has them all run on one kernel.
    """
    from pykit.families.display import Display
    from pykit.families.plan import on_kernel, plan
    from pykit.families.results.summary import summary
    from pykit.families.runner import run
    from pykit.families.shard import parse_shard

    part = parse_shard(shard) if shard else None
    chosen = plan(patterns, tags, kernels)
    if on is not None:
        chosen = on_kernel(chosen, on)
    directory = to or fresh_directory("matrix")
    display = Display(err)
    try:
        view = run(
            chosen.cells,
            directory,
            shard=part,
            isolate=isolate,
            keep=keep,
            scheduler=scheduler,
            count=workers,
            say=say,
            display=display,
        )
    except KeyboardInterrupt:
        display.end()
        say(f"interrupted: resume with the same command and --to {directory}")
        raise
    if as_json:
        dump(summary(view))
    else:
        counts = ", ".join(f"{number} {status}" for status, number in view.counts.items() if number)
        echo(f"{len(view.cells)} cells: {counts}")
        echo(f"report: {directory / 'index.html'}")
    raise typer.Exit(view.exit_code)


KernelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--kernel", metavar="K", help="Add a kernel (repeatable; default: all of Debian)."
    ),
]
OnlyOption = Annotated[
    str, typer.Option("--only", metavar="PATTERN", help="Run only cells whose names match.")
]
MatrixToOption = Annotated[
    Path | None, typer.Option("--to", metavar="DIR", help="Write to this new directory.")
]


@matrix_app.command("kernels")
def matrix_kernels(
    kernel: KernelsOption = None,
    only: OnlyOption = "*",
    to: MatrixToOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build all modules with W=1 C=1 for every kernel and run each on every transport.

    Example: pykit matrix kernels --only '*-virtio_blk-mmio'
    """
    from pykit import matrix

    _run_matrix(matrix.plan_kernels(kernel or matrix.KERNELS).only(only), to, as_json)


@matrix_app.command("loopback")
def matrix_loopback(
    kernel: KernelsOption = None,
    only: OnlyOption = "*",
    to: MatrixToOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run every pair of a driver and a vhost back-end in one guest, on every kernel.

    Example: pykit matrix loopback --only '*-loop-net'
    """
    from pykit import matrix

    _run_matrix(matrix.plan_loopback(kernel or matrix.KERNELS).only(only), to, as_json)


def _run_matrix(plan: Plan, to: Path | None, as_json: bool) -> NoReturn:
    from pykit import matrix
    from pykit.run import require_free

    directory = to or fresh_directory(f"matrix-{plan.name}")
    require_free(directory)
    done = matrix.run_plan(plan, directory, say)
    if as_json:
        dump(done.as_json())
    else:
        for part in matrix.table(done):
            out.print(part)
        for line in matrix.reasons(done):
            echo(line)
    raise typer.Exit(done.exit_code)


@matrix_app.command("conformance")
def matrix_conformance(
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Write to this new directory.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run drivers and devices of several vendors, each checked by the rules for its side.

    Prints Markdown.

    Example: pykit matrix conformance >docs/conformance.md
    """
    from pykit import matrix, spec
    from pykit.run import require_free

    directory = to or fresh_directory("matrix-conformance")
    require_free(directory)
    data = matrix.run_conformance(directory, say)
    if as_json:
        dump(data)
    else:
        write(matrix.as_markdown(data, spec.rules()))
    raise typer.Exit(matrix.exit_code(data))


def export_jobs(
    to: Annotated[System, typer.Option("--to", help="Write jobs for this CI system.")],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="DIR", help="Write the files to this directory."),
    ],
    only: OnlyCellsOption = None,
    tag: TagOption = None,
    every: AllOption = False,
    kernel: OnKernelsOption = None,
    shards: Annotated[
        int | None,
        typer.Option(min=1, help="Share the cells among this many jobs (default: at most 4)."),
    ] = None,
    repository: Annotated[
        str,
        typer.Option(metavar="URL", help="Install pykit on LAVA's machines from this repository."),
    ] = "",
    revision: Annotated[
        str, typer.Option(metavar="REV", help="Install this revision of the repository.")
    ] = "",
) -> None:
    """Write job definitions for a CI system, one job for each shard of a plan.

    Example: pykit export-jobs --to github --tag smoke -o .github/workflows
    """
    from pykit.families.jobs import Jobs, export
    from pykit.families.plan import plan
    from pykit.paths import write_atomically

    if not (only or tag or every):
        raise UsageError("no cells selected: add --only PATTERN, --tag TAG or --all")
    chosen = plan(only or [], tag or [], kernel or [])
    options = {"--only": only, "--tag": tag, "--kernel": kernel}
    arguments = [
        word for name, values in options.items() for v in values or [] for word in (name, v)
    ]
    arguments += ["--all"] if every else []
    shards = shards or min(4, len(chosen.cells))
    jobs = Jobs(arguments, len(chosen.cells), shards, repository, revision)
    texts = export(jobs, to.value)
    output.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_atomically(output / name, text.encode())
        echo(str(output / name))
