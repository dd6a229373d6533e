# SPDX-License-Identifier: GPL-2.0-only
"""junit.xml, as CI systems read it: a suite a topic, a case a rule.

A waived, inconclusive or not-applicable rule is a skipped case, its message says which.
A guest that did not end well is an error of the suite "run".
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from pykit.report.evidence import slice_of
from pykit.report.view import View, clauses_of
from pykit.spec import Verdict

#: Verdict: the element that a case gets, None where it just passed.
ELEMENT: dict[str, str | None] = {
    "pass": None,
    "fail": "failure",
    "waived": "skipped",
    "inconclusive": "skipped",
    "not-applicable": "skipped",
}

# What XML 1.0 cannot hold, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(view: View) -> bytes:
    """The whole file, UTF-8 with its XML declaration."""
    root = ET.Element("testsuites", name="pykit")
    _run(root, view)
    for topic, rows in view.topics():
        suite = ET.SubElement(root, "testsuite", name=topic)
        for row in rows:
            _rule(suite, row)
        _count(suite)
    _count(root)
    ET.indent(root)
    body: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return body + b"\n"


def _rule(suite: ET.Element, row: Verdict) -> None:
    case = _case(suite, row.rule.id, 0.0)
    case.set("assertions", str(row.checked))
    element = ELEMENT[row.verdict]
    if element is None:
        return
    message = row.message if element == "failure" else f"{row.verdict}: {row.message}"
    result = ET.SubElement(case, element, message=_legal(message))
    if element == "failure":
        result.set("type", row.rule.strength)
        lines = [f"{row.rule.id} ({row.rule.side} {row.rule.strength}): {row.rule.title}"]
        lines += [f"{clause.id}, {clause.basis}: {clause.text}" for clause in clauses_of(row)]
        if row.evidence:
            lines += ["", *slice_of(row.evidence).lines()]
        result.text = _legal("\n".join(lines))


def _run(root: ET.Element, view: View) -> None:
    suite = ET.SubElement(root, "testsuite", name="run")
    kind, message = view.capture.outcome.kind, view.capture.outcome.message
    seconds = view.run.get("seconds")
    guest = _case(suite, "guest", seconds if isinstance(seconds, int | float) else 0.0)
    if kind != "clean":
        error = ET.SubElement(guest, "error", type=_legal(kind), message=_legal(message))
        error.text = _legal(view.console)
    for step in view.capture.steps:
        case = _case(suite, f"step {step.name}", step.seconds)
        if step.rc:
            message = f"exit status {step.rc}"
            ET.SubElement(case, "failure", message=message).text = _legal(step.output)
    events = _case(suite, "events", 0.0)
    if view.lost:
        skipped = ET.SubElement(events, "skipped", message=f"inconclusive: {view.lost} lost")
        skipped.text = _legal("\n".join(view.losses))
    _count(suite)


def _case(suite: ET.Element, name: str, seconds: float) -> ET.Element:
    return ET.SubElement(
        suite,
        "testcase",
        name=_legal(name),
        classname=f"pykit.{suite.get('name')}",
        time=f"{seconds:.3f}",
    )


def _count(element: ET.Element) -> None:
    element.set("tests", str(len(list(element.iter("testcase")))))
    for plural, name in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(plural, str(len(list(element.iter(name)))))


def _legal(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
