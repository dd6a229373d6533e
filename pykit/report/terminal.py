# SPDX-License-Identifier: GPL-2.0-only
"""Print a run's verdicts on one screen: failures first, then reasons, counts and the outcome."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pykit.analysis.evidence import slice_of
from pykit.report.view import ORDER, ReportView
from pykit.spec import Verdict

_STYLES = {
    "fail": "bold red",
    "waived": "magenta",
    "pass": "green",
    "inconclusive": "yellow",
    "not-applicable": "dim",
}

#: Lines of a usual report: a terminal of 24 lines less the shell's prompt.
_SCREEN = 23
#: Most lines for reasons of waived and inconclusive rules: beside failures, and without any.
_REASONS, _REASONS_ALONE = 3, 10
#: Most lines for lost and for unseen events.
_LOSSES = 2
#: Failures get this many lines however long the rest is.
_FAILURES = 8
#: Most lines of one title or message on a terminal.
_PARAGRAPH = 2
#: Events of a failure with --verbose; report.html shows all.
_EVENTS = 12
_INDENT = 5
#: Rules that one line names.
_NAMES = 8
#: Fields of events that a screen has no room for.
_OMITTED = frozenset({"seq", "time", "before"})
#: The end of a reason that differs from rule to rule.
_CHECKED = re.compile(r": [\d,]+ checked, 0 looked wrong$")


def render(
    console: Console, view: ReportView, closing: Sequence[str] = (), *, verbose: bool = False
) -> None:
    """Print a report of about a screen or, with ``verbose``, of every rule.

    ``closing`` are its last lines. Long lines are cut on a terminal and wrapped elsewhere.
    """
    page = _Page(console)
    failures = view.having("fail")
    # Beside failures, their events matter more than how many rules of other topics passed.
    topics = list(_topics(view, failing=bool(failures) and not verbose))
    end = [
        *page.filled("passed by topic: ", topics),
        *page.paragraph(_summary(view)),
        *page.paragraph(_events(view)),
        *map(Text, closing),
    ]
    if failures:
        end.insert(len(end) - len(closing), Text(f"explain: pykit rules {failures[0].rule.id}"))
    if verbose:
        for row in failures:
            page.print([*page.failure(row), *page.events(row, _EVENTS), Text()])
        if held := view.having("waived", "pass"):
            console.print(_table(held, whole=not page.cuts))
        end.insert(0, Text(view.clocks, style="dim"))
        every = _reasons(view, "waived", "inconclusive", "not-applicable")
        page.print(part for text in (*every, *_losses(view)) for part in page.paragraph(text))
    else:
        most = _REASONS if failures else _REASONS_ALONE
        reasons = _at_most(most, list(_reasons(view, "waived", "inconclusive")), "reasons")
        losses = _at_most(_LOSSES, list(_losses(view)), "losses and blind spots")
        middle = [part for text in (*reasons, *losses) for part in page.entry(text)]
        room = _SCREEN - len(middle) - sum(map(page.height, end))
        page.print(page.failures(failures, max(room, _FAILURES)))
        page.print(middle)
    page.print(end)


class _Page:
    """Lays text out for a console's width."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.cuts = console.is_terminal

    def print(self, lines: Iterable[Text]) -> None:
        for line in lines:
            self._console.print(line, soft_wrap=True)

    def height(self, line: Text) -> int:
        """Return how many lines of the screen a line takes."""
        return max(1, -(-line.cell_len // self._console.width))

    def paragraph(self, text: Text, indent: int = 0, most: int = _PARAGRAPH) -> list[Text]:
        """Return the text in lines; on a terminal at most ``most`` of them."""
        width = max(self._console.width - indent, 1)
        lines = list(text.wrap(self._console, width))
        if self.cuts and len(lines) > most:
            rest = Text("").join(lines[most - 1 :])
            rest.truncate(width, overflow="ellipsis")
            lines = [*lines[: most - 1], rest]
        for line in lines:
            line.rstrip()
            line.pad_left(indent)
        return lines

    def entry(self, text: Text, indent: int = 0) -> list[Text]:
        """Return the text as one line on a terminal, wrapped elsewhere."""
        return self.paragraph(text, indent, 1)

    def filled(self, head: str, cells: Sequence[Text]) -> list[Text]:
        """Return the cells with commas between them, in lines that break only at commas."""
        lines = [Text(head)]
        for number, cell in enumerate(cells):
            last = number + 1 == len(cells)
            if lines[-1].cell_len + cell.cell_len + (not last) > self._console.width:
                lines[-1].rstrip()
                lines.append(Text())
            lines[-1].append_text(cell).append("" if last else ", ")
        return lines if cells else []

    def failures(self, rows: Sequence[Verdict], room: int) -> list[Text]:
        """Return ``room`` lines at most: failures as far as they fit, and events of the first."""
        blocks: list[list[Text]] = []
        room -= 1  # for the empty line at the end
        for number, row in enumerate(rows):
            block = self.failure(row)
            # Where others remain, one more line names them.
            if blocks and len(block) + (number + 1 < len(rows)) > room:
                break
            blocks.append(block)
            room -= len(block)
        if not blocks:
            return []
        if rest := rows[len(blocks) :]:
            names = Text(f"{len(rest)} more failed: {_names(rest)}", style=_STYLES["fail"])
            more = self.entry(names)
            blocks.append(more)
            room -= len(more)
        # What all events share, their headings and the count of further ones take three lines.
        blocks[0] += self.events(rows[0], room - 3)
        return [*(line for block in blocks for line in block), Text()]

    def failure(self, row: Verdict) -> list[Text]:
        """Return what the rule demands and what was seen instead."""
        head = Text.assemble(
            ("FAIL ", _STYLES["fail"]),
            (row.rule.id, "bold"),
            f"  {row.rule.side} {row.rule.strength}: {row.rule.title}",
        )
        seen = Text.assemble(
            (f"{row.violations:,} of {row.checked:,} checked: ", "dim"), row.message
        )
        return [*self.paragraph(head), *self.paragraph(seen, _INDENT)]

    def events(self, row: Verdict, most: int) -> list[Text]:
        """Return a table of the first ``most`` events of a failure, a line each."""
        if not row.evidence or most < 1:
            return []
        events = slice_of(row.evidence[:most], omit=_OMITTED)
        shared = [Text(events.shared, style="dim")] if events.shared else []
        heading, *cells = events.table()
        lines = [*shared, Text(heading, style="dim"), *map(Text, cells)]
        if len(row.evidence) > most:
            more = f"{len(row.evidence) - most} more events in the report"
            lines.append(Text(more, style="dim"))
        for line in lines:
            line.truncate(self._console.width - _INDENT, overflow="ellipsis")
            line.pad_left(_INDENT)
        return lines


def _reasons(view: ReportView, *verdicts: str) -> Iterator[Text]:
    """Yield a line for each reason of these verdicts, with the rules that have it.

    Rules that share a reason are one line although each checked another number of events.
    """
    for verdict in verdicts:
        groups: dict[str, list[Verdict]] = {}
        for message, rows in view.reasons(verdict):
            groups.setdefault(_CHECKED.sub("", message), []).extend(rows)
        for reason, rows in sorted(groups.items(), key=lambda group: -len(group[1])):
            head = (verdict, _STYLES[verdict])
            yield Text.assemble(head, f" {len(rows)}: {reason}: ", (_names(rows), "dim"))


def _names(rows: Sequence[Verdict]) -> str:
    names = " ".join(row.rule.id for row in rows[:_NAMES])
    return names + (f" and {len(rows) - _NAMES} more" if len(rows) > _NAMES else "")


def _losses(view: ReportView) -> Iterator[Text]:
    for loss in view.losses:
        yield Text(f"lost: {loss}", style="yellow")
    for what in view.capture.unseen:
        yield Text(f"not seen by {what}", style="dim")


def _at_most(most: int, lines: list[Text], what: str) -> list[Text]:
    if len(lines) <= most:
        return lines
    rest = f"{len(lines) - most + 1} more {what} in the report, or with --verbose"
    return [*lines[: most - 1], Text(rest, style="dim")]


def _topics(view: ReportView, *, failing: bool) -> Iterator[Text]:
    """Yield for each topic, or each in which a rule is ``failing``, how many rules passed."""
    for topic, rows in view.topics():
        counts = Counter(row.verdict for row in rows)
        if failing and not counts["fail"]:
            continue
        if applicable := len(rows) - counts["not-applicable"]:
            worst = next((v for v in ("fail", "inconclusive") if counts[v]), "")
            text = f"{topic} {counts['pass']} of {applicable}"
            yield Text(text, style=_STYLES.get(worst, ""))


def _summary(view: ReportView) -> Text:
    line = Text()
    for verdict in ORDER:
        if view.counts[verdict] or verdict in ("fail", "pass"):
            style = _STYLES[verdict] if view.counts[verdict] else "dim"
            line.append(f"{view.counts[verdict]} {verdict}", style=style)
            line.append(", ")
    return line.append(f"of {len(view.rows)} rules")


def _events(view: ReportView) -> Text:
    lost = Text(f"{view.lost:,} lost", style="bold yellow" if view.lost else "")
    return Text(f"{view.events:,} events, ").append_text(lost)


def _table(rows: list[Verdict], *, whole: bool) -> Table:
    """Return a table with a row a rule; unless ``whole``, rows are cut to one line."""
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
        # The reason of a waived rule matters more than its title.
        what = row.rule.title if row.verdict == "pass" else row.message
        table.add_row(Text(verdict, style=_STYLES[verdict]), *map(Text, texts), Text(what))
    return table
