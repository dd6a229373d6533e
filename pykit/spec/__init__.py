# SPDX-License-Identifier: GPL-2.0-only
"""The rules of the specification, clause by clause: from events to verdicts.

What computes with events (polars, numba) is imported when it is first needed: a guest is booted
before there is anything to judge.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from pykit.errors import UsageError
from pykit.spec import clauses as _clauses
from pykit.spec.clauses import CLAUSES, Clause, Coverage
from pykit.spec.explain import Explanation
from pykit.spec.faults import Fault, Side, faults
from pykit.spec.model import Result, Rule, Violation, registered
from pykit.spec.summary import Summary
from pykit.spec.waivers import Waiver, read

if TYPE_CHECKING:
    from pykit.spec.engine import Verdict, Verdicts
    from pykit.trace import Events

__all__ = [
    "CLAUSES",
    "Clause",
    "Coverage",
    "Explanation",
    "Fault",
    "Result",
    "Rule",
    "Side",
    "Summary",
    "Verdict",
    "Verdicts",
    "Violation",
    "Waiver",
    "check",
    "coverage",
    "describe",
    "explain",
    "faults",
    "rules",
    "summarize",
    "waivers",
]


def __getattr__(name: str) -> Any:
    if name in ("Verdict", "Verdicts"):
        return getattr(importlib.import_module("pykit.spec.engine"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def check(events: Events) -> Verdicts:
    """Judge one capture by all rules.

    Raises:
        UsageError: the waiver data is wrong.
    """
    from pykit.spec.engine import judge

    return judge(events, rules(), waivers())


def rules() -> tuple[Rule, ...]:
    """Return all rules, by topic and id."""
    return tuple(registered())


def explain(name: str) -> Explanation:
    """Collect all about the rule with this id.

    Raises:
        UsageError: no rule has this id.
    """
    found = next((rule for rule in rules() if rule.id == name), None)
    if found is None:
        raise UsageError(f"unknown rule {name!r}: `pykit rules` lists all of them")
    return Explanation.of(found)


@cache
def waivers() -> tuple[Waiver, ...]:
    """Return the known deviations (data/waivers.toml)."""
    names = {rule.id for rule in rules()}
    return read(_clauses.data("waivers.toml"), names, "pykit/spec/data/waivers.toml")


@cache
def coverage() -> Coverage:
    """Return which clauses have a rule, and which have none, with the reason."""
    ruled = {name for rule in rules() for name in rule.clauses}
    reasons = {name: why for name, why in _clauses.reasons().items() if name not in ruled}
    targeted = [clause.id for clause in CLAUSES.values() if clause.targeted]
    return Coverage(
        ruled=tuple(name for name in CLAUSES if name in ruled),
        explained={name: reasons[name] for name in targeted if name in reasons},
        open=tuple(name for name in targeted if name not in ruled and name not in reasons),
    )


def summarize(checked: Mapping[str, int] | None = None) -> Summary:
    """Count the clauses that rules decide, by group.

    Args:
        checked: how much each rule checked in some runs, by rule id.
    """
    return Summary.of(rules(), coverage(), _clauses.reasons(), checked)


def describe() -> str:
    """Return the rule reference as Markdown (docs/rules.md)."""
    from pykit.spec.reference import reference

    bugs = [*faults().values(), *faults("device").values()]
    return reference(rules(), coverage(), waivers(), bugs)
