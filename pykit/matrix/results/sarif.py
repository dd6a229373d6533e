# SPDX-License-Identifier: GPL-2.0-only
"""sarif.json of a matrix: every rule that was violated in a cell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from pykit.matrix.results.view import CellStatus, CellView, Judged, Judgement, MatrixView
from pykit.report import sarif

_DELIBERATE = "the cell has a deliberate fault that breaks this rule"


def accepted(judged: Judged, message: str) -> str | None:
    """Why a violation is no reason for alarm, "" where it is one; None for no violation."""
    match judged:
        case "fail":
            return ""
        case "expected":
            return _DELIBERATE
        case "waived":
            return message or "waived"
        case "pass" | "silent" | "inconclusive" | "not-applicable":
            return None
        case _:
            assert_never(judged)


def is_noticed(status: CellStatus) -> bool:
    """Whether a status is a result of its own, beside those of the rules."""
    match status:
        case "error" | "missing" | "inconclusive" | "failed":
            return True
        case "held" | "impossible":
            return False
        case _:
            assert_never(status)


def render(view: MatrixView) -> str:
    """The whole file."""
    findings = [found for cell in view.cells for found in _findings(cell)]
    return sarif.document(findings, [notice for cell in view.cells for notice in _notices(cell)])


def _findings(cell: CellView) -> Iterator[sarif.Finding]:
    for entry in cell.rules:
        reason = accepted(entry.judged, entry.rule.message)
        if reason is not None:
            yield _finding(cell, entry, reason)


def _finding(cell: CellView, entry: Judgement, reason: str) -> sarif.Finding:
    rule = entry.rule
    places = [*cell.name.split("/"), rule.where]
    return sarif.Finding(
        rule=rule.id,
        message=f"{rule.message} ({rule.where})" if rule.where else rule.message,
        scenario=cell.planned.scenario,
        places=tuple(filter(None, places)),
        checked=rule.checked,
        violations=rule.violations,
        accepted=reason,
    )


def _notices(cell: CellView) -> Iterator[sarif.Notice]:
    # A cell that failed by violations alone has them as results.
    record = cell.record
    in_results = record is not None and record.outcome == "clean" and not cell.having("silent")
    if is_noticed(cell.status) and not (cell.status == "failed" and in_results):
        yield sarif.Notice(f"{cell.name}: {cell.status}: {cell.why}", cell.name)
