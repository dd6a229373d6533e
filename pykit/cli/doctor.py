# SPDX-License-Identifier: GPL-2.0-only
"""The verb `doctor`."""

from __future__ import annotations

import typer
from rich.text import Text

from pykit.cli.options import JsonOption
from pykit.cli.terminal import dump, echo, print_table
from pykit.errors import Exit


def doctor(as_json: JsonOption = False) -> None:
    """Check required tools and show the command that installs each missing one.

    Example: pykit doctor
    """
    from pykit import doctor as examination

    findings = examination.examine()
    mine = examination.distribution()
    if as_json:
        dump([vars(finding) for finding in findings])
    else:
        marks = {True: Text("ok", "green"), False: Text("missing", "red")}
        print_table(
            ("", "check", "found", "needed for"),
            ((marks[f.ok], f.name, f.found, f.purpose) for f in findings),
        )
        for finding in findings:
            if not finding.ok and finding.fix:
                wanted = [mine] if mine else list(finding.fix)
                commands = dict.fromkeys(finding.fix[family] for family in wanted)
                echo(f"{finding.name}: {' | '.join(commands)}")
    if any(finding.required and not finding.ok for finding in findings):
        raise typer.Exit(Exit.INFRA)
