# SPDX-License-Identifier: GPL-2.0-only
"""Mutants of the kernel's own virtio core and drivers: deliberate faults that a rule has to name.

Each is a semantic patch (``mutants/*.cocci``) behind one run-time switch, so that one build of a
kernel's modules serves all of them.
"""

from functools import cache

from pykit import spec
from pykit.mutants.build import MutantBuild, build_mutants, modular
from pykit.mutants.catalog import Mutant, load_mutants, survivors

__all__ = [
    "Mutant",
    "MutantBuild",
    "all_mutants",
    "build_mutants",
    "load_mutants",
    "modular",
    "rules_for",
    "survivors",
]


@cache
def all_mutants() -> tuple[Mutant, ...]:
    """Return all mutants of ``mutants/``, by name."""
    return load_mutants(spec.CLAUSES)


def rules_for(clauses: tuple[str, ...]) -> tuple[str, ...]:
    """Return ids of the rules for these clauses; a clause without one stands for itself."""
    found: dict[str, None] = {}
    for clause in clauses:
        ids = [rule.id for rule in spec.rules() if clause in (rule.id, *rule.clauses)]
        found.update(dict.fromkeys(ids or [clause]))
    return tuple(found)
