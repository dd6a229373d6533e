# SPDX-License-Identifier: GPL-2.0-only
"""The verb `rules`."""

from __future__ import annotations

from typing import Annotated

import typer

from pykit.cli.options import JsonOption
from pykit.cli.terminal import dump, print_table, write


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
        write(spec.describe())
        return
    listing = spec.rules()
    if as_json:
        dump([rule.as_dict() for rule in listing])
        return
    print_table(
        ("rule", "clauses", "side", "strength", "what"),
        ((r.id, " ".join(r.clauses), r.side, r.strength, r.title) for r in listing),
    )
