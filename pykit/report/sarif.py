# SPDX-License-Identifier: GPL-2.0-only
"""Render sarif.json (SARIF 2.1.0), from which code hosts and editors show violations.

A result is a rule violated in one place. A violation that is waived, or explained by a
deliberate fault, is a suppressed result with the reason. Other failures, such as a guest that
panicked, are notifications of the tool.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pykit import __version__
from pykit.analysis.evidence import slice_of
from pykit.paths import ROOT
from pykit.report.view import ReportView
from pykit.scenario.model import SCENARIOS
from pykit.spec import CLAUSES, Rule, Verdict, rules

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


@dataclass(frozen=True)
class Finding:
    """A violated rule.

    Attributes:
        scenario: the scenario's name; its file is the location, where it is one of ours.
        places: from the outside in, such as (family, cell, "device 0 life 0 queue 1").
        accepted: why it is no reason for alarm; empty where it is one.
    """

    rule: str
    message: str
    scenario: str
    places: tuple[str, ...]
    checked: int
    violations: int
    accepted: str = ""


@dataclass(frozen=True)
class Notice:
    """A failure other than a violated rule."""

    message: str
    place: str


def render(view: ReportView) -> str:
    """Return the file for one run."""
    scenario = str(view.run.get("scenario", "capture"))
    findings = [_finding(row, scenario) for row in view.having("fail", "waived")]
    outcome = view.capture.outcome
    notices = []
    if outcome.kind not in ("clean", "recorded"):
        notices.append(Notice(f"guest: {outcome.kind}: {outcome.message}", scenario))
    if view.lost:
        notices.append(Notice(f"{view.lost} events were lost", scenario))
    notices += [Notice(f"not looked at: {line}", scenario) for line in view.unlooked]
    return document(findings, notices)


def _finding(row: Verdict, scenario: str) -> Finding:
    accepted = row.verdict == "waived"
    lines = "\n".join(["", *slice_of(row.evidence).lines()]) if row.evidence else ""
    return Finding(
        rule=row.rule.id,
        message=row.message + lines,
        scenario=scenario,
        places=(scenario,),
        checked=row.checked,
        violations=row.violations,
        accepted=row.message if accepted else "",
    )


def document(findings: Iterable[Finding], notices: Sequence[Notice]) -> str:
    """Return the file for any results."""
    known = {rule.id: number for number, rule in enumerate(rules())}
    data = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "pykit",
                        "semanticVersion": __version__,
                        "rules": [_descriptor(rule) for rule in rules()],
                    }
                },
                "originalUriBaseIds": {"PYKIT": {"description": {"text": "pykit's sources"}}},
                "invocations": [
                    {
                        "executionSuccessful": not notices,
                        "toolExecutionNotifications": [_notification(entry) for entry in notices],
                    }
                ],
                "results": [_result(entry, known) for entry in findings],
            }
        ],
    }
    return json.dumps(data, indent=1) + "\n"


def _descriptor(rule: Rule) -> dict[str, Any]:
    clauses = [f"{name}: {CLAUSES[name].text}" for name in rule.clauses]
    entry = {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "defaultConfiguration": {"level": _level(rule)},
        "properties": {
            "tags": [rule.topic, rule.side],
            "strength": rule.strength,
            "clauses": list(rule.clauses),
        },
    }
    return {**entry, "fullDescription": {"text": "\n".join(clauses)}} if clauses else entry


def _level(rule: Rule) -> str:
    return "error" if rule.strength.startswith("MUST") else "warning"


def _result(finding: Finding, known: dict[str, int]) -> dict[str, Any]:
    place = "/".join(finding.places)
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "kind": "fail",
        "message": {"text": finding.message or finding.rule},
        "locations": [
            {**_file(finding.scenario), "logicalLocations": list(_logical(finding.places))}
        ],
        # The same violation in the next run is the same result.
        "partialFingerprints": {
            "cellAndRule/v1": hashlib.sha256(f"{place}\n{finding.rule}".encode()).hexdigest()
        },
        "properties": {"checked": finding.checked, "violations": finding.violations},
    }
    if finding.rule in known:
        result["ruleIndex"] = known[finding.rule]
        result["level"] = _level(rules()[known[finding.rule]])
    if finding.accepted:
        result["suppressions"] = [{"kind": "external", "justification": finding.accepted}]
    return result


def _file(scenario: str) -> dict[str, Any]:
    # Looked for among those there are: a name from a run.json may be anything.
    ours = {path.stem: path for path in SCENARIOS.glob("*.toml")}
    if scenario not in ours:
        return {}
    uri = ours[scenario].relative_to(ROOT).as_posix()
    artifact = {"uri": uri, "uriBaseId": "PYKIT"}
    return {"physicalLocation": {"artifactLocation": artifact, "region": {"startLine": 1}}}


def _logical(places: Sequence[str]) -> Iterator[dict[str, str]]:
    # The innermost comes first to a reader who takes only one.
    for depth in range(len(places), 0, -1):
        whole = "/".join(places[:depth])
        yield {"name": places[depth - 1], "fullyQualifiedName": whole}


def _notification(notice: Notice) -> dict[str, Any]:
    return {
        "level": "error",
        "message": {"text": notice.message},
        "locations": [{"logicalLocations": [{"fullyQualifiedName": notice.place}]}],
    }
