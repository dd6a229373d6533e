# SPDX-License-Identifier: GPL-2.0-only
"""The verb `rules`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from pykit.cli.options import JsonOption
from pykit.cli.terminal import dump, out


def rules(
    as_json: JsonOption = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="The rule reference, docs/rules.md.")
    ] = False,
) -> None:
    """The rules: what each checks, and which clauses have none, with the reason.

    Example: pykit rules
    """
    from pykit import spec

    if markdown:
        print(spec.describe(), end="")
        return
    listing = spec.rules()
    if as_json:
        dump([rule.as_dict() for rule in listing])
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("rule", "clauses", "side", "strength", "what"):
        table.add_column(column, overflow="fold")
    for rule in listing:
        table.add_row(rule.id, " ".join(rule.clauses), rule.side, rule.strength, escape(rule.title))
    out.print(table)
