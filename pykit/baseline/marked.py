# SPDX-License-Identifier: GPL-2.0-only
"""Mark known failures in JUnit and SARIF files: skipped, suppressed, with the reason.

A listed failure that held, and a line that names nothing, become failures of a suite "baseline".
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pykit.baseline.compare import HeldToBaseline
from pykit.baseline.examined import OUTCOME, REQUEST, SILENT, Examined
from pykit.baseline.listed import KnownFailure
from pykit.files import parse_json, read_regular
from pykit.matrix.results.view import PLAN
from pykit.paths import write_atomically
from pykit.report.xml import case, document, legal, suite

_JUNIT, _SARIF = "junit.xml", "sarif.json"
_FAILED = ("failure", "error")


def mark(directory: Path, examined: Iterable[Examined], found: HeldToBaseline) -> None:
    """Rewrite junit.xml and sarif.json of a run, a matrix or a drive; none that is not there."""
    for folder, where in _places(directory, list(examined)):
        reasons = _Reasons(found, where)
        if (path := folder / _JUNIT).is_file():
            root = ET.fromstring(read_regular(path, folder))
            _mark_junit(root, reasons)
            write_atomically(path, document(root))
        if (path := folder / _SARIF).is_file():
            data = parse_json(read_regular(path, folder))
            _mark_sarif(data, reasons)
            write_atomically(path, (json.dumps(data, indent=1) + "\n").encode())


def _places(directory: Path, examined: list[Examined]) -> Iterator[tuple[Path, str | None]]:
    """Yield folders with files, and whose results they have; None for cells of a matrix."""
    if (directory / PLAN).exists():
        yield directory, None
    elif (directory / _JUNIT).exists() or len(examined) == 1:
        yield directory, examined[0].where
    else:
        for one in examined:
            yield directory / one.where.removeprefix("drive "), one.where


class _Reasons:
    """Reasons of known failures, of one run or of all cells of a matrix."""

    def __init__(self, found: HeldToBaseline, where: str | None) -> None:
        self.where = where
        self._known = {entry.name: entry.reason for entry in found.known}
        self._new = {entry.name for entry in found.new}
        parts = (("unexpected pass", found.passed), ("stale line", found.stale))
        self._off = [
            (entry, f"{words}: take it out of the baseline")
            for words, entries in parts
            for entry in entries
        ]

    def of(self, where: str, *names: str) -> str | None:
        """Return why one of these is known; None where none is listed."""
        found = (self._known.get((where, name)) for name in names)
        return next((reason for reason in found if reason is not None), None)

    def of_all(self, where: str, prefix: str = "") -> str | None:
        """Return why all failures there, of such names, are known; None where one is new."""
        if any(place == where and what.startswith(prefix) for place, what in self._new):
            return None
        reasons = [
            reason
            for (place, what), reason in self._known.items()
            if place == where and what.startswith(prefix)
        ]
        return "; ".join(dict.fromkeys(reasons)) or None

    def off(self) -> Iterator[tuple[KnownFailure, str]]:
        """Yield entries that are wrong today, with what is wrong with each."""
        for entry, words in self._off:
            if self.where is None or entry.where == self.where:
                yield entry, words


def _mark_junit(root: ET.Element, reasons: _Reasons) -> None:
    for part in root.findall("testsuite"):
        for test in part.findall("testcase"):
            failed = [element for element in test if element.tag in _FAILED]
            reason = _junit_reason(part, test, reasons) if failed else None
            for element in failed if reason else ():
                element.tag = "skipped"
                element.attrib.pop("type", None)
                message = element.get("message", "")
                element.set("message", legal(f"known failure: {reason}: {message}"))
    off = list(reasons.off())
    if off:
        part = suite(root, "baseline")
        for entry, words in off:
            test = case(part, f"{entry.where}: {entry.what}", 0.0)
            ET.SubElement(test, "failure", message=legal(words)).text = legal(entry.reason)


def _junit_reason(part: ET.Element, test: ET.Element, reasons: _Reasons) -> str | None:
    suite_name, name = part.get("name", ""), test.get("name", "")
    if reasons.where is None:
        if name == "cell":
            return reasons.of_all(suite_name)
        return reasons.of(suite_name, name, f"{SILENT}{name}")
    if suite_name == "run":
        # A step that failed is why the guest did not end well.
        return reasons.of_all(reasons.where, OUTCOME)
    if suite_name == "requests":
        return reasons.of_all(reasons.where, REQUEST)
    return reasons.of(reasons.where, name)


def _mark_sarif(data: dict[str, Any], reasons: _Reasons) -> None:
    for run in data["runs"]:
        for result in run["results"]:
            for where in _sarif_places(result, reasons):
                reason = reasons.of(where, result["ruleId"])
                if reason is not None and not result.get("suppressions"):
                    result["suppressions"] = [{"kind": "external", "justification": reason}]
        for invocation in run["invocations"]:
            notices = invocation.get("toolExecutionNotifications", [])
            for notice in notices:
                for where in _sarif_places(notice, reasons):
                    prefix = "" if reasons.where is None else OUTCOME
                    text = notice["message"]["text"]
                    reason = reasons.of_all(where, prefix)
                    if reason is not None and (not prefix or text.startswith("guest: ")):
                        notice["level"] = "note"
                        notice["message"]["text"] = f"known failure: {reason}: {text}"
            good = all(notice["level"] != "error" for notice in notices)
            invocation["executionSuccessful"] = good


def _sarif_places(entry: dict[str, Any], reasons: _Reasons) -> list[str]:
    if reasons.where is not None:
        return [reasons.where]
    places = [place for location in entry["locations"] for place in location["logicalLocations"]]
    return [place["fullyQualifiedName"] for place in places]
