# SPDX-License-Identifier: GPL-2.0-only
"""The verb `record`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pykit.cli.terminal import echo


def record(
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Write to this new directory.")],
) -> None:
    """Make a recorder for a machine that has neither Python nor a compiler.

    It is one static program: BPF, no kernel module, Linux on x86-64 with BTF, as root, under
    lockdown=integrity as well. The file that it writes is judged by pykit check on any machine.

    Example: pykit record --to recorder
    """
    from pykit.record import make_bundle

    program = make_bundle(to)
    echo(f"{program}: {program.stat().st_size / 1e6:.1f} MB; {to / 'README'} has its use")
