# SPDX-License-Identifier: GPL-2.0-only
"""Cases as a table: what is spoilt, where, when, in which layout (cases/*.toml)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pykit.drive.outcome import Class
from pykit.drive.spoil import SPOILS, Where
from pykit.errors import UsageError
from pykit.paths import ROOT
from pykit.spec.clauses import CLAUSES
from pykit.toml import TomlFile, choice

CASES = ROOT / "cases"
#: Moments of the spoilt chain: the first of its life, after five that were served, with three
#: good ones in flight, or across the end of the ring.
When = Literal["first", "later", "in-flight", "at-end"]
Layout = Literal["split", "packed"]
Table = Literal["direct", "indirect"]

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)


class CaseRow(BaseModel):
    """A row of the table.

    Attributes:
        name: of the row.
        does: what is wrong with the chain, or legal and rare, in words.
        clause: id of the clause that is broken, or used.
        spoil: the function that does it, of pykit/drive/spoil.py.
        legal: the request conforms, and has to be served.
        right: classes that are right for it; by default those of a legal or a malformed chain.
        where: which descriptors are changed, one case each.
        when: at which moments, one case each.
        rings: for which layouts.
        tables: with descriptors in the ring, in an indirect table, or both in turn.
        sizes: queue sizes, one case each.
        ahead: how many buffers stand in the ring before an indirect table (split rings).
    """

    model_config = _STRICT

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    does: str
    clause: str
    spoil: str = "nothing"
    legal: bool = False
    right: list[Class] = []
    where: list[Where] = ["first"]
    when: list[When] = ["first"]
    rings: list[Layout] = ["split", "packed"]
    tables: list[Table] = ["direct", "indirect"]
    sizes: list[int] = [16]
    ahead: int = 0

    @property
    def accepted(self) -> tuple[Class, ...]:
        """The classes that are right."""
        if self.right:
            return tuple(self.right)
        return ("handled",) if self.legal else ("handled", "rejected", "stopped", "exited")


class _File(BaseModel):
    """A file of rows."""

    model_config = _STRICT

    case: list[CaseRow]


@dataclass(frozen=True)
class Case:
    """A row with one choice of each of its axes."""

    row: CaseRow
    where: Where
    when: When
    ring: Layout
    table: Table
    size: int

    @property
    def name(self) -> str:
        """Row and choices, such as ``next-itself/last/first/split/direct/16``."""
        parts = (self.row.name, self.where, self.when, self.ring, self.table, str(self.size))
        return "/".join(parts)


def read_rows(paths: Iterable[Path] | None = None) -> tuple[CaseRow, ...]:
    """Read all rows of cases/*.toml, or of these files.

    Raises:
        UsageError: a file has an unknown key, spoil, clause, or a name twice.
    """
    rows: dict[str, CaseRow] = {}
    for path in sorted(CASES.glob("*.toml")) if paths is None else paths:
        file = TomlFile(path)
        try:
            found = _File.model_validate(file.data).case
        except ValidationError as error:
            first = error.errors()[0]
            raise file.wrong(tuple(first["loc"]), first["msg"]) from None
        for number, row in enumerate(found):
            place = ("case", number)
            if row.name in rows:
                raise file.wrong((*place, "name"), f"a second row is called {row.name!r}")
            if row.spoil not in SPOILS:
                raise file.wrong((*place, "spoil"), choice(row.spoil, SPOILS, "spoil"))
            if row.clause not in CLAUSES:
                raise file.wrong((*place, "clause"), f"unknown clause {row.clause!r}")
            rows[row.name] = row
    return tuple(rows.values())


def expand(rows: Iterable[CaseRow], only: Iterable[str] = ()) -> Iterator[Case]:
    """Make all cases of the rows whose names match one of the patterns, if there are any.

    Raises:
        UsageError: a pattern matches no case.
    """
    patterns = list(only)
    matched: set[str] = set()
    for row in rows:
        axes = product(row.rings, row.tables, row.sizes, row.when, row.where)
        for ring, table, size, when, where in axes:
            case = Case(row, where, when, ring, table, size)
            fits = {p for p in patterns if fnmatchcase(case.name, p) or p == row.name}
            matched |= fits
            if fits or not patterns:
                yield case
    if strange := [pattern for pattern in patterns if pattern not in matched]:
        raise UsageError(f"no case matches {strange[0]!r}: `pykit drive --list` lists all")
