# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import re
from dataclasses import replace

import pytest

from pykit.report import ktap
from pykit.report.view import ORDER, ReportView
from pykit.trace import CapturedOutcome, CapturedStep

from .conftest import make_row, make_view

RESULT = re.compile(r"(ok|not ok) (\d+) ([^#]*?)(?: # (SKIP|XFAIL|TIMEOUT|ERROR) (.*))?")


def parse(text: str) -> dict[str, dict[str, tuple[bool, str | None]]]:
    """An independent reader of the two levels that the file has: results by suite and name.

    The name "" stands for the suite's own result line.
    """
    lines = text.splitlines()
    assert lines[0] == "KTAP version 1"
    assert (top := re.fullmatch(r"1\.\.(\d+)", lines[1]))
    suites: dict[str, dict[str, tuple[bool, str | None]]] = {}
    inner: list[str] = []
    for line in lines[2:]:
        if line.startswith("    "):
            inner.append(line[4:])
            continue
        result = RESULT.fullmatch(line)
        assert result, line
        assert int(result[2]) == len(suites) + 1
        assert inner[0] == "KTAP version 1"
        assert inner[1] == f"# Subtest: {result[3]}"
        points: dict[str, tuple[bool, str | None]] = {"": (result[1] == "ok", result[4])}
        for point in inner[3:]:
            if point.startswith("#"):
                continue
            found = RESULT.fullmatch(point)
            assert found, point
            assert int(found[2]) == len(points)
            points[found[3]] = (found[1] == "ok", found[4])
        assert inner[2] == f"1..{len(points) - 1}"
        suites[result[3]], inner = points, []
    assert inner == []
    assert len(suites) == int(top[1])
    return suites


def test_every_verdict_has_a_status() -> None:
    assert set(ktap.STATUS) == set(ORDER)


def test_what_the_verdicts_become(view: ReportView) -> None:
    found = parse(ktap.render(view))
    assert found["split"] == {
        "": (False, None),
        "SD-DR-01": (True, None),
        "SD-DR-02": (False, None),
        "SD-DR-03": (True, "XFAIL"),
    }
    assert found["notify"] == {
        "": (True, "SKIP"),
        "SD-DR-04": (True, "SKIP"),
        "SD-DR-05": (True, "SKIP"),
    }
    assert found["run"][""] == (True, None)


def test_reasons_and_evidence_are_there(view: ReportView) -> None:
    text = ktap.render(view)
    assert "ok 1 SD-DR-04 # SKIP inconclusive: no vhost observer" in text
    assert "    # 3 violations: the chain of head 12 loops" in text
    assert "flags=NEXT|INDIRECT" in text


@pytest.mark.parametrize(
    ("kind", "directive"),
    [("panic", None), ("hang", "TIMEOUT"), ("never-booted", "ERROR"), ("something-new", None)],
)
def test_a_guest_that_did_not_end_well_fails(kind: str, directive: str | None) -> None:
    view = make_view(make_row())
    view = replace(
        view, capture=replace(view.capture, outcome=CapturedOutcome(kind, "because # of"))
    )
    found = parse(ktap.render(view))
    assert found["run"]["guest"] == (False, directive)
    assert found["run"][""] == (False, None)


def test_a_failed_step_and_lost_events() -> None:
    view = make_view(make_row(), lost=3)
    steps = (CapturedStep("copy # me", 2, 0.1, "line one\nline two"),)
    view = replace(view, capture=replace(view.capture, steps=steps))
    text = ktap.render(view)
    found = parse(text)["run"]
    assert found["step copy   me"] == (False, None)
    assert found["events"] == (True, "SKIP")
    assert "    # line two\n" in text


def test_no_rule_at_all() -> None:
    assert list(parse(ktap.render(make_view()))) == ["run"]
