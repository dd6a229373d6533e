# SPDX-License-Identifier: GPL-2.0-only
"""results.ktap: KTAP version 1, a subtest a topic (Documentation/dev-tools/ktap.rst).

What a verdict means there:

* pass: ok.
* fail: not ok.
* waived: ok, with XFAIL: the failure is known, and the waiver's reason is given.
* inconclusive, not-applicable: ok, with SKIP. An undecided rule is no failure of driver or
  device, and pykit's exit code for it is kselftest's code for a skip; who must not take a
  skip for a success counts the passes.

The first subtest is the run itself: what became of the guest, each step of the workload,
and whether events were lost. A guest that panicked is a failed test even if no rule is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pykit.report.evidence import slice_of
from pykit.report.view import View
from pykit.spec import Verdict

#: Verdict: (ok, directive).
STATUS: dict[str, tuple[bool, str]] = {
    "pass": (True, ""),
    "fail": (False, ""),
    "waived": (True, "XFAIL"),
    "inconclusive": (True, "SKIP"),
    "not-applicable": (True, "SKIP"),
}

#: Outcomes of a guest for which KTAP has a word of its own; the others are just not ok.
_OUTCOMES = {
    "hang": "TIMEOUT",
    "never-booted": "ERROR",
    "qemu-died": "ERROR",
    "interrupted": "ERROR",
}


@dataclass(frozen=True)
class _Point:
    """One test point: its result line's parts, and the diagnostic lines before it."""

    ok: bool
    name: str
    directive: str = ""
    reason: str = ""
    diagnostics: tuple[str, ...] = ()


def render(view: View) -> str:
    """The whole file."""
    suites = [("run", [*_run(view)])]
    suites += [(topic, [_rule(row) for row in rows]) for topic, rows in view.topics()]
    lines = ["KTAP version 1", f"1..{len(suites)}"]
    for number, (name, points) in enumerate(suites, 1):
        lines += [f"    {line}" for line in _suite(name, points)]
        skipped = all(point.directive == "SKIP" for point in points)
        summary = _Point(
            ok=all(point.ok for point in points),
            name=name,
            directive="SKIP" if skipped else "",
            reason="every test was skipped" if skipped else "",
        )
        lines += _result(number, summary)
    return "\n".join(lines) + "\n"


def _suite(name: str, points: list[_Point]) -> Iterator[str]:
    yield "KTAP version 1"
    yield f"# Subtest: {name}"
    yield f"1..{len(points)}"
    for number, point in enumerate(points, 1):
        yield from _result(number, point)


def _result(number: int, point: _Point) -> Iterator[str]:
    for line in point.diagnostics:
        yield f"# {line}"
    # A # begins the directive, so a name must not have one.
    line = f"{'ok' if point.ok else 'not ok'} {number} {point.name.replace('#', ' ')}"
    if point.directive:
        line += f" # {point.directive} {point.reason}"
    yield line.rstrip()


def _rule(row: Verdict) -> _Point:
    ok, directive = STATUS[row.verdict]
    diagnostics = [f"{row.rule.id}: {row.rule.side} {row.rule.strength}, {row.checked} checked"]
    if not ok:
        diagnostics.append(f"{row.violations} violations: {row.message}")
        if row.evidence:
            diagnostics += slice_of(row.evidence).lines()
    reason = f"{row.verdict}: {row.message}" if directive else ""
    return _Point(ok, row.rule.id, directive, reason, tuple(diagnostics))


def _run(view: View) -> Iterator[_Point]:
    kind, message = view.capture.outcome.kind, view.capture.outcome.message
    yield _Point(
        ok=kind == "clean",
        name="guest",
        directive=_OUTCOMES.get(kind, ""),
        reason=f"{kind}: {message}",
        diagnostics=(f"guest: {kind}: {message}",),
    )
    for step in view.capture.steps:
        failed = (f"exit status {step.rc}", *step.output.splitlines())
        yield _Point(
            ok=step.rc == 0,
            name=f"step {step.name}",
            diagnostics=failed if step.rc else (),
        )
    yield _Point(
        ok=True,
        name="events",
        directive="SKIP" if view.lost else "",
        reason=f"inconclusive: {view.lost} of {view.events + view.lost} events were lost",
        diagnostics=view.losses,
    )
