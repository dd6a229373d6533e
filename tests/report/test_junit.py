# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pykit.report import junit
from pykit.report.view import ORDER, ReportView
from pykit.spec import CLAUSES
from pykit.trace import CapturedOutcome, CapturedStep

from .conftest import PATIENT, make_row, make_view


def cases(view: ReportView) -> dict[str, ET.Element]:
    root = ET.fromstring(junit.render(view))
    return {case.get("name", ""): case for case in root.iter("testcase")}


def test_every_verdict_has_an_element() -> None:
    assert set(junit.ELEMENT) == set(ORDER)


def test_what_the_verdicts_become(view: ReportView) -> None:
    found = cases(view)
    children = {name: [child.tag for child in case] for name, case in found.items()}
    assert children == {
        "guest": [],
        "step fio-verify": [],
        "events": [],
        "SD-DR-01": [],
        "SD-DR-02": ["failure"],
        "SD-DR-03": ["skipped"],
        "SD-DR-04": ["skipped"],
        "SD-DR-05": ["skipped"],
    }
    failure = found["SD-DR-02"][0]
    assert failure.get("message") == "the chain of head 12 loops"
    assert "flags=NEXT|INDIRECT" in (failure.text or "")
    assert CLAUSES["SD-DR-01"].text in (failure.text or "")
    assert found["SD-DR-04"][0].get("message") == "inconclusive: no vhost observer"


def test_the_counts_are_those_of_the_elements(view: ReportView) -> None:
    view = replace(
        view, lost=1, capture=replace(view.capture, outcome=CapturedOutcome("panic", "x"))
    )
    root = ET.fromstring(junit.render(view))
    for element in (root, *root.iter("testsuite")):
        assert element.get("tests") == str(len(list(element.iter("testcase"))))
        assert element.get("failures") == str(len(list(element.iter("failure"))))
        assert element.get("errors") == str(len(list(element.iter("error"))))
        assert element.get("skipped") == str(len(list(element.iter("skipped"))))
    assert (root.get("failures"), root.get("errors"), root.get("skipped")) == ("1", "1", "4")


@PATIENT
@given(st.text(), st.text())
def test_any_text_gives_well_formed_xml(message: str, output: str) -> None:
    view = make_view(make_row("fail", message=message, title=output))
    steps = (CapturedStep(message, 1, 0.0, output),)
    view = replace(
        view,
        capture=replace(view.capture, outcome=CapturedOutcome("panic", message), steps=steps),
        console=output,
    )
    assert len(cases(view)) == 4 - (f"step {message}" == "events")
