# SPDX-License-Identifier: GPL-2.0-only
"""Verbs that read what runs left: show, why, export, finding, diff, merge."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from pykit.cli.options import JsonOption
from pykit.cli.terminal import dump, echo, out, progress, say, write
from pykit.errors import Exit, UsageError

if TYPE_CHECKING:
    from pykit import analysis


def show(
    run: Annotated[
        Path, typer.Argument(help="Name a run directory, its capture/, or a trace.dat.")
    ],
    queue: Annotated[
        str | None, typer.Option("--queue", metavar="DEV.VQ", help="Show only this queue.")
    ] = None,
    request: Annotated[
        int | None, typer.Option("--request", metavar="N", help="Show the stages of this request.")
    ] = None,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Follow a run in progress: print its queues every second."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print statistics of each virtqueue, the latency of its requests by stage, and the transport.

    Example: pykit show runs/20260102-030405-blk --queue 0.1
    """
    from pykit import analysis

    if follow:
        if request is not None:
            raise UsageError("--request needs a finished run: drop --follow")
        _follow(analysis.follow(run, queue=queue), as_json)
        return
    shown = analysis.show(run, queue=queue, request=request)
    if as_json:
        dump(shown.as_dict())
    else:
        shown.render(out)


def why(
    run: Annotated[
        Path | None,
        typer.Argument(help="Name a run directory, its capture/, or a trace.dat."),
    ] = None,
    attach: Annotated[
        Path | None,
        typer.Option(metavar="SOCKET", help="Observe a running QEMU by its QMP socket."),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.5, help="Observe a QEMU given by --attach this long.")
    ] = 5,
    as_json: JsonOption = False,
) -> NoReturn:
    """Explain which queues stand still: at which index, whose turn it is, and why.

    Exits with 1 if a queue is stuck, with 4 if that cannot be decided.

    Example: pykit why runs/20260102-030405-blk
    """
    from pykit import analysis

    if (run is None) == (attach is None):
        raise UsageError("nothing to explain: name a run directory, or add --attach SOCKET")
    if attach is not None:
        with progress() as say:
            found = analysis.why_running(attach, seconds, say)
    else:
        assert run is not None
        found = analysis.why(run)
    if as_json:
        dump(found.as_dict())
    else:
        for line in found.lines():
            echo(line)
    raise typer.Exit(found.exit_code)


def _follow(looks: Iterable[analysis.LiveLook], as_json: bool) -> None:
    """Print each look as it comes, until Ctrl-C or until the reader has closed the pipe."""
    with contextlib.suppress(KeyboardInterrupt):
        for number, look in enumerate(looks):
            if out.quiet:
                return
            if as_json:
                write(json.dumps(look.as_dict()) + "\n")
                continue
            if not number:
                look.legend(out)
            look.render(out)


def export(
    run: Annotated[
        Path, typer.Argument(help="Name a run directory, its capture/, or a trace.dat.")
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help="Write parquet, csv, requests, chrome, perfetto or trace-cmd.",
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Write to this file.")],
) -> None:
    """Write a run's events or requests in another tool's format.

    Example: pykit export runs/20260102-030405-blk --to perfetto -o blk.pftrace
    """
    from pykit import analysis

    for loss in analysis.write(run, to, output):
        say(f"lost: {loss}")


def finding(
    run: Annotated[
        Path, typer.Argument(help="Name a run directory, its capture/, or a trace.dat.")
    ],
    rule: Annotated[
        str | None,
        typer.Argument(metavar="[RULE]", help="Describe this rule; without it, all that failed."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write to this file.")
    ] = None,
) -> None:
    """Write a report of a deviation for its maintainers: clause, versions, reproducer, events.

    Example: pykit finding runs/20260102-030405-blk DX-06 -o finding.md
    """
    from pykit import report, steps
    from pykit.paths import write_atomically

    found = steps.check(run, to=None)
    text = report.finding_of(run, found.verdicts, found.events, [rule] if rule else [])
    if output is None:
        write(text)
    else:
        write_atomically(output, text.encode())


def diff(
    old: Annotated[Path, typer.Argument(help="Name a run directory or a matrix directory.")],
    new: Annotated[Path, typer.Argument(help="Name another one of the same kind.")],
    as_json: JsonOption = False,
) -> NoReturn:
    """Compare two runs or two matrices: violations, outcomes and timing beyond noise.

    Exits with 1 if something got worse.

    Example: pykit diff runs/matrix-6.12 runs/matrix-7.2
    """
    from pykit.matrix.compare import shown
    from pykit.matrix.compare.diff import diff as compare

    found = compare(old, new)
    if as_json:
        dump(found.as_json())
    else:
        for line in shown.changes(found):
            echo(line)
    raise typer.Exit(Exit.FAILED if found.worse else Exit.OK)


def merge(
    directories: Annotated[list[Path], typer.Argument(help="Name matrix directories of one plan.")],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Write to this new directory.")],
    as_json: JsonOption = False,
) -> NoReturn:
    """Merge the shards of one plan and write the results of the whole.

    Example: pykit merge shards/* --to matrix
    """
    from pykit.matrix.compare import shown
    from pykit.matrix.compare.merge import merge as put_together
    from pykit.matrix.results.summary import summary

    done = put_together(directories, to)
    if as_json:
        dump(summary(done.view))
    else:
        for line in shown.merged(done):
            echo(line)
        echo(f"report: {to / 'index.html'}")
    raise typer.Exit(done.view.exit_code)
