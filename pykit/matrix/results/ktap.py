# SPDX-License-Identifier: GPL-2.0-only
"""results.ktap of a matrix: matrices, in them cells, in them rules.

As in a run's file a waived rule is ok with XFAIL, and so is one that failed for a deliberate
fault; what nobody decided is skipped. A cell that was not run, or whose guest could not be
booted, is not ok with ERROR. Rules that had nothing to look at are counted, not listed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from pykit.matrix.record import CellRecord
from pykit.matrix.results.view import CellStatus, CellView, Judged, Judgement, MatrixView
from pykit.report.ktap import OUTCOMES
from pykit.report.tap import Point, document, suite


def cell_status(status: CellStatus) -> tuple[bool, str]:
    """Whether it is ok, and the directive."""
    match status:
        case "held":
            return True, ""
        case "failed":
            return False, ""
        case "inconclusive" | "impossible":
            return True, "SKIP"
        case "error" | "missing":
            return False, "ERROR"
        case _:
            assert_never(status)


def rule_status(judged: Judged) -> tuple[bool, str]:
    """Whether it is ok, and the directive."""
    match judged:
        case "pass":
            return True, ""
        case "fail" | "silent":
            return False, ""
        case "expected" | "waived":
            return True, "XFAIL"
        case "inconclusive" | "not-applicable":
            return True, "SKIP"
        case _:
            assert_never(judged)


def render(view: MatrixView) -> str:
    """The whole file."""
    return document([suite(name, [_cell(c) for c in cells]) for name, cells in view.matrices()])


def _cell(cell: CellView) -> Point:
    ok, directive = cell_status(cell.status)
    command = (f"repeat: {cell.record.command}",) if cell.record else ()
    return Point(
        ok=ok,
        name=cell.name,
        directive=directive,
        reason=f"{cell.status}: {cell.why}" if directive else "",
        diagnostics=(f"{cell.status}: {cell.why}", *command),
        points=tuple(_points(cell, cell.record)) if cell.record else (),
    )


def _points(cell: CellView, record: CellRecord) -> Iterator[Point]:
    if record.outcome == "not-run":
        return
    yield Point(
        ok=record.outcome in ("clean", "recorded"),
        name="guest",
        directive=OUTCOMES.get(record.outcome, ""),
        reason=f"{record.outcome}: {record.message}",
        diagnostics=(f"Linux {record.release}, QEMU {record.qemu}",),
    )
    idle = len(cell.rules) - len(cell.looked)
    yield Point(
        ok=True,
        name="events",
        directive="SKIP" if record.lost else "",
        reason=f"inconclusive: {record.lost} of {record.events + record.lost} events were lost",
        diagnostics=(f"{record.events} events, {idle} rules had nothing to look at",),
    )
    yield from map(_rule, cell.looked)


def _rule(entry: Judgement) -> Point:
    rule, judged = entry
    ok, directive = rule_status(judged)
    diagnostics = [f"{rule.id}: {judged}, {rule.checked} checked"]
    if judged in ("fail", "expected", "waived"):
        diagnostics.append(f"{rule.violations} violations, {rule.where}: {rule.message}")
    if judged == "silent":
        diagnostics.append(f"a deliberate fault did not make it fail: {rule.message}")
    reason = f"{judged}: {rule.message}" if directive else ""
    return Point(ok, rule.id, directive, reason, tuple(diagnostics))
