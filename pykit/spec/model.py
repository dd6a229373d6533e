# SPDX-License-Identifier: GPL-2.0-only
"""Rules, their results, and the register of all rules."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pykit.spec.clauses import CLAUSES

if TYPE_CHECKING:
    from pykit.spec.view import View

#: Why most things stay undecided.
TRACE_ENDS = "the trace ends there"
#: Why candidates are contested.
EITHER_SIDE = "the other side had broken the rule's precondition: either side may be to blame"


@dataclass(frozen=True)
class Violation:
    """One violation: the rows of the event table that show it, and a message that describes it."""

    rows: tuple[int, ...]
    message: str


@dataclass(frozen=True)
class Result:
    """The result of one rule on one capture.

    Attributes:
        checked: how many candidates were decided, for or against.
        violations: the decided ones that break the rule, in the order in which it scans.
        undecided: candidates that the evidence does not decide; not part of ``checked``.
        why: why nothing could be checked.
        doubt: why candidates are undecided.
        contested: candidates that look wrong, but for which the other side may be to blame; not
            part of ``checked``. A rule with such does not pass.
    """

    checked: int
    violations: tuple[Violation, ...] = ()
    undecided: int = 0
    why: str = ""
    doubt: str = TRACE_ENDS
    contested: int = 0

    def __add__(self, other: Result) -> Result:
        """Add up the results of two observers."""
        return Result(
            self.checked + other.checked,
            self.violations + other.violations,
            self.undecided + other.undecided,
            self.why or other.why,
            self.doubt if self.undecided else other.doubt,
            self.contested + other.contested,
        )

    def contesting(self, doubtful: Callable[[Violation], bool]) -> Result:
        """Count those violations as contested for which ``doubtful`` is true."""
        certain = tuple(found for found in self.violations if not doubtful(found))
        moved = len(self.violations) - len(certain)
        return replace(
            self,
            checked=self.checked - moved,
            violations=certain,
            contested=self.contested + moved,
        )

    def reporting(self, violations: tuple[Violation, ...]) -> Result:
        """The same counts with more violations, of candidates that were counted already."""
        return replace(self, violations=self.violations + violations)


Check = Callable[["View"], Result]


@dataclass(frozen=True)
class Rule:
    """A check of one or more clauses.

    Attributes:
        id: the id of the main clause, or ``XC-…`` for comparisons of the observers.
        title: the clause in our words.
        clauses: ids of data/clauses.tsv and data/derived.tsv.
        side: whose duty it is: ``driver``, ``device`` or ``both``.
        strength: MUST, MUST NOT, SHOULD or SHOULD NOT.
        needs: event kinds, each from one source; ``a|b`` is either.
        local: a violation is proven by single events, lost ones change nothing.
        contents: it judges what chains of the driver held when they were read; see
            ``View.by_either``.
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
    contents: bool = False

    @property
    def doc(self) -> str:
        """Section, clause in our words, what is counted as checked, reasons of the tolerances."""
        return inspect.getdoc(self.check) or ""

    @property
    def background(self) -> str:
        """The docstring of the rule's module: terms and windows that rules of a topic share."""
        return inspect.getdoc(inspect.getmodule(self.check)) or ""

    def as_dict(self) -> dict[str, Any]:
        """Return all of the rule but its code."""
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
    *,
    needs: str | tuple[str, ...],
    also: tuple[str, ...] = (),
    title: str | None = None,
    local: bool = False,
    contents: bool = False,
) -> Callable[[Check], Check]:
    """Register a check under the id of its main clause.

    Side, strength, topic and (unless given) title are the clause's.

    Args:
        name: id of the main clause, or ``XC-…``.
        needs: event kinds without which the rule is inconclusive, see ``Rule.needs``.
        also: ids of further clauses that the same evidence decides.
        title: the clause in our words, for a rule without one.
        local: single events prove a violation, so that lost events leave it standing.
        contents: what is judged of the driver is what its chains held when they were read: where
            the device may have written that before, a violation is contested.

    Raises:
        ValueError: the check has no docstring, the id is taken, or a clause does not exist.
    """

    def register(check: Check) -> Check:
        clause = CLAUSES.get(name)
        if name in _RULES:
            raise ValueError(f"{name}: two rules have this id")
        # With python -OO there are no docstrings at all.
        if not check.__doc__ and sys.flags.optimize < 2:
            raise ValueError(f"{name}: {check.__name__}() has no docstring")
        for other in also:
            if other not in CLAUSES:
                raise ValueError(f"{name}: unknown clause {other}")
        _RULES[name] = Rule(
            id=name,
            title=title or (clause.text if clause else name),
            clauses=(name, *also) if clause else also,
            side=clause.side if clause else "both",
            strength=clause.strength if clause else "MUST",
            topic=clause.topic if clause else "cross-check",
            needs=(needs,) if isinstance(needs, str) else needs,
            local=local,
            contents=contents,
            check=check,
        )
        return check

    return register


def registered() -> Iterable[Rule]:
    """All rules, by topic and id; imports what registers them."""
    from pykit.spec import topics  # noqa: F401

    return sorted(_RULES.values(), key=lambda r: (r.topic, r.id))
