# SPDX-License-Identifier: GPL-2.0-only
"""One rule in full: clause, section, reasons, and the logs that break it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from typing import Any

from pykit.spec import clauses
from pykit.spec.clauses import CLAUSES, Clause
from pykit.spec.kills import Kill, by_fault, kills
from pykit.spec.model import Rule


@dataclass(frozen=True)
class Proof:
    """A case that breaks a rule: its place in tests/spec/cases, and what is wrong in its log."""

    case: str
    text: str


@cache
def proofs() -> dict[str, tuple[Proof, ...]]:
    """Return the cases of all rules (data/cases.tsv, generated from tests/spec/cases)."""
    lines = [line for line in clauses.data("cases.tsv").splitlines() if not line.startswith("#")]
    found: dict[str, tuple[Proof, ...]] = {}
    for entry in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
        proof = Proof(entry["case"], entry["text"])
        found[entry["rule"]] = (*found.get(entry["rule"], ()), proof)
    return found


@dataclass(frozen=True)
class Explanation:
    """All that is needed to say whether a rule is right."""

    rule: Rule
    clauses: tuple[Clause, ...]
    proofs: tuple[Proof, ...]
    kills: tuple[Kill, ...]

    @classmethod
    def of(cls, rule: Rule) -> Explanation:
        """Collect what is known of a rule."""
        known = tuple(CLAUSES[name] for name in rule.clauses)
        return cls(rule, known, proofs().get(rule.id, ()), kills().get(rule.id, ()))

    def as_json(self) -> dict[str, Any]:
        """Return what ``pykit rules ID --json`` prints."""
        return self.rule.as_dict() | {
            "sections": {clause.id: clause.basis for clause in self.clauses},
            "local": self.rule.local,
            "doc": self.rule.doc,
            "background": self.rule.background,
            "cases": [{"case": proof.case, "text": proof.text} for proof in self.proofs],
            "kills": [kill._asdict() for kill in self.kills],
        }

    def as_text(self) -> str:
        """Return what ``pykit rules ID`` prints."""
        rule = self.rule
        lines = [f"{rule.id}: {rule.side} {rule.strength}", ""]
        if not self.clauses:
            lines.append(f"  {rule.title}")
        for clause in self.clauses:
            lines += [f"  {clause.id}: {clause.text}", f"  Section: {clause.basis}"]
        needs = "; ".join(need.replace("|", " or ") for need in rule.needs)
        lines += [f"  Needs: {needs}"]
        if rule.local:
            lines.append("  Lost events leave a violation standing: single events prove it.")
        lines += ["", *_indented(rule.doc), "", "Cases that break it (tests/spec/cases):"]
        lines += [f"  {proof.case}: {proof.text}" for proof in self.proofs]
        lines += ["", "Faults of real runs that it names:"]
        lines += [f"  {line}" for line in by_fault(self.kills) or ("none",)]
        module = rule.check.__module__.replace(".", "/")
        lines += ["", f"Its topic ({module}.py):", *_indented(rule.background)]
        return "\n".join(lines) + "\n"


def _indented(text: str) -> list[str]:
    return [f"  {line}".rstrip() for line in text.splitlines()]
