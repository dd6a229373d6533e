# SPDX-License-Identifier: GPL-2.0-only
"""The verb `rules`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pykit.cli.options import JsonOption
from pykit.cli.terminal import dump, echo, print_table, write
from pykit.errors import UsageError

if TYPE_CHECKING:
    from pykit.spec import Summary


def rules(
    name: Annotated[
        str, typer.Argument(metavar="[ID]", help="Explain this rule, such as NA-DR-01.")
    ] = "",
    as_json: JsonOption = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the rule reference, docs/rules.md.")
    ] = False,
    summary: Annotated[
        bool, typer.Option("--summary", help="Count the clauses that have a rule, by group.")
    ] = False,
    exercised: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="Name the rules that checked nothing in this matrix (repeatable; with --summary).",
        ),
    ] = None,
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
    if exercised and not summary:
        raise UsageError("--exercised names rules of the summary: add --summary")
    if summary:
        found = spec.summarize(_checked(exercised) if exercised else None)
        if as_json:
            dump(found.as_json())
        else:
            _print_summary(found)
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


def _checked(folders: list[Path]) -> Counter[str]:
    """Return how much each rule checked in the runs of some matrices, by rule id."""
    from pykit.matrix import read_journal
    from pykit.matrix.results.view import JOURNAL

    counts: Counter[str] = Counter()
    for folder in folders:
        for record in read_journal(folder / JOURNAL):
            counts.update({rule.id: rule.checked for rule in record.rules})
    return counts


def _print_summary(found: Summary) -> None:
    columns = ["clauses", "total", "with a rule", "explained", "open"]
    if found.idle is not None:
        columns.append("never checked")
    rows = []
    for group in found.groups:
        counts = [group.total, len(group.ruled), len(group.explained), len(group.open)]
        if group.idle is not None:
            counts.append(len(group.idle))
        rows.append([group.name, *map(str, counts)])
    print_table(columns, rows)
    proved = f"{found.proved} proved by a fault of a real run, {len(found.unkilled)} not yet"
    echo(f"{found.rules} rules: {proved}, {found.comparing} that compare observers")
    for group in found.groups:
        if group.open:
            echo(f"open, {group.name}: {' '.join(group.open)}")
    if found.idle:
        echo(f"rules that never checked anything: {' '.join(found.idle)}")
