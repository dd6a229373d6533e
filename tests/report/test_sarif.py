# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic_sarif.model import StaticAnalysisResultsFormatSarifVersion210JsonSchema as Sarif

from pykit.report import sarif
from pykit.report.view import ReportView
from pykit.spec import rules
from pykit.trace import CapturedOutcome

from .conftest import PATIENT, make_row, make_view


def run_of(view: ReportView) -> dict[str, Any]:
    """The one run of the file, which a model made of SARIF's own JSON schema accepts."""
    text = sarif.render(view)
    Sarif.model_validate_json(text)
    (run,) = json.loads(text)["runs"]
    assert isinstance(run, dict)
    return run


def test_violations_and_nothing_else_are_results(view: ReportView) -> None:
    results = {result["ruleId"]: result for result in run_of(view)["results"]}
    assert {*results} == {"SD-DR-02", "SD-DR-03"}
    failed = results["SD-DR-02"]
    assert failed["message"]["text"].startswith("the chain of head 12 loops\n")
    assert "flags=NEXT|INDIRECT" in failed["message"]["text"]
    assert failed["properties"] == {"checked": 12_345, "violations": 3}
    assert "suppressions" not in failed
    assert results["SD-DR-03"]["suppressions"] == [
        {"kind": "external", "justification": "known: fixed in the next release"}
    ]
    place = failed["locations"][0]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "scenarios/blk.toml"


def test_a_scenario_that_is_none_of_ours_has_no_file() -> None:
    run = run_of(make_view(make_row("fail"), run={"scenario": "../etc/passwd"}))
    assert "physicalLocation" not in run["results"][0]["locations"][0]


def test_every_rule_is_described(view: ReportView) -> None:
    reported = run_of(view)["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in reported] == [rule.id for rule in rules()]
    levels = {
        rule["properties"]["strength"]: rule["defaultConfiguration"]["level"] for rule in reported
    }
    assert levels == {
        "MUST": "error",
        "MUST NOT": "error",
        "SHOULD": "warning",
        "SHOULD NOT": "warning",
    }


def test_the_same_violation_has_the_same_fingerprint() -> None:
    one = run_of(make_view(make_row("fail", message="seen once", violations=1)))
    again = run_of(make_view(make_row("fail", message="seen twice", violations=2)))
    other = run_of(make_view(make_row("fail", 2)))
    prints = [run["results"][0]["partialFingerprints"] for run in (one, again, other)]
    assert prints[0] == prints[1] != prints[2]


def test_a_guest_that_did_not_end_well_and_lost_events_are_told(view: ReportView) -> None:
    assert run_of(view)["invocations"][0]["executionSuccessful"]
    capture = replace(view.capture, outcome=CapturedOutcome("panic", "because"))
    (invocation,) = run_of(replace(view, capture=capture, lost=3))["invocations"]
    assert not invocation["executionSuccessful"]
    reported = [entry["message"]["text"] for entry in invocation["toolExecutionNotifications"]]
    assert reported == ["guest: panic: because", "3 events were lost"]


@PATIENT
@given(st.text(), st.text())
def test_any_text_gives_a_valid_file(message: str, scenario: str) -> None:
    run_of(make_view(make_row("fail", message=message), run={"scenario": scenario}))
