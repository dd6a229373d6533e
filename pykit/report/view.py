# SPDX-License-Identifier: GPL-2.0-only
"""The content of all reports; each of them only lays it out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from pykit.spec import CLAUSES, Clause, Verdict, Verdicts
from pykit.text import shown, tail
from pykit.trace import CaptureInfo, Events

#: Verdicts in the order of the reports.
ORDER = ("fail", "waived", "pass", "inconclusive", "not-applicable")

#: Lines of a step's output that are kept.
_STEP_LINES = 60


@dataclass(frozen=True)
class ReportView:
    """A run as reports show it, with its text escaped (see `text`).

    Attributes:
        rows: in the order of ORDER, then by topic and id.
        counts: rules by verdict; every verdict of ORDER is there.
        events: in the table.
        lost: events that are known not to be in it.
        losses: a line each, where they were lost.
        unlooked: core rules that checked nothing, a line each.
        capture: what was booted, what became of it, the steps of the workload.
        run: the contents of run.json, empty where there is none.
        console: the last lines of the guest's console.
        clocks: how well the clocks of guest and host are aligned.
    """

    rows: tuple[Verdict, ...]
    counts: Mapping[str, int]
    events: int
    lost: int
    losses: tuple[str, ...]
    capture: CaptureInfo
    run: Mapping[str, Any]
    console: str
    clocks: str = ""
    unlooked: tuple[str, ...] = ()

    def having(self, *verdicts: str) -> list[Verdict]:
        """Return the rows with one of these verdicts, in order."""
        return [row for row in self.rows if row.verdict in verdicts]

    def topics(self) -> Iterator[tuple[str, list[Verdict]]]:
        """Yield topics in alphabetical order, each with its rows by id."""
        rows = sorted(self.rows, key=lambda row: (row.rule.topic, row.rule.id))
        for topic, members in groupby(rows, key=lambda row: row.rule.topic):
            yield topic, list(members)

    def reasons(self, verdict: str) -> Iterator[tuple[str, list[Verdict]]]:
        """Yield the messages of a verdict's rows, the most frequent first, with the rows."""
        groups: dict[str, list[Verdict]] = {}
        for row in self.having(verdict):
            groups.setdefault(row.message, []).append(row)
        yield from sorted(groups.items(), key=lambda group: -len(group[1]))


def view_of(verdicts: Verdicts, events: Events, run: Mapping[str, Any], console: str) -> ReportView:
    """Return a ReportView; ``console`` is escaped already (`text.tail`)."""
    rows = [replace(row, message=shown(row.message)) for row in verdicts.rules]
    rows.sort(key=lambda row: (ORDER.index(row.verdict), row.rule.topic, row.rule.id))
    return ReportView(
        rows=tuple(rows),
        counts=verdicts.summary(),
        events=verdicts.total,
        lost=verdicts.lost,
        losses=tuple(map(shown, events.losses)),
        capture=_safe(events.capture),
        run=run,
        console=console,
        clocks=shown(events.clocks),
        unlooked=tuple(map(shown, verdicts.unlooked)),
    )


def clauses_of(row: Verdict) -> list[Clause]:
    """Return the clauses that a verdict is about."""
    return [CLAUSES[name] for name in row.rule.clauses]


def _safe(capture: CaptureInfo) -> CaptureInfo:
    """Return the capture's description with text of the guest escaped."""
    outcome = capture.outcome
    return replace(
        capture,
        outcome=replace(outcome, kind=shown(outcome.kind), message=shown(outcome.message)),
        steps=tuple(
            replace(step, name=shown(step.name), output=tail(step.output, _STEP_LINES))
            for step in capture.steps
        ),
        unseen=tuple(map(shown, capture.unseen)),
    )
