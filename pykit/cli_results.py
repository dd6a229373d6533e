# SPDX-License-Identifier: GPL-2.0-only
"""Verbs that compare and put together what was run, and that have others run it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.markup import escape

from pykit.errors import Exit, UsageError
from pykit.terminal import (
    AllOption,
    JsonOption,
    OnKernelsOption,
    OnlyCellsOption,
    TagOption,
    dump,
    out,
    say,
)

app = typer.Typer()


class System(StrEnum):
    """CI systems that jobs are written for."""

    GITHUB = "github"
    LAVA = "lava"


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="A run directory or a matrix directory.")],
    new: Annotated[Path, typer.Argument(help="Another of the same sort.")],
    as_json: JsonOption = False,
) -> NoReturn:
    """What changed: new violations, fixed ones, outcomes, what is slower beyond noise.

    Ends with 1 if something got worse. Example: pykit diff runs/matrix-6.12 runs/matrix-7.2
    """
    from pykit.families import shown
    from pykit.families.diff import diff as compare

    found = compare(old, new)
    if as_json:
        dump(found.as_json())
    else:
        for line in shown.changes(found):
            out.print(escape(line), soft_wrap=True)
    raise typer.Exit(Exit.FAILED if found.worse else Exit.OK)


@app.command()
def merge(
    directories: Annotated[list[Path], typer.Argument(help="Matrix directories of one plan.")],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The directory to make.")],
    as_json: JsonOption = False,
) -> NoReturn:
    """Put the shards of one plan together, and write all results of the whole.

    Example: pykit merge shards/* --to matrix
    """
    from pykit.families import shown
    from pykit.families.merge import merge as put_together
    from pykit.families.results.summary import summary

    done = put_together(directories, to)
    if as_json:
        dump(summary(done.view))
    else:
        for line in shown.merged(done):
            out.print(escape(line), soft_wrap=True)
        out.print(f"report: {to / 'index.html'}", soft_wrap=True)
    raise typer.Exit(done.view.exit_code)


@app.command("export-jobs")
def export_jobs(
    to: Annotated[System, typer.Option("--to", help="The CI system.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Where to write the files.")
    ],
    only: OnlyCellsOption = None,
    tag: TagOption = None,
    every: AllOption = False,
    kernel: OnKernelsOption = None,
    shards: Annotated[int, typer.Option(min=1, help="How many jobs share the cells.")] = 4,
    repository: Annotated[
        str, typer.Option(metavar="URL", help="Where LAVA's machines get pykit.")
    ] = "",
    revision: Annotated[str, typer.Option(metavar="REV", help="Of that repository.")] = "",
) -> None:
    """Write a CI system's job definitions for a plan, a job a shard.

    Example: pykit export-jobs --to github --tag smoke -o .github/workflows
    """
    from pykit.families.jobs import Jobs, export
    from pykit.families.plan import plan
    from pykit.paths import write_atomically

    if not (only or tag or every):
        raise UsageError("say which cells: --only PATTERN, --tag TAG, or --all")
    chosen = plan(only or [], tag or [], kernel or [])
    options = {"--only": only, "--tag": tag, "--kernel": kernel}
    arguments = [
        word for name, values in options.items() for v in values or [] for word in (name, v)
    ]
    arguments += ["--all"] if every else []
    jobs = Jobs(arguments, len(chosen.cells), shards, repository, revision)
    texts = export(jobs, to.value)
    output.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_atomically(output / name, text.encode())
        out.print(str(output / name), soft_wrap=True)


@app.command()
def bisect(
    run: Annotated[
        list[str],
        typer.Argument(help="Arguments of pykit run: a scenario or a cell, options after a --."),
    ],
    good: Annotated[str, typer.Option(metavar="REV", help="A revision where it held.")],
    bad: Annotated[str, typer.Option(metavar="REV", help="A later one where it fails.")],
    source: Annotated[Path, typer.Option(metavar="TREE", help="A git tree of the kernel's.")],
    profile: Annotated[str, typer.Option(help="What the kernels are built with.")] = "minimal",
    as_json: JsonOption = False,
) -> NoReturn:
    """Find the commit of a kernel tree that broke a scenario, by git bisect run.

    Example: pykit bisect --good v6.12 --bad v6.13 --source linux -- blk --boot direct
    """
    from pykit.bisect import bisect as search

    found = search(source, good=good, bad=bad, profile=profile, run=run, say=say)
    if as_json:
        dump([vars(suspect) for suspect in found.suspects])
    elif found.exit_code == Exit.OK:
        (suspect,) = found.suspects
        out.print(escape(f"first bad commit: {suspect.commit} {suspect.subject}"), soft_wrap=True)
    else:
        out.print("some could not be tested; the first bad commit is one of")
        for suspect in found.suspects:
            out.print(escape(f"  {suspect.commit} {suspect.subject}"), soft_wrap=True)
    raise typer.Exit(found.exit_code)
