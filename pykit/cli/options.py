# SPDX-License-Identifier: GPL-2.0-only
"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def _kernel_names(incomplete: str) -> list[str]:
    from pykit.kernels.catalog import FLAVOURS

    return [flavour.name for flavour in FLAVOURS if flavour.name.startswith(incomplete)]


def scenario_names(incomplete: str) -> list[str]:
    """Return the scenarios whose names begin so, for a shell's completion."""
    from pykit.scenario.model import SCENARIOS

    return sorted(path.stem for path in SCENARIOS.glob(f"{incomplete}*.toml"))


#: Maps the exit code to the one that `git bisect run` expects; main() reads it from argv.
BISECT = "--bisect"

KernelOption = Annotated[
    str | None,
    typer.Option(
        "--kernel",
        metavar="K",
        autocompletion=_kernel_names,
        help="Use this kernel: debian-6.12 (default), another of `pykit kernel list`, a release, "
        "or a build directory.",
    ),
]
ArchOption = Annotated[
    str | None,
    typer.Option(
        "--arch",
        metavar="A",
        help="Use the kernel of this architecture: amd64, arm64 or s390x (default: the kernel's "
        "own).",
    ),
]
#: Choose cells.
MatricesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[MATRIX]...", help="Run matrices of matrices/, or of these files."),
]
OnlyCellsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="PATTERN",
        help="Run only these cells: 'io/*packed*', or '*packed*' with a matrix named (repeatable).",
    ),
]
TagOption = Annotated[
    list[str] | None, typer.Option("--tag", help="Run only cells with this tag (repeatable).")
]
AllOption = Annotated[bool, typer.Option("--all", help="Run all cells of all matrices.")]
OnKernelsOption = Annotated[
    list[str] | None,
    typer.Option("--kernel", metavar="K", help="Run only on this kernel (repeatable)."),
]
#: Choose the device that `drive` and `fuzz` drive.
DriveCommand = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[-- COMMAND…]",
        help="Start this back-end; write {socket} where the path of its socket goes, {disk} for "
        "that of a raw disk of 64 MiB.",
    ),
]
DriveSocket = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="Connect to a vhost-user back-end that listens here."),
]
DrivePeer = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Start this back-end of Debian's, fetched into the cache: qemu-storage-daemon-11, "
        "virtiofsd, passt, …",
    ),
]
DriveDevice = Annotated[
    str,
    typer.Option(metavar="TYPE", help="Drive this device type: blk, net, fs, vsock, scsi, …"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print every rule, also those that passed.")
]
