# SPDX-License-Identifier: GPL-2.0-only
"""kcidb.json of a matrix: a test a cell, below it a test a rule that had something to look at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from pykit.matrix.results.view import CellStatus, CellView, Judged, Judgement, MatrixView
from pykit.report import kcidb
from pykit.report.kcidb import Test, TestStatus


def cell_status(status: CellStatus) -> TestStatus:
    """A cell's status there."""
    match status:
        case "held":
            return "PASS"
        case "failed":
            return "FAIL"
        case "error" | "missing":
            return "MISS"
        case "inconclusive" | "impossible":
            return "SKIP"
        case _:
            assert_never(status)


def rule_status(judged: Judged) -> TestStatus:
    """A rule's status there."""
    match judged:
        case "pass" | "expected":
            return "PASS"
        case "fail" | "waived":
            return "FAIL"
        case "silent":
            # The checker was at fault, not what it checks.
            return "ERROR"
        case "inconclusive" | "not-applicable":
            return "SKIP"
        case _:
            assert_never(judged)


def render(view: MatrixView) -> str:
    """The whole file."""
    begun = min((record.started for record in view.records), default="")
    return kcidb.document(
        (test for cell in view.cells for test in _tests(cell)), f"{view.plan.plan} {begun}"
    )


def _tests(cell: CellView) -> Iterator[Test]:
    record, axes = cell.record, cell.planned.axes
    kernel = (record.release if record else "") or axes.get("kernel", "unknown")
    environment = f"QEMU {record.qemu}" if record else "none"
    started = record.started if record else ""
    yield Test(
        kernel=kernel,
        path=tuple(cell.name.split("/")),
        status=cell_status(cell.status),
        comment=f"{cell.status}: {cell.why}",
        environment=environment,
        started=started,
        seconds=record.seconds if record else None,
        misc={"axes": axes, **({"command": record.command} if record else {})},
    )
    for entry in cell.looked:
        yield _rule(cell, entry, kernel, environment, started)


def _rule(cell: CellView, entry: Judgement, kernel: str, environment: str, started: str) -> Test:
    rule, judged = entry
    return Test(
        kernel=kernel,
        path=(*cell.name.split("/"), rule.id),
        status=rule_status(judged),
        comment=f"{judged}: {rule.message}",
        environment=environment,
        started=started,
        known=(rule.message or "waived") if judged == "waived" else "",
        misc={"checked": rule.checked, "violations": rule.violations, "where": rule.where},
    )
