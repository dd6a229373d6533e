# SPDX-License-Identifier: GPL-2.0-only
"""The verbs `matrix` and `export-jobs`: run cells of matrices, or write CI jobs that do."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from pykit.cli.baseline import BaselineOption, held_to, read_baseline
from pykit.cli.options import (
    AllOption,
    JsonOption,
    MatricesArgument,
    OnKernelsOption,
    OnlyCellsOption,
    TagOption,
)
from pykit.cli.terminal import dump, echo, err, say
from pykit.errors import UsageError
from pykit.paths import fresh_directory

if TYPE_CHECKING:
    from pykit.baseline import BaselineFile
    from pykit.matrix.plan.cell import MatrixCell
    from pykit.matrix.results import MatrixView


class System(StrEnum):
    """CI systems that jobs are written for."""

    GITHUB = "github"
    LAVA = "lava"


def matrix(
    names: MatricesArgument = None,
    only: OnlyCellsOption = None,
    tag: TagOption = None,
    every: AllOption = False,
    kernel: OnKernelsOption = None,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Run only the i-th of n parts of the plan.")
    ] = None,
    isolate: Annotated[
        bool, typer.Option("--isolate", help="Boot a guest of its own for every cell.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep run directories of cells that held, too.")
    ] = False,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Run on the workers of a Dask scheduler, tcp://…"),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Run at most this many guests in parallel (default: by CPUs and memory)."
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write to this directory; an interrupted matrix found there is resumed.",
        ),
    ] = None,
    baseline: BaselineOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the cells of matrices, many in one guest where they can share it.

    Example: pykit matrix kernels --kernel debian-6.12 --to runs/kernels
    """
    patterns, within = require_cells(names, only, tag, every)
    run_cells(
        patterns,
        tags=tag or [],
        kernels=kernel or [],
        within=within,
        shard=shard,
        isolate=isolate,
        keep=keep,
        scheduler=scheduler,
        workers=workers,
        to=to,
        known=read_baseline(baseline),
        as_json=as_json,
    )


def require_cells(
    names: Sequence[str] | None, only: Sequence[str] | None, tag: Sequence[str] | None, every: bool
) -> tuple[Sequence[str], Sequence[str]]:
    """Return the patterns of select() and those within; raise UsageError where there are none."""
    if not (names or only or tag or every):
        raise UsageError("no cells chosen: name a matrix, or use --only, --tag or --all")
    # With a matrix named, --only chooses among its cells.
    return (names, only or []) if names else (only or [], [])


def run_cells(
    patterns: Sequence[str],
    *,
    tags: Sequence[str] = (),
    kernels: Sequence[str] = (),
    within: Sequence[str] = (),
    on: str | None = None,
    shard: str | None = None,
    isolate: bool = False,
    keep: bool = False,
    scheduler: str | None = None,
    workers: int | None = None,
    to: Path | None,
    known: BaselineFile | None,
    as_json: bool,
) -> NoReturn:
    """Run the chosen cells, print the counts, and exit with the matrix's exit code.

    ``kernels`` chooses among the cells, ``on`` runs all of them on one kernel.
    """
    from pykit.matrix.plan.select import on_kernel, select
    from pykit.matrix.plan.shard import parse_shard
    from pykit.matrix.results.summary import summary

    part = parse_shard(shard) if shard else None
    chosen = select(patterns, tags, kernels, within)
    if on is not None:
        chosen = on_kernel(chosen, on)
    view, directory = run_plan(
        chosen,
        to,
        shard=part,
        isolate=isolate,
        keep=keep,
        scheduler=scheduler,
        workers=workers,
    )
    if as_json:
        dump(summary(view))
    else:
        for build in view.builds:
            echo(f"strict build for {build.kernel}: {build.message}")
        counts = ", ".join(f"{number} {status}" for status, number in view.counts.items() if number)
        echo(f"{len(view.cells)} cells: {counts}")
        echo(f"report: {directory / 'index.html'}")
    code = None
    if known is not None:
        from pykit.baseline import of_directory

        code = held_to(known, of_directory(directory), directory, as_json=as_json)
    raise typer.Exit(view.exit_code if code is None else code)


def run_plan(
    cells: Sequence[MatrixCell],
    to: Path | None,
    *,
    shard: tuple[int, int] | None = None,
    isolate: bool = False,
    keep: bool = False,
    scheduler: str | None = None,
    workers: int | None = None,
) -> tuple[MatrixView, Path]:
    """Run cells and show how far they are; the results and their directory.

    ``to`` is that directory, or None for a new one.
    """
    from pykit.matrix.execute.display import Display
    from pykit.matrix.execute.runner import run

    directory = to or fresh_directory("matrix")
    display = Display(err)
    try:
        view = run(
            cells,
            directory,
            shard=shard,
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
    return view, directory


def export_jobs(
    to: Annotated[System, typer.Option("--to", help="Choose the CI system.")],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="DIR", help="Write the files to this directory."),
    ],
    names: MatricesArgument = None,
    only: OnlyCellsOption = None,
    tag: TagOption = None,
    every: AllOption = False,
    kernel: OnKernelsOption = None,
    shards: Annotated[
        int | None,
        typer.Option(min=1, help="Divide the cells among this many jobs (default: at most 4)."),
    ] = None,
    repository: Annotated[
        str, typer.Option(metavar="URL", help="Fetch pykit from this repository on LAVA machines.")
    ] = "",
    revision: Annotated[
        str, typer.Option(metavar="REV", help="Check out this revision of that repository.")
    ] = "",
) -> None:
    """Write a CI system's job definitions for a plan, one job per shard.

    Example: pykit export-jobs --to github --tag smoke -o .github/workflows
    """
    from pykit.matrix.ci_jobs import CiJobs, export
    from pykit.matrix.plan.select import select
    from pykit.paths import write_atomically

    patterns, within = require_cells(names, only, tag, every)
    chosen = select(patterns, tag or [], kernel or [], within)
    options = {"--only": only, "--tag": tag, "--kernel": kernel}
    arguments = [*(names or [])]
    arguments += [
        word for name, values in options.items() for v in values or [] for word in (name, v)
    ]
    arguments += ["--all"] if every else []
    jobs = CiJobs(arguments, len(chosen), shards or min(4, len(chosen)), repository, revision)
    texts = export(jobs, to.value)
    output.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_atomically(output / name, text.encode())
        echo(str(output / name))
