# SPDX-License-Identifier: GPL-2.0-only
"""junit.xml of a matrix: a suite a cell, its axes as properties, a case a rule.

The first case of each is the cell itself. Rules that had nothing to look at are a property,
their number, and no cases.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import assert_never

from pykit.matrix.record import RuleResult
from pykit.matrix.results.view import CellStatus, CellView, Judged, Judgement, MatrixView
from pykit.report.xml import case as new_case
from pykit.report.xml import document, legal, suite


def cell_element(status: CellStatus) -> str | None:
    """Return the name of the element for the cell's own case."""
    match status:
        case "held":
            return None
        case "failed":
            return "failure"
        case "inconclusive" | "impossible":
            return "skipped"
        case "error" | "missing":
            return "error"
        case _:
            assert_never(status)


def rule_element(judged: Judged) -> str | None:
    """The element that a rule's case gets."""
    match judged:
        case "pass" | "expected":
            return None
        case "fail" | "silent":
            return "failure"
        case "waived" | "inconclusive" | "not-applicable":
            return "skipped"
        case _:
            assert_never(judged)


def render(view: MatrixView) -> bytes:
    """The whole file."""
    root = ET.Element("testsuites", name="pykit")
    for cell in view.cells:
        _cell(suite(root, cell.name), cell)
    return document(root)


def _cell(parent: ET.Element, cell: CellView) -> None:
    record = cell.record
    values = {**cell.planned.axes, "tags": " ".join(cell.planned.tags)}
    if record:
        idle = len(cell.rules) - len(cell.looked)
        values |= {"command": record.command, "not-applicable": str(idle), "worker": record.worker}
        parent.set("timestamp", legal(record.started))
    properties = ET.SubElement(parent, "properties")
    for name, value in values.items():
        ET.SubElement(properties, "property", name=legal(name), value=legal(value))
    case = new_case(parent, "cell", record.seconds if record else 0.0)
    element = cell_element(cell.status)
    if element:
        result = ET.SubElement(case, element, type=cell.status, message=legal(cell.why))
        result.text = legal(record.command) if record else None
    for entry in cell.looked:
        _rule(parent, entry)


def _rule(parent: ET.Element, entry: Judgement) -> None:
    rule, judged = entry
    case = new_case(parent, rule.id, 0.0)
    case.set("assertions", str(rule.checked))
    element = rule_element(judged)
    if element:
        result = ET.SubElement(case, element, message=legal(f"{judged}: {rule.message}"))
        if element == "failure":
            result.set("type", judged)
            result.text = legal(_where(rule))


def _where(rule: RuleResult) -> str:
    return f"{rule.violations} violations in {rule.checked} checked; the first: {rule.where}"
