# SPDX-License-Identifier: GPL-2.0-only
"""The verb `doctor`."""

from __future__ import annotations

import typer
from rich.markup import escape
from rich.table import Table

from pykit.cli.options import JsonOption
from pykit.cli.terminal import dump, out
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
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("", "check", "found", "needed for"):
            table.add_column(column, overflow="fold")
        for finding in findings:
            mark = "[green]ok[/]" if finding.ok else "[red]missing[/]"
            table.add_row(mark, finding.name, escape(finding.found), escape(finding.purpose))
        out.print(table)
        for finding in findings:
            if not finding.ok and finding.fix:
                wanted = [mine] if mine else list(finding.fix)
                commands = dict.fromkeys(finding.fix[family] for family in wanted)
                out.print(f"{finding.name}: {escape(' | '.join(commands))}", soft_wrap=True)
    if any(finding.required and not finding.ok for finding in findings):
        raise typer.Exit(Exit.INFRA)
