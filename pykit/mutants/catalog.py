# SPDX-License-Identifier: GPL-2.0-only
"""Read the semantic patches of ``mutants/`` and the head that each begins with."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, cast, get_args

from pykit.errors import UsageError
from pykit.paths import ROOT
from pykit.toml import TomlFile, choice

MUTANTS = ROOT / "mutants"

Ring = Literal["split", "packed", "both"]
Side = Literal["driver", "device"]

_LINE = re.compile(r"// (?P<key>[a-z-]+): (?P<value>.+)")
_REQUIRED = ("title", "must", "ring", "file", "count")
_KEYS = (
    *_REQUIRED, "side", "may", "features", "absent", "scenario", "transport", "driver", "observe",
    "bug",
)  # fmt: skip
#: Axes on which a mutant may need another value than that of most.
_USUAL = {"features": "all", "transport": "pci", "driver": "virtio_blk", "observe": "none"}


@dataclass(frozen=True)
class Mutant:
    """One deliberate fault of the kernel's own code.

    Attributes:
        side: of the faulty code.
        scenario: in which its code runs.
        needs: values of other axes that it needs: the transport, the driver, the features, the
            observer.
        bug: the real bug that it repeats, a key of real-bugs.toml; or nothing.
        name: the file's stem; the patch marks its statements by ``PYKIT_MUTANT(…)`` with `marker`.
        title: what the faulty driver does.
        must: ids of clauses; the rule of one of them has to fail for the mutant to count as named.
        may: ids of clauses whose rules may fail as well.
        ring: the ring layout in which the mutated code runs.
        file: the source file, below the kernel's top directory.
        count: how many statements the patch changes; another number makes the mutant void for
            that kernel.
        absent: series of kernels (``7.2``) whose code has no such place.
    """

    name: str
    side: Side
    title: str
    must: tuple[str, ...]
    may: tuple[str, ...]
    ring: Ring
    file: str
    count: int
    absent: tuple[str, ...]
    scenario: str
    needs: dict[str, str]
    bug: str
    path: Path

    @property
    def marker(self) -> str:
        """The name as the macro's argument."""
        return self.name.replace("-", "_")

    def fits(self, scenario: str, axes: Mapping[str, str]) -> bool:
        """Whether its code runs in this scenario with these values of axes."""
        if scenario != self.scenario or self.ring not in ("both", axes.get("ring", "split")):
            return False
        return all(axes.get(axis, _USUAL[axis]) == value for axis, value in self.needs.items())


def load_mutants(clauses: Collection[str], folder: Path = MUTANTS) -> tuple[Mutant, ...]:
    """Return all mutants of a folder, by name; ``clauses`` are the ids that heads may name.

    Raises: UsageError naming file and line for a head that is not complete, or that names an
        unknown clause.
    """
    return tuple(_read(path, clauses) for path in sorted(folder.glob("*.cocci")))


@cache
def real_bugs() -> dict[str, dict[str, str]]:
    """Return the real bugs that mutants repeat (``mutants/real-bugs.toml``), by key."""
    return dict(TomlFile(MUTANTS / "real-bugs.toml").data)


@cache
def survivors(folder: Path = MUTANTS) -> dict[str, str]:
    """Return the reasons why mutants survive (``mutants/survivors.toml``), by mutant.

    Raises: UsageError for an entry that is not a name with its reason.
    """
    file = TomlFile(folder / "survivors.toml")
    for name, entry in file.data.items():
        if not isinstance(entry, str) or not (folder / f"{name}.cocci").is_file():
            raise file.wrong((name,), "write the name of a mutant and, as text, the reason")
    return dict(file.data)


def _read(path: Path, clauses: Collection[str]) -> Mutant:
    head: dict[str, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = _LINE.fullmatch(line)
        if line.startswith("@"):
            break
        if line.startswith("// SPDX-"):
            continue
        if match is None:
            raise UsageError(f"{path}:{number}: expected '// key: value' before the first @")
        if match["key"] not in _KEYS:
            raise UsageError(f"{path}:{number}: {choice(match['key'], _KEYS, 'key')}")
        if match["key"] in ("must", "may"):
            for clause in match["value"].split():
                if clause not in clauses:
                    raise UsageError(f"{path}:{number}: {choice(clause, clauses, 'clause')}")
        head[match["key"]] = match["value"]
    for key in _REQUIRED:
        if key not in head:
            raise UsageError(f"{path}: the head has no '// {key}: …'")
    if head["ring"] not in get_args(Ring):
        raise UsageError(f"{path}: {choice(head['ring'], get_args(Ring), 'ring')}")
    if (bug := head.get("bug", "")) and bug not in real_bugs():
        raise UsageError(f"{path}: {choice(bug, real_bugs(), 'bug')}")
    if not head["count"].isdigit():
        raise UsageError(f"{path}: count is not a number: {head['count']}")
    side = head.get("side", "driver")
    if side not in get_args(Side):
        raise UsageError(f"{path}: {choice(side, get_args(Side), 'side')}")
    return Mutant(
        name=path.stem,
        side=cast("Side", side),
        title=head["title"],
        must=tuple(head["must"].split()),
        may=tuple(head.get("may", "").split()),
        ring=cast("Ring", head["ring"]),
        file=head["file"],
        count=int(head["count"]),
        absent=tuple(head.get("absent", "").split()),
        scenario=head.get("scenario", "mutant"),
        needs={axis: head.get(axis, usual) for axis, usual in _USUAL.items()},
        bug=bug,
        path=path,
    )
