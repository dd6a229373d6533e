# SPDX-License-Identifier: GPL-2.0-only
"""Show the progress of a matrix: counts, running cells, failures, and the time left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from pykit.matrix.execute.spool import BegunCell
from pykit.matrix.record import CellRecord

_COLOURS = {
    "held": "green",
    "failed": "red",
    "inconclusive": "yellow",
    "impossible": "yellow",
    "error": "magenta",
}
#: Cells that are shown running.
_SHOWN = 6


class Display:
    """On a terminal a live view; elsewhere a line for each cell that did not hold."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._counts: Counter[str] = Counter()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
        )
        self._task = self._progress.add_task("cells", total=None)
        self._live: Live | None = None

    def begin(self, total: int, known: Iterable[CellRecord]) -> None:
        """Of ``total`` cells these are finished already."""
        for record in known:
            self._counts[record.status] += 1
        self._progress.update(self._task, total=total, completed=self._counts.total())
        if self._console.is_terminal:
            self._live = Live(console=self._console, transient=True, refresh_per_second=4)
            self._live.start()

    def finished(self, record: CellRecord) -> None:
        """One more is."""
        self._counts[record.status] += 1
        self._progress.update(self._task, completed=self._counts.total())
        if record.status != "held":
            self._console.print(_line(record), soft_wrap=True)

    def show(self, running: Sequence[BegunCell]) -> None:
        """Draw it anew."""
        counts = ", ".join(f"{n} {status}" for status, n in sorted(self._counts.items()))
        self._progress.update(self._task, description=counts or "cells")
        if self._live is not None:
            lines = [Text(f"  {r.cell} {r.seconds:.0f} s", style="dim") for r in running[:_SHOWN]]
            self._live.update(Group(self._progress, *lines))

    def end(self) -> None:
        """Leave the terminal as it was."""
        if self._live is not None:
            self._live.stop()


def _line(record: CellRecord) -> str:
    failed = ", ".join(rule.id for rule in record.failing)
    silent = ", ".join(record.silent)
    why = record.message
    if failed:
        why = f"rules failed: {failed}"
    elif record.status == "failed" and silent:
        why = f"rules that should have failed did not: {silent}"
    colour = _COLOURS[record.status]
    return f"[{colour}]{record.status}[/] {escape(record.cell)}: {escape(why)}"
