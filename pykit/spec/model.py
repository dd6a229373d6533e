# SPDX-License-Identifier: GPL-2.0-only
"""What a rule is and what it says; the register of all rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pykit.spec.arrays import Bools, Ints
from pykit.spec.clauses import CLAUSES
from pykit.spec.view import View


@dataclass(frozen=True)
class Violation:
    """One breach: the rows of the event table that show it, and what is wrong in words."""

    rows: tuple[int, ...]
    message: str


@dataclass(frozen=True)
class Result:
    """What a rule saw.

    Attributes:
        checked: how many things were decided either way.
        violations: those of them that were wrong, in the order of the rule's own scan.
        undecided: things that the evidence does not decide; they are in no other count.
        why: why there was nothing to look at.
        doubt: why things were undecided.
    """

    checked: int
    violations: tuple[Violation, ...] = ()
    undecided: int = 0
    why: str = ""
    doubt: str = "the trace ends there"

    def __add__(self, other: Result) -> Result:
        """What two observers showed, each on its own."""
        return Result(
            self.checked + other.checked,
            self.violations + other.violations,
            self.undecided + other.undecided,
            self.why or other.why,
            self.doubt if self.undecided else other.doubt,
        )


Check = Callable[[View], Result]


@dataclass(frozen=True)
class Rule:
    """A check of one or more clauses.

    Attributes:
        id: the id of the main clause, or ``XC-…`` for comparisons of the observers.
        title: what has to hold, in own words.
        clauses: ids of data/clauses.tsv and data/derived.tsv.
        side: whose duty it is: ``driver``, ``device`` or ``both``.
        strength: MUST, MUST NOT, SHOULD or SHOULD NOT.
        needs: event kinds, each from one source; ``a|b`` is either.
        local: a violation is proven by single events, lost ones change nothing.
    """

    id: str
    title: str
    clauses: tuple[str, ...]
    side: str
    strength: str
    topic: str
    needs: tuple[str, ...]
    local: bool
    check: Check = field(repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Everything but the code."""
        return {
            "id": self.id,
            "title": self.title,
            "clauses": list(self.clauses),
            "side": self.side,
            "strength": self.strength,
            "topic": self.topic,
            "needs": list(self.needs),
        }


_RULES: dict[str, Rule] = {}


def rule(
    name: str,
    *needs: str,
    also: tuple[str, ...] = (),
    title: str | None = None,
    local: bool = False,
) -> Callable[[Check], Check]:
    """Register a check under the id of its main clause.

    Side, strength, topic and (unless given) title are the clause's. ``also`` names further
    clauses that the same evidence decides.
    """

    def register(check: Check) -> Check:
        clause = CLAUSES.get(name)
        if name in _RULES:
            raise ValueError(f"two rules are called {name}")
        _RULES[name] = Rule(
            id=name,
            title=title or (clause.text if clause else name),
            clauses=(name, *also) if clause else also,
            side=clause.side if clause else "both",
            strength=clause.strength if clause else "MUST",
            topic=clause.topic if clause else "cross-check",
            needs=needs,
            local=local,
            check=check,
        )
        for other in also:
            if other not in CLAUSES:
                raise ValueError(f"{name}: no clause is called {other}")
        return check

    return register


def registered() -> Iterable[Rule]:
    """All rules, by topic and id."""
    return sorted(_RULES.values(), key=lambda r: (r.topic, r.id))


def breaches(wrong: Bools, message: Callable[[int], str], *rows: Ints) -> tuple[Violation, ...]:
    """A violation for each True; ``rows`` are columns of row numbers that show it (-1: none)."""
    return tuple(
        Violation(tuple(int(column[i]) for column in rows if column[i] >= 0), message(i))
        for i in np.flatnonzero(wrong).tolist()
    )
