# SPDX-License-Identifier: GPL-2.0-only
"""index.html of a matrix: cells that did not hold, tables of axes, then all cells.

Where many did not hold, the picture of cells by rules comes first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import get_args

from pykit.matrix.results.grid import MARKED, grid
from pykit.matrix.results.reactions import Reaction, reactions
from pykit.matrix.results.view import STATUSES, CellStatus, CellView, Judged, MatrixView
from pykit.report.html import template
from pykit.spec import rules

#: Meanings of the statuses, for the legend of the page.
MEANINGS: dict[CellStatus, str] = {
    "failed": "a rule or the guest failed, or a fault was not found",
    "error": "not its fault: it could not be tried",
    "missing": "the journal has no line of it",
    "inconclusive": "events were lost, or nothing was judged",
    "impossible": "the kernel lacks what it needs",
    "held": "the guest ended well, and rules failed only where a fault is to make them",
}
#: The colours of reactions are those of statuses.
_REACTED: dict[Reaction, CellStatus] = {
    "contained": "held",
    "detected": "held",
    "hung": "inconclusive",
    "wrong-data": "failed",
    "crashed": "failed",
}
#: Cells with these statuses are described in full, first.
_TROUBLED: tuple[CellStatus, ...] = ("failed", "error", "missing", "inconclusive")
#: So many of them are unfolded; more of them stand behind the picture of all cells, a line each.
_UNFOLDED = 12


@dataclass(frozen=True)
class Spot:
    """The cells that have one value of each of two axes."""

    worst: CellStatus
    held: int
    possible: int
    #: Which part of the possible ones failed.
    share: float
    counts: str


@dataclass(frozen=True)
class Heat:
    """A table of two axes; a spot is None where no cell has both values."""

    rows: str
    columns: str
    heads: tuple[str, ...]
    lines: tuple[tuple[str, tuple[Spot | None, ...]], ...]


@dataclass(frozen=True)
class RuleRow:
    """A rule over all cells."""

    id: str
    counts: dict[Judged, int]
    checked: int


def render(view: MatrixView) -> str:
    """The whole page."""
    ordered = sorted(view.cells, key=lambda cell: STATUSES.index(cell.status))
    counts = view.counts
    troubled = [cell for cell in ordered if cell.status in _TROUBLED]
    possible = len(view.cells) - counts["impossible"]
    return template("matrix.html.j2").render(
        view=view,
        title=f"{counts['held']} of {possible} cells held, {counts['failed']} failed",
        facts=list(_facts(view)),
        statuses=STATUSES,
        meanings=MEANINGS,
        troubled=troubled,
        many=len(troubled) > _UNFOLDED,
        linked={cell.name for cell in troubled},
        axes=view.axes,
        ordered=ordered,
        heats=list(heats(view)),
        grid=grid(view, ordered),
        marked=MARKED,
        reactions=reactions(view),
        reacted=_REACTED,
        rules=list(_rules(view)),
        judgements=get_args(Judged),
        titles={rule.id: rule.title for rule in rules()},
        events=sum(record.events for record in view.records),
        lost=sum(record.lost for record in view.records),
    )


def _facts(view: MatrixView) -> Iterator[str]:
    records = view.records
    yield f"plan {view.plan.plan[:12]}"
    if view.plan.shard:
        yield f"shard {view.plan.shard[0]}/{view.plan.shard[1]}"
    for release in sorted({record.release for record in records} - {""}):
        yield f"Linux {release}"
    for qemu in sorted({record.qemu for record in records} - {""}):
        yield f"QEMU {qemu}"
    for build in view.builds:
        yield f"strict build for {build.kernel}: {build.message}"
    if records:
        yield f"begun {min(record.started for record in records)}"


def heats(view: MatrixView) -> Iterator[Heat]:
    """A table a pair of axes that have more than one value; the pairs that differ most first."""
    axes = {name: values for name, values in view.axes.items() if len(values) > 1}
    found = []
    for one, other in combinations(axes, 2):
        rows, columns = sorted((one, other), key=lambda name: -len(axes[name]))
        spots = {
            (row, column): _spot([c for c in view.cells if _has(c, rows, row, columns, column)])
            for row in axes[rows]
            for column in axes[columns]
        }
        lines = tuple((row, tuple(spots[row, c] for c in axes[columns])) for row in axes[rows])
        shares = [spot.share for spot in spots.values() if spot]
        if shares:
            spread = max(shares) - min(shares)
            found.append((-spread, Heat(rows, columns, tuple(axes[columns]), lines)))
    found.sort(key=lambda entry: entry[0])
    yield from (heat for _, heat in found)


def _has(cell: CellView, rows: str, row: str, columns: str, column: str) -> bool:
    return cell.planned.axes.get(rows) == row and cell.planned.axes.get(columns) == column


def _spot(cells: list[CellView]) -> Spot | None:
    if not cells:
        return None
    counts = {status: sum(cell.status == status for cell in cells) for status in STATUSES}
    possible = len(cells) - counts["impossible"]
    return Spot(
        worst=next(status for status in STATUSES if counts[status] and status != "impossible")
        if possible
        else "impossible",
        held=counts["held"],
        possible=possible,
        share=counts["failed"] / possible if possible else 0.0,
        counts=", ".join(f"{count} {status}" for status, count in counts.items() if count),
    )


def _rules(view: MatrixView) -> Iterator[RuleRow]:
    found: dict[str, RuleRow] = {}
    for cell in view.cells:
        for entry in cell.rules:
            old = found.get(entry.rule.id)
            counts = old.counts if old else dict.fromkeys(get_args(Judged), 0)
            counts[entry.judged] += 1
            checked = entry.rule.checked + (old.checked if old else 0)
            found[entry.rule.id] = RuleRow(entry.rule.id, counts, checked)
    yield from sorted(found.values(), key=lambda row: row.id)
