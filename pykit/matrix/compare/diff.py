# SPDX-License-Identifier: GPL-2.0-only
"""Compare two matrices or two runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, assert_never

from pykit.matrix.compare.noise import Ratio, compare, worse_if_more
from pykit.matrix.compare.pairs import CellPairs, pair
from pykit.matrix.compare.sides import load_side
from pykit.matrix.results.view import CellStatus, CellView, Judged, Judgement

SCHEMA = 1

Kind = Literal[
    "new violation",
    "fixed",
    "newly inconclusive",
    "newly waived",
    "no longer checked",
    "guest",
    "cell",
    "slower",
    "faster",
    "gone",
    "added",
]


@dataclass(frozen=True)
class CellChange:
    """A difference between the old and the new matrix.

    Attributes:
        cell: its name in the new matrix, in the old one where it is gone.
        rules: ids of the rules that it is about.
        worse: whether it makes `pykit diff` fail.
        ratio: new by old, of a metric.
    """

    kind: Kind
    cell: str
    what: str
    worse: bool = False
    rules: tuple[str, ...] = ()
    ratio: float | None = None


@dataclass(frozen=True)
class Diff:
    """All changes, in the new matrix's order."""

    pairs: CellPairs
    changes: tuple[CellChange, ...]
    metrics: tuple[Ratio, ...]

    @property
    def worse(self) -> bool:
        """Return whether any change is one for the worse."""
        return any(change.worse for change in self.changes)

    def as_json(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "schema": SCHEMA,
            "worse": self.worse,
            "across": {axis: list(values) for axis, values in self.pairs.across.items()},
            "compared": len(self.pairs.both),
            "changes": [{**vars(change), "rules": list(change.rules)} for change in self.changes],
            "metrics": [
                {name: value for name, value in vars(ratio).items() if name != "cells"}
                for ratio in self.metrics
            ],
        }


def diff(old: Path, new: Path) -> Diff:
    """Compare two matrix directories or two run directories.

    Raises UsageError where one is neither, or cells cannot be distinguished.
    """
    pairs = pair(load_side(old).cells, load_side(new).cells)
    metrics = tuple(_metrics(pairs))
    changes = [change for one, other in pairs.both for change in _cell(one, other)]
    changes += [change for ratio in metrics for change in _ratio(ratio)]
    changes += [CellChange("gone", cell.name, f"was {cell.status}") for cell in pairs.gone]
    changes += [CellChange("added", cell.name, f"is {cell.status}") for cell in pairs.added]
    return Diff(pairs, tuple(changes), metrics)


def _cell(old: CellView, new: CellView) -> Iterator[CellChange]:
    found = list(_rules(old, new)) if old.rules and new.rules else []
    before = old.record.outcome if old.record else "not-run"
    after = new.record.outcome if new.record else "not-run"
    if before != after and "not-run" not in (before, after):
        well = ("clean", "recorded")
        worse = after not in well and (
            before in well or _badness(new.status) > _badness(old.status)
        )
        found.append(CellChange("guest", new.name, f"{before} → {after}; {new.why}", worse))
    if old.status != new.status and not found:
        worse = _badness(new.status) > _badness(old.status)
        what = f"{old.status} → {new.status}; {new.why}"
        found.append(CellChange("cell", new.name, what, worse))
    yield from found


def _badness(status: CellStatus) -> int:
    """Rank a status; a cell that is impossible on its kernel is not bad."""
    match status:
        case "held" | "impossible":
            return 0
        case "inconclusive":
            return 1
        case "error" | "missing":
            return 2
        case "failed":
            return 3
        case _:
            assert_never(status)


Sort = Literal["good", "bad", "waived", "open", "idle"]


def _sort(judged: Judged) -> Sort:
    match judged:
        case "pass" | "expected":
            return "good"
        case "fail" | "silent":
            return "bad"
        case "waived":
            return "waived"
        case "inconclusive":
            return "open"
        case "not-applicable":
            return "idle"
        case _:
            assert_never(judged)


def _rules(old: CellView, new: CellView) -> Iterator[CellChange]:
    before = {entry.rule.id: _sort(entry.judged) for entry in old.rules}
    groups: dict[tuple[Kind, bool], list[str]] = {}
    for entry in new.rules:
        was, now = before.get(entry.rule.id, "idle"), _sort(entry.judged)
        if was != "bad" and now == "bad":
            yield _violation(new, entry)
            continue
        kind = _turned(was, now)
        if kind:
            # Of what was known to be broken it is no loss to know less. A rule whose observer
            # is not there may stay open, in a cell as in a run; a cell as a whole may not.
            worse = kind == "newly inconclusive" and was != "bad" and new.status != "held"
            groups.setdefault((kind, worse), []).append(entry.rule.id)
    lacking = before.keys() - {entry.rule.id for entry in new.rules}
    gone = sorted(name for name in lacking if before[name] in ("good", "bad", "waived"))
    if gone:
        # A judge of the same rules judges all of them: their absence hides something.
        groups.setdefault(("no longer checked", True), []).extend(gone)
    for (kind, worse), names in groups.items():
        yield CellChange(kind, new.name, ", ".join(names), worse, tuple(names))


def _turned(was: Sort, now: Sort) -> Kind | None:
    """Name the change, or return None; new violations are found elsewhere."""
    match now:
        case "good":
            return "fixed" if was in ("bad", "waived") else None
        case "waived":
            return "newly waived" if was != "waived" else None
        case "open":
            return "newly inconclusive" if was in ("good", "bad", "waived") else None
        case "idle":
            return "no longer checked" if was in ("good", "bad", "waived") else None
        case "bad":
            return None
        case _:
            assert_never(now)


def _violation(cell: CellView, entry: Judgement) -> CellChange:
    rule = entry.rule
    what = f"{rule.id}: {rule.message}" + (f" ({rule.where})" if rule.where else "")
    if entry.judged == "silent":
        what = f"{rule.id}: a deliberate fault no longer makes it fail"
    return CellChange("new violation", cell.name, what, True, (rule.id,))


def _metrics(pairs: CellPairs) -> Iterator[Ratio]:
    both = [(one.record, new.name, new.record) for one, new in pairs.both]
    # With a deliberate bug the speed of a driver means nothing.
    measured = [
        (old.metrics, name, new.metrics)
        for old, name, new in both
        if old and new and not (new.expected or new.either)
    ]
    for metric in sorted(
        {metric for old, _, new in measured for metric in old.keys() & new.keys()}
    ):
        if worse_if_more(metric) is None:
            continue
        values = {
            name: (old[metric], new[metric])
            for old, name, new in measured
            if metric in old and metric in new
        }
        yield compare(metric, values)


def _ratio(ratio: Ratio) -> Iterator[CellChange]:
    if ratio.overall:
        what = (
            f"{ratio.name}: {ratio.median:.2f} times ({ratio.low:.2f} to {ratio.high:.2f}, "
            f"median of {ratio.pairs} cells)"
        )
        yield CellChange(ratio.overall, "all", what, ratio.overall == "slower", (), ratio.median)
    for cell, (direction, value) in ratio.cells.items():
        what = f"{ratio.name}: {value:.2f} times"
        if ratio.overall:
            what += f", where all are {ratio.median:.2f} times"
        yield CellChange(direction, cell, what, direction == "slower", (), value)
