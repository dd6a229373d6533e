# SPDX-License-Identifier: GPL-2.0-only
"""Judge a capture, and write verdicts and reports beside it in a run directory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from pykit import report, spec, trace
from pykit.guests import Kind, Outcome
from pykit.trace.walk import load_compiled

#: Outcomes that a trouble takes the place of; others get it added.
_WELL = ("clean", "recorded")
#: Sentences on what broke in an outcome's one line.
_MOST_TROUBLES = 3


def prepare() -> None:
    """Load and compile all that judging a capture needs: over a second, in which a guest boots."""
    load_compiled()
    spec.rules()
    spec.waivers()
    report.prepare()


@dataclass(frozen=True)
class JudgedCapture:
    """The events of a capture and the verdicts on them."""

    events: trace.Events
    verdicts: spec.Verdicts

    def ended(self, outcome: Outcome) -> Outcome:
        """Return how the guest ended, with what its events show of broken devices."""
        found = self.events.capture.outcome
        # What went wrong outside of a capture that ended well is not in it.
        if found.kind in _WELL:
            return outcome
        if found.kind == "contested" and outcome.kind not in _WELL:
            return replace(outcome, message=f"{outcome.message}; {found.message}")
        return replace(outcome, kind=cast(Kind, found.kind), message=found.message)

    def write(self, directory: Path) -> None:
        """Write the events, the verdicts and all reports into a run directory."""
        self.events.write_parquet(directory / "events.parquet")
        report.write_all(directory, self.verdicts, self.events)


def judge(capture: Path) -> JudgedCapture:
    """Judge a capture; raises UsageError where it is none."""
    return judge_events(trace.load(capture))


def judge_events(events: trace.Events) -> JudgedCapture:
    """Judge events that are loaded; their capture's outcome then has what broke."""
    verdicts = spec.check(events)
    return JudgedCapture(_with_troubles(events, verdicts), verdicts)


def _with_troubles(events: trace.Events, verdicts: spec.Verdicts) -> trace.Events:
    """Return the events of a capture whose outcome says what broke, if anything unexpected did."""
    found = [trouble for trouble in verdicts.troubles if not trouble.expected]
    if not found:
        return events
    ended = events.capture.outcome
    words = [trouble.sentence for trouble in found[:_MOST_TROUBLES]]
    if len(found) > _MOST_TROUBLES:
        words.append(f"{len(found) - _MOST_TROUBLES} more")
    if ended.kind in _WELL:
        outcome = trace.CapturedOutcome(found[0].kind, "; ".join(words))
    else:
        outcome = trace.CapturedOutcome(ended.kind, "; ".join([ended.message, *words]))
    return replace(events, capture=replace(events.capture, outcome=outcome))
