# SPDX-License-Identifier: GPL-2.0-only
"""Reports of a drive in the formats of a run: the page, JUnit, SARIF, KTAP."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

from pykit import report, trace
from pykit.drive.run import DriveResult
from pykit.drive.runner import CaseResult
from pykit.paths import write_atomically
from pykit.report.xml import case, document, legal, suite


def write_reports(result: DriveResult) -> None:
    """Write report.html, junit.xml, sarif.json and results.ktap beside drive.json.

    The rules are those on the device: the driver is ours.
    """
    assert result.verdicts is not None
    kept = (result.directory / "verdicts.json").read_bytes()
    device = tuple(v for v in result.verdicts.rules if v.rule.side != "driver")
    verdicts = replace(result.verdicts, rules=device, unlooked=())
    about = {
        "scenario": f"drive {result.target.kind}",
        "target": str(result.target),
        "seed": result.seed,
        "seconds": round(result.seconds, 3),
    }
    report.write_all(result.directory, verdicts, trace.load(result.directory / "capture"), about)
    # That file has the rules on the driver as well, as any run's.
    write_atomically(result.directory / "verdicts.json", kept)
    path = result.directory / "junit.xml"
    root = ET.parse(path).getroot()
    _requests(root, result)
    cases = suite(root, "cases")
    for found in result.cases:
        _case(cases, found)
    write_atomically(path, document(root))


def _requests(root: ET.Element, result: DriveResult) -> None:
    entry = case(suite(root, "requests"), "conforming requests", 0.0)
    if result.deviations:
        first = result.deviations[0]
        failure = ET.SubElement(entry, "failure", message=legal(first.what))
        lines = [f"{one.setting}: {one.shape}: {one.what}" for one in result.deviations]
        failure.text = legal("\n".join(lines))


def _case(parent: ET.Element, found: CaseResult) -> None:
    row, outcome = found.case.row, found.outcome
    entry = case(parent, found.case.name, outcome.seconds if outcome else 0.0)
    if outcome is None:
        ET.SubElement(entry, "skipped", message=legal(f"not decided: {found.skipped}"))
    elif not found.right:
        words = f"{outcome.verdict} (right: {', '.join(row.accepted)})"
        failure = ET.SubElement(entry, "failure", message=legal(words))
        failure.text = legal("\n".join(filter(None, (row.does, row.clause, outcome.detail))))
