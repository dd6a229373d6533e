# SPDX-License-Identifier: GPL-2.0-only
"""Options that several verbs share."""

from __future__ import annotations

from typing import Annotated

import typer

#: Maps the exit code to the one that `git bisect run` expects; main() reads it from argv.
BISECT = "--bisect"

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
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print every rule, also those that passed.")
]
