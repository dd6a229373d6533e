# SPDX-License-Identifier: GPL-2.0-only
"""Render results.ktap: KTAP version 1, a subtest for each topic (Documentation/dev-tools/ktap.rst).

What a verdict means there:

* pass: ok.
* fail: not ok.
* waived: ok, with XFAIL: the failure is known, and the waiver's reason is given.
* inconclusive, not-applicable: ok, with SKIP. An undecided rule is not a failure of driver or
  device, and pykit exits with kselftest's code for a skip. Count the passes to distinguish a
  skip from a success.

The first subtest is the run: the guest's outcome, each step of the workload, and whether
events were lost. A guest that panicked is a failed test even if no rule failed.
"""

from __future__ import annotations

from collections.abc import Iterator

from pykit.analysis.evidence import slice_of
from pykit.report.tap import Point, document, suite
from pykit.report.view import ReportView
from pykit.spec import Verdict

#: Verdict: (ok, directive).
STATUS: dict[str, tuple[bool, str]] = {
    "pass": (True, ""),
    "fail": (False, ""),
    "waived": (True, "XFAIL"),
    "inconclusive": (True, "SKIP"),
    "not-applicable": (True, "SKIP"),
}

#: Outcomes that KTAP has a directive for; the others are plain failures.
OUTCOMES = {
    "hang": "TIMEOUT",
    "never-booted": "ERROR",
    "qemu-died": "ERROR",
    "interrupted": "ERROR",
}


def render(view: ReportView) -> str:
    """Return the whole file."""
    suites = [suite("run", [*_run(view)])]
    suites += [suite(topic, [_rule(row) for row in rows]) for topic, rows in view.topics()]
    return document(suites)


def _rule(row: Verdict) -> Point:
    ok, directive = STATUS[row.verdict]
    diagnostics = [f"{row.rule.id}: {row.rule.side} {row.rule.strength}, {row.checked} checked"]
    if not ok:
        diagnostics.append(f"{row.violations} violations: {row.message}")
        if row.evidence:
            diagnostics += slice_of(row.evidence).lines()
    reason = f"{row.verdict}: {row.message}" if directive else ""
    return Point(ok, row.rule.id, directive, reason, tuple(diagnostics))


def _run(view: ReportView) -> Iterator[Point]:
    kind, message = view.capture.outcome.kind, view.capture.outcome.message
    yield Point(
        ok=kind == "clean",
        name="guest",
        directive=OUTCOMES.get(kind, ""),
        reason=f"{kind}: {message}",
        diagnostics=(f"guest: {kind}: {message}",),
    )
    for step in view.capture.steps:
        failed = (f"exit status {step.rc}", *step.output.splitlines())
        yield Point(
            ok=step.rc == 0,
            name=f"step {step.name}",
            diagnostics=failed if step.rc else (),
        )
    yield Point(
        ok=True,
        name="events",
        directive="SKIP" if view.lost else "",
        reason=f"inconclusive: {view.lost} of {view.events + view.lost} events were lost",
        diagnostics=view.losses,
    )
    if view.unlooked:
        yield Point(
            ok=True,
            name="core rules",
            directive="SKIP",
            reason="inconclusive: some checked nothing",
            diagnostics=view.unlooked,
        )
