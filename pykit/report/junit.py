# SPDX-License-Identifier: GPL-2.0-only
"""Render junit.xml for CI systems: a suite for each topic, a case for each rule.

A waived, inconclusive or not-applicable rule is a skipped case, its message says which.
A guest that did not end well is an error of the suite "run".
"""

from __future__ import annotations

import xml.etree.ElementTree as ET

from pykit.analysis.evidence import slice_of
from pykit.report.view import ReportView, clauses_of
from pykit.report.xml import case as new_case
from pykit.report.xml import document, legal, suite
from pykit.spec import Verdict

#: Verdict: the element that a case gets, None if it passed.
ELEMENT: dict[str, str | None] = {
    "pass": None,
    "fail": "failure",
    "waived": "skipped",
    "inconclusive": "skipped",
    "not-applicable": "skipped",
}


def render(view: ReportView) -> bytes:
    """Return the file in UTF-8 with an XML declaration."""
    root = ET.Element("testsuites", name="pykit")
    _run(root, view)
    for topic, rows in view.topics():
        topic_suite = suite(root, topic)
        for row in rows:
            _rule(topic_suite, row)
    return document(root)


def _rule(parent: ET.Element, row: Verdict) -> None:
    case = new_case(parent, row.rule.id, 0.0)
    case.set("assertions", str(row.checked))
    element = ELEMENT[row.verdict]
    if element is None:
        return
    message = row.message if element == "failure" else f"{row.verdict}: {row.message}"
    result = ET.SubElement(case, element, message=legal(message))
    if element == "failure":
        result.set("type", row.rule.strength)
        lines = [f"{row.rule.id} ({row.rule.side} {row.rule.strength}): {row.rule.title}"]
        lines += [f"{clause.id}, {clause.basis}: {clause.text}" for clause in clauses_of(row)]
        if row.evidence:
            lines += ["", *slice_of(row.evidence).lines()]
        result.text = legal("\n".join(lines))


def _run(root: ET.Element, view: ReportView) -> None:
    run = suite(root, "run")
    kind, message = view.capture.outcome.kind, view.capture.outcome.message
    seconds = view.run.get("seconds")
    guest = new_case(run, "guest", seconds if isinstance(seconds, int | float) else 0.0)
    if kind != "clean":
        error = ET.SubElement(guest, "error", type=legal(kind), message=legal(message))
        error.text = legal(view.console)
    for step in view.capture.steps:
        case = new_case(run, f"step {step.name}", step.seconds)
        if step.rc:
            message = f"exit status {step.rc}"
            ET.SubElement(case, "failure", message=message).text = legal(step.output)
    events = new_case(run, "events", 0.0)
    if view.lost:
        skipped = ET.SubElement(events, "skipped", message=f"inconclusive: {view.lost} lost")
        skipped.text = legal("\n".join(view.losses))
    if view.unlooked:
        core = new_case(run, "core rules", 0.0)
        skipped = ET.SubElement(core, "skipped", message="inconclusive: some checked nothing")
        skipped.text = legal("\n".join(view.unlooked))
