# SPDX-License-Identifier: GPL-2.0-only
"""The clauses of the specification that rules can name, in our words."""

from __future__ import annotations

import csv
import tomllib
from dataclasses import dataclass
from importlib.resources import files

#: Topics whose clauses the kit does not aim to decide.
_OUTSIDE = frozenset({"legacy", "shm", "admin", "suspend"})


@dataclass(frozen=True)
class Clause:
    """One requirement: ``basis`` is the section (derived ones: where its prose stands)."""

    id: str
    side: str
    strength: str
    topic: str
    text: str
    basis: str

    @property
    def targeted(self) -> bool:
        """Whether the kit aims to decide this clause."""
        return self.strength != "MAY" and self.topic not in _OUTSIDE


def data(name: str) -> str:
    """Return the text of a file of ``pykit/spec/data``."""
    return files("pykit.spec").joinpath("data", name).read_text(encoding="utf-8")


def _table(name: str) -> list[dict[str, str]]:
    lines = [line for line in data(name).splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def _load() -> dict[str, Clause]:
    found: dict[str, Clause] = {}
    for row in _table("clauses.tsv"):
        basis = row["spec-label"].partition(":")[2] or row["spec-label"]
        found[row["id"]] = Clause(
            row["id"], row["side"], row["strength"], row["topic"], row["paraphrase"], basis
        )
    for row in _table("derived.tsv"):
        found[row["id"]] = Clause(
            row["id"], row["side"], "MUST", row["topic"], row["rule(own words)"], row["basis"]
        )
    return found


CLAUSES: dict[str, Clause] = _load()


@dataclass(frozen=True)
class Coverage:
    """The clauses that have rules, and those that have none.

    Attributes:
        ruled: ids of clauses that a rule decides.
        explained: ids of targeted clauses without a rule, with the reason.
        open: ids of targeted clauses with neither rule nor reason.
    """

    ruled: tuple[str, ...]
    explained: dict[str, str]
    open: tuple[str, ...]


def reasons() -> dict[str, str]:
    """Return why clauses have no rule (data/unruled.toml), by clause id."""
    table: dict[str, str] = tomllib.loads(data("unruled.toml"))
    for name in table:
        if name not in CLAUSES:
            raise ValueError(f"data/unruled.toml: unknown clause {name}")
    return table
