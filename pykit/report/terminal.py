# SPDX-License-Identifier: GPL-2.0-only
"""The verdict table on a terminal: failures first, readable at 80 columns and in a pipe."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pykit.report.evidence import Slice, slice_of
from pykit.report.view import ORDER, View
from pykit.spec import Verdict

_STYLES = {
    "fail": "bold red",
    "waived": "magenta",
    "pass": "green",
    "inconclusive": "yellow",
    "not-applicable": "dim",
}

#: Events of a failure that fit on a screen beside others; the reports have them all.
_EVIDENCE = 12

_INDENT = (0, 0, 0, 5)


def render(console: Console, view: View) -> None:
    """Print everything that a View says about the rules, and the summary line last."""
    for row in view.having("fail"):
        _failure(console, row)
    held = view.having("waived", "pass")
    if held:
        console.print(_table(held, whole=not console.is_terminal))
    for verdict in ("inconclusive", "not-applicable"):
        for reason, rows in view.reasons(verdict):
            line = Text(f"{verdict} ", style=_STYLES[verdict])
            line.append(f"{len(rows)}: {reason}: ", style="default")
            line.append(" ".join(row.rule.id for row in rows), style="dim")
            console.print(line)
    for loss in view.losses:
        console.print(Text(f"lost: {loss}", style="yellow"))
    for what in view.capture.unseen:
        console.print(Text(f"not seen by {what}", style="dim"))
    console.print(_summary(view))


def _failure(console: Console, row: Verdict) -> None:
    head = Text("FAIL ", style=_STYLES["fail"])
    head.append(row.rule.id, style="bold")
    head.append(f"  {row.rule.side} {row.rule.strength}  ")
    head.append(f"{row.violations:,} of {row.checked:,} checked", style="dim")
    console.print(head)
    below = [Text(line) for line in (row.rule.title, row.message) if line]
    if row.evidence:
        events = slice_of(row.evidence[:_EVIDENCE])
        if events.shared:
            below.append(Text(f"events: {events.shared}", style="dim"))
    for line in below:
        console.print(Padding(line, _INDENT))
    if row.evidence:
        console.print(Padding(_events(events), _INDENT))
        if len(row.evidence) > _EVIDENCE:
            rest = f"and {len(row.evidence) - _EVIDENCE} more events in the report"
            console.print(Padding(Text(rest, style="dim"), _INDENT))
    console.print()


def _events(events: Slice) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    columns = list(zip(*events.rows, strict=True))
    for heading, numeric, cells in zip(events.headings, events.numeric, columns, strict=True):
        # Without a least width, a long last column would take the others' room.
        width = max(map(len, (heading, *cells))) if heading != "what" else None
        table.add_column(
            heading,
            justify="right" if numeric else "left",
            min_width=width,
            overflow="fold",
        )
    for row in events.rows:
        table.add_row(*map(Text, row))
    return table


def _table(rows: list[Verdict], *, whole: bool) -> Table:
    """A line a rule; where it is not ``whole``, a line is cut rather than wrapped."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    cells = [
        (row.verdict, row.rule.id, row.rule.side, row.rule.strength, f"{row.checked:,}")
        for row in rows
    ]
    headings = ("verdict", "rule", "side", "strength", "checked")
    for heading, column in zip(headings, zip(*cells, strict=True), strict=True):
        table.add_column(
            heading,
            justify="right" if heading == "checked" else "left",
            min_width=max(map(len, (heading, *column))),
            no_wrap=True,
        )
    table.add_column("what", overflow="fold" if whole else "ellipsis", no_wrap=not whole)
    for row, (verdict, *texts) in zip(rows, cells, strict=True):
        # What was waived needs its reason more than its title.
        what = row.rule.title if row.verdict == "pass" else row.message
        table.add_row(Text(verdict, style=_STYLES[verdict]), *map(Text, texts), Text(what))
    return table


def _summary(view: View) -> Text:
    line = Text()
    for verdict in ORDER:
        if view.counts[verdict] or verdict in ("fail", "pass"):
            style = _STYLES[verdict] if view.counts[verdict] else "dim"
            line.append(f"{view.counts[verdict]} {verdict}", style=style)
            line.append(", ")
    line.append(f"of {len(view.rows)} rules; {view.events:,} events, ")
    line.append(f"{view.lost:,} lost", style="bold yellow" if view.lost else "default")
    return line
