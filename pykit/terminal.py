# SPDX-License-Identifier: GPL-2.0-only
"""What all verbs print with, and the options that several of them have."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

err = Console(stderr=True, highlight=False)
out = Console(highlight=False)

KernelOption = Annotated[
    str | None,
    typer.Option(
        "--kernel",
        metavar="K",
        help="debian-6.12 (default), another of `pykit kernel list`, a release, a build directory.",
    ),
]
#: Which cells.
OnlyCellsOption = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="PATTERN", help="A family, its file, or cells: 'blk/packed*'."),
]
TagOption = Annotated[
    list[str] | None, typer.Option("--tag", help="Cells with this tag; may be given again.")
]
AllOption = Annotated[bool, typer.Option("--all", help="All cells of all families.")]
OnKernelsOption = Annotated[
    list[str] | None, typer.Option("--kernel", metavar="K", help="Only on this kernel; or again.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def say(message: str) -> None:
    """One line of progress, on standard error."""
    err.print(f"[dim]pykit:[/] {escape(message)}", soft_wrap=True)


def dump(data: object) -> None:
    """Print data as JSON on standard output."""
    print(json.dumps(data, indent=2, default=str))
