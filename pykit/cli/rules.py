# SPDX-License-Identifier: GPL-2.0-only
"""The verb `rules`."""

from __future__ import annotations

from typing import Annotated

import typer

from pykit.cli.options import JsonOption
from pykit.cli.terminal import dump, print_table, write


def rules(
    name: Annotated[
        str, typer.Argument(metavar="[ID]", help="Explain this rule, such as NA-DR-01.")
    ] = "",
    as_json: JsonOption = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the rule reference, docs/rules.md.")
    ] = False,
) -> None:
    """List the rules, or explain one: clause, section, reasons, and the cases that break it.

    Example: pykit rules
    """
    from pykit import spec

    if name:
        explanation = spec.explain(name)
        if as_json:
            dump(explanation.as_json())
        else:
            write(explanation.as_text())
        return
    if markdown:
        write(spec.describe())
        return
    listing = spec.rules()
    if as_json:
        dump([rule.as_dict() for rule in listing])
        return
    print_table(
        ("rule", "clauses", "side", "strength", "title"),
        ((r.id, " ".join(r.clauses), r.side, r.strength, r.title) for r in listing),
    )
