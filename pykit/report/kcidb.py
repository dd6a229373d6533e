# SPDX-License-Identifier: GPL-2.0-only
"""Render kcidb.json, which a kernel CI system submits to KCIDB: schema version 5.

A status is about the code under test. A waived violation is a failure that an incident links to
an issue, as KCIDB marks known failures. Undecided rules are skipped.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from pykit.analysis.evidence import slice_of
from pykit.arch import of_release
from pykit.errors import Exit
from pykit.guests.outcome import EXIT_CODES, Kind
from pykit.report.view import ReportView
from pykit.spec import Verdict
from pykit.text import shown

#: Origin of the submission; a CI system replaces it by its own.
ORIGIN = "pykit"
_VERSION = {"major": 5, "minor": 3}
#: Characters that a log excerpt may have.
_EXCERPT = 16384

TestStatus = Literal["PASS", "FAIL", "ERROR", "MISS", "SKIP"]

#: Verdict: status.
STATUS: dict[str, TestStatus] = {
    "pass": "PASS",
    "fail": "FAIL",
    "waived": "FAIL",
    "inconclusive": "SKIP",
    "not-applicable": "SKIP",
}


@dataclass(frozen=True)
class Test:
    """One test of one kernel.

    Attributes:
        kernel: its release, or what it was asked for by where none was booted.
        path: of the test, outermost first.
        started: ISO 8601, or anything else, which is then left out.
        known: why the failure is known and accepted; empty where it is not.
    """

    kernel: str
    path: tuple[str, ...]
    status: TestStatus
    comment: str
    environment: str
    started: str
    seconds: float | None = None
    excerpt: str = ""
    known: str = ""
    misc: dict[str, Any] = field(default_factory=dict)


def render(view: ReportView) -> str:
    """Return the file for one run."""
    return document(_tests(view), str(view.run.get("started", "")))


def _tests(view: ReportView) -> Iterator[Test]:
    scenario = shown(str(view.run.get("scenario", "capture")))
    kernel = view.capture.kernel or "unknown"
    environment = f"QEMU {view.capture.qemu}"
    started = str(view.run.get("started", ""))
    outcome, seconds = view.capture.outcome, view.run.get("seconds")
    yield Test(
        kernel=kernel,
        path=(scenario, "guest"),
        status=guest_status(outcome.kind),
        comment=f"{outcome.kind}: {outcome.message}",
        environment=environment,
        started=started,
        seconds=seconds if isinstance(seconds, int | float) else None,
        excerpt="" if guest_status(outcome.kind) == "PASS" else view.console,
    )
    for row in view.rows:
        if row.verdict != "not-applicable":
            yield _rule(row, scenario, kernel, environment, started)


def _rule(row: Verdict, scenario: str, kernel: str, environment: str, started: str) -> Test:
    return Test(
        kernel=kernel,
        path=(scenario, row.rule.id),
        status=STATUS[row.verdict],
        comment=f"{row.rule.title} {row.verdict}: {row.message}",
        environment=environment,
        started=started,
        excerpt="\n".join(slice_of(row.evidence).lines()) if row.evidence else "",
        known=row.message if row.verdict == "waived" else "",
        misc={"checked": row.checked, "violations": row.violations},
    )


def guest_status(kind: str) -> TestStatus:
    """Return the status of a guest's outcome; an unknown one is a failure."""
    match EXIT_CODES.get(cast(Kind, kind), Exit.FAILED):
        case Exit.OK:
            return "PASS"
        case Exit.SKIP:
            return "SKIP"
        case Exit.INFRA:
            return "MISS"
        case _:
            return "FAIL"


def document(tests: Iterable[Test], unique: str) -> str:
    """Return the file for any tests; ``unique`` keeps their ids apart from other submissions."""
    entries = list(tests)
    kernels = dict.fromkeys(test.kernel for test in entries)
    known = {test.path[-1]: test.known for test in entries if test.known}
    data = {
        "version": _VERSION,
        "checkouts": [
            {"id": _id(kernel), "origin": ORIGIN, "comment": f"Linux {kernel}", "valid": True}
            for kernel in kernels
        ],
        "builds": [
            {
                "id": _id(kernel, of_release(kernel).machine),
                "checkout_id": _id(kernel),
                "origin": ORIGIN,
                "architecture": of_release(kernel).machine,
            }
            for kernel in kernels
        ],
        "tests": [_test(test, unique) for test in entries],
        "issues": [
            {
                "id": _id("waived", rule),
                "version": 1,
                "origin": ORIGIN,
                "comment": reason,
                "culprit": {"code": True},
            }
            for rule, reason in known.items()
        ],
        "incidents": [_incident(test, unique) for test in entries if test.known],
    }
    return json.dumps(data) + "\n"


def _test(test: Test, unique: str) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": _test_id(test, unique),
        "build_id": _id(test.kernel, of_release(test.kernel).machine),
        "origin": ORIGIN,
        "path": ".".join(("pykit", *map(_word, test.path))),
        "status": test.status,
        "comment": test.comment,
        "environment": {"comment": test.environment},
    }
    if started := _time(test.started):
        entry["start_time"] = started
    if test.seconds is not None:
        entry["duration"] = test.seconds
    if test.excerpt:
        entry["log_excerpt"] = test.excerpt[-_EXCERPT:]
    if test.misc:
        entry["misc"] = test.misc
    return entry


def _incident(test: Test, unique: str) -> dict[str, Any]:
    return {
        "id": f"{_test_id(test, unique)}:waived",
        "origin": ORIGIN,
        "issue_id": _id("waived", test.path[-1]),
        "issue_version": 1,
        "test_id": _test_id(test, unique),
        "present": True,
    }


def _test_id(test: Test, unique: str) -> str:
    when = hashlib.sha256(unique.encode()).hexdigest()[:16]
    return _id(when, test.kernel, *test.path)


def _id(*parts: str) -> str:
    return ":".join((ORIGIN, *parts))


def _word(part: str) -> str:
    """Return a part of a path without the dots that separate parts."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", part) or "_"


def _time(text: str) -> str | None:
    """Return a time in RFC 3339 form, or None if it is not a time."""
    try:
        time = datetime.datetime.fromisoformat(text)
        return time.astimezone(datetime.UTC).isoformat() if time.tzinfo else None
    except (ValueError, OverflowError):
        return None
