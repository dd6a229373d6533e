# SPDX-License-Identifier: GPL-2.0-only
"""Read the semantic patches of ``mutants/`` and the head that each begins with."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from pykit.errors import UsageError
from pykit.paths import ROOT
from pykit.toml import choice

MUTANTS = ROOT / "mutants"

Ring = Literal["split", "packed", "both"]

_LINE = re.compile(r"// (?P<key>[a-z-]+): (?P<value>.+)")
_KEYS = ("title", "must", "may", "ring", "file", "count", "features", "absent")


@dataclass(frozen=True)
class Mutant:
    """One deliberate fault of the kernel's own code.

    Attributes:
        name: the file's stem; the patch marks its statements by ``PYKIT_MUTANT(…)`` with `marker`.
        title: what the faulty driver does.
        must: ids of clauses; the rule of one of them has to fail for the mutant to count as named.
        may: ids of clauses whose rules may fail as well.
        ring: the ring layout in which the mutated code runs.
        file: the source file, below the kernel's top directory.
        count: how many statements the patch changes; another number makes the mutant void for
            that kernel.
        absent: series of kernels (``7.2``) whose code has no such place.
        features: value of the scenario's feature axis that the mutant needs, if any.
    """

    name: str
    title: str
    must: tuple[str, ...]
    may: tuple[str, ...]
    ring: Ring
    file: str
    count: int
    absent: tuple[str, ...]
    features: str
    path: Path

    @property
    def marker(self) -> str:
        """The name as the macro's argument."""
        return self.name.replace("-", "_")


def load_mutants(clauses: Collection[str], folder: Path = MUTANTS) -> tuple[Mutant, ...]:
    """Return all mutants of a folder, by name; ``clauses`` are the ids that heads may name.

    Raises: UsageError naming file and line for a head that is not complete, or that names an
        unknown clause.
    """
    return tuple(_read(path, clauses) for path in sorted(folder.glob("*.cocci")))


def _read(path: Path, clauses: Collection[str]) -> Mutant:
    head: dict[str, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = _LINE.fullmatch(line)
        if line.startswith("@@"):
            break
        if line.startswith("// SPDX-"):
            continue
        if match is None:
            raise UsageError(f"{path}:{number}: expected '// key: value' before the first @@")
        if match["key"] not in _KEYS:
            raise UsageError(f"{path}:{number}: {choice(match['key'], _KEYS, 'key')}")
        if match["key"] in ("must", "may"):
            for clause in match["value"].split():
                if clause not in clauses:
                    raise UsageError(f"{path}:{number}: {choice(clause, clauses, 'clause')}")
        head[match["key"]] = match["value"]
    for key in ("title", "must", "ring", "file", "count"):
        if key not in head:
            raise UsageError(f"{path}: the head has no '// {key}: …'")
    if head["ring"] not in get_args(Ring):
        raise UsageError(f"{path}: {choice(head['ring'], get_args(Ring), 'ring')}")
    if not head["count"].isdigit():
        raise UsageError(f"{path}: count is not a number: {head['count']}")
    return Mutant(
        name=path.stem,
        title=head["title"],
        must=tuple(head["must"].split()),
        may=tuple(head.get("may", "").split()),
        ring=cast("Ring", head["ring"]),
        file=head["file"],
        count=int(head["count"]),
        absent=tuple(head.get("absent", "").split()),
        features=head.get("features", ""),
        path=path,
    )
