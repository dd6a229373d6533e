# SPDX-License-Identifier: GPL-2.0-only
"""How much of the specification the rules decide, and which rules have looked at something."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pykit.spec.clauses import CLAUSES, Clause, Coverage
from pykit.spec.kills import unkilled
from pykit.spec.model import Rule


@dataclass(frozen=True)
class Group:
    """Clauses that are counted together.

    Attributes:
        ruled: ids of those that a rule decides.
        explained: ids of those without a rule, with a reason.
        open: ids of those with neither.
        idle: ids of those whose rules never checked anything; None where no runs were given.
    """

    name: str
    ruled: tuple[str, ...]
    explained: tuple[str, ...]
    open: tuple[str, ...]
    idle: tuple[str, ...] | None

    @property
    def total(self) -> int:
        """How many clauses there are."""
        return len(self.ruled) + len(self.explained) + len(self.open)


#: Groups by name; a clause is counted in the first that takes it.
_GROUPS: dict[str, Callable[[Clause], bool]] = {
    "derived": lambda clause: clause.id.startswith("DX-"),
    "suspend": lambda clause: clause.topic == "suspend",
    "legacy": lambda clause: clause.topic == "legacy",
    "channel I/O": lambda clause: clause.topic == "ccw" and clause.targeted,
    "target": lambda clause: clause.targeted,
}


@dataclass(frozen=True)
class Summary:
    """The clauses by group, and the rules that never looked at anything.

    Attributes:
        rules: how many rules there are.
        unkilled: ids of rules that no deliberate fault of a run made fail.
        idle: ids of rules that checked nothing in any run; None where no runs were given.
        comparing: how many compare observers, and have no fault of a driver or device to name.
    """

    groups: tuple[Group, ...]
    rules: int
    unkilled: tuple[str, ...]
    idle: tuple[str, ...] | None
    comparing: int

    @property
    def proved(self) -> int:
        """How many rules some deliberate fault of a run made fail."""
        return self.rules - self.comparing - len(self.unkilled)

    @classmethod
    def of(
        cls,
        rules: Iterable[Rule],
        coverage: Coverage,
        reasons: Mapping[str, str],
        checked: Mapping[str, int] | None = None,
    ) -> Summary:
        """Count clauses and rules.

        Args:
            rules: all rules.
            coverage: which clauses have a rule.
            reasons: why clauses have none, by clause id.
            checked: how much each rule checked in some runs, by rule id.
        """
        known = tuple(rules)
        ruled = set(coverage.ruled)
        busy = None
        if checked is not None:
            busy = {c for rule in known if checked.get(rule.id) for c in rule.clauses}
        members: dict[str, list[str]] = {name: [] for name in _GROUPS}
        for clause in CLAUSES.values():
            group = next((name for name, takes in _GROUPS.items() if takes(clause)), None)
            if group:
                members[group].append(clause.id)
        groups = tuple(
            Group(
                name,
                tuple(c for c in ids if c in ruled),
                tuple(c for c in ids if c not in ruled and c in reasons),
                tuple(c for c in ids if c not in ruled and c not in reasons),
                None if busy is None else tuple(c for c in ids if c in ruled and c not in busy),
            )
            for name, ids in members.items()
        )
        idle = None
        if checked is not None:
            idle = tuple(rule.id for rule in known if not checked.get(rule.id))
        comparing = sum(rule.id.startswith("XC-") for rule in known)
        return cls(groups, len(known), unkilled(known), idle, comparing)

    def as_json(self) -> dict[str, Any]:
        """Return what ``pykit rules --summary --json`` prints."""
        return {
            "groups": {
                group.name: {
                    "total": group.total,
                    "ruled": list(group.ruled),
                    "explained": list(group.explained),
                    "open": list(group.open),
                    "never-checked": None if group.idle is None else list(group.idle),
                }
                for group in self.groups
            },
            "rules": self.rules,
            "rules-proved": self.proved,
            "rules-never-failed": list(self.unkilled),
            "rules-never-checked": None if self.idle is None else list(self.idle),
        }
