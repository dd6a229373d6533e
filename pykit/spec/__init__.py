# SPDX-License-Identifier: GPL-2.0-only
"""The rules of the specification, clause by clause: from events to verdicts."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from pykit.errors import UsageError
from pykit.spec import clauses as _clauses
from pykit.spec import topics  # noqa: F401  (registers the rules)
from pykit.spec.clauses import CLAUSES, Clause, Coverage
from pykit.spec.engine import Verdict, Verdicts, judge
from pykit.spec.explain import Explanation
from pykit.spec.model import Result, Rule, Violation, registered
from pykit.spec.reference import reference
from pykit.spec.summary import Summary
from pykit.spec.waivers import Waiver, read
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


Side = Literal["driver", "device"]

_FAULTS: dict[Side, str] = {"driver": "faults.toml", "device": "device_faults.toml"}


@dataclass(frozen=True)
class Fault:
    """A deliberate bug of the fault build.

    Attributes:
        what: the error, in words.
        rules: ids of the rules that fail for it.
        either: ids of which one or more fail, depending on the negotiated features.
        ring: the one layout of rings that it needs, or ``both``.
        packed: what fails instead on packed rings, if anything else does.
        breaks: no program of a guest ends well with it.
        bugs: real bugs that it repeats, keys of mutants/real-bugs.toml.
    """

    name: str
    what: str
    rules: tuple[str, ...]
    either: tuple[str, ...]
    ring: str = "both"
    packed: tuple[str, ...] = ()
    breaks: bool = False
    bugs: tuple[str, ...] = ()

    def fits(self, ring: str) -> bool:
        """Whether it can go wrong on rings of this layout."""
        return self.ring in ("both", ring)

    def on(self, ring: str) -> Fault:
        """The bug with the rules that fail for it on rings of this layout."""
        if ring != "packed" or not self.packed:
            return self
        return replace(self, rules=self.packed, either=())

    def explains(self, failed: set[str]) -> bool:
        """Whether exactly the rules failed that name this bug."""
        rest = failed - {*self.rules}
        return (
            {*self.rules} <= failed and rest <= {*self.either} and bool(rest) == bool(self.either)
        )


def check(events: Events) -> Verdicts:
    """Judge one capture by all rules.

    Raises:
        UsageError: the waiver data is wrong.
    """
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
def faults(side: Side = "driver") -> dict[str, Fault]:
    """Return the deliberate bugs of one side's fault build, by name.

    The block driver's are in data/faults.toml, the vhost driver's in data/device_faults.toml.
    """
    table = tomllib.loads(_clauses.data(_FAULTS[side]))
    return {
        name: Fault(
            name,
            entry["what"],
            tuple(entry["rules"]),
            tuple(entry.get("either", ())),
            ring=entry.get("ring", "both"),
            packed=tuple(entry.get("packed", ())),
            breaks=entry.get("breaks", False),
            bugs=tuple(entry.get("bugs", ())),
        )
        for name, entry in table.items()
    }


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
    bugs = [*faults().values(), *faults("device").values()]
    return reference(rules(), coverage(), waivers(), bugs)
