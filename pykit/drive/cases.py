# SPDX-License-Identifier: GPL-2.0-only
"""Cases as a table: what is spoilt, where, when, in which layout (cases/*.toml)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pykit import spec
from pykit.drive.access import RegisterCase, RegisterRow
from pykit.drive.blk_rows import BlkCase, BlkRow
from pykit.drive.features import mask
from pykit.drive.messages import MessageCase, MessageRow
from pykit.drive.reconnect import ReconnectCase, ReconnectRow
from pykit.drive.rows import AnyCase, Layout, Table, TableRow
from pykit.drive.shaped import ShapedCase, ShapedRow
from pykit.drive.spoil import Where
from pykit.drive.spoil_rings import SPOILS
from pykit.errors import UsageError
from pykit.paths import ROOT
from pykit.spec.clauses import CLAUSES
from pykit.toml import TomlFile, choice

CASES = ROOT / "cases"
#: How the clause of a row of messages begins.
_PROTOCOL = "vhost-user: "
#: Moments of the spoilt chain: the first of its life, after five that were served, with three
#: good ones in flight, or across the end of the ring.
When = Literal["first", "later", "in-flight", "at-end"]


class CaseRow(TableRow):
    """A row of the table of chains and rings.

    Attributes:
        spoil: the function that does it, of pykit/drive/spoil.py.
        also: more of them, done after it at the same place.
        where: which descriptors are changed, one case each.
        when: at which moments, one case each.
        rings: for which layouts.
        tables: with descriptors in the ring, in an indirect table, or both in turn.
        sizes: queue sizes, one case each.
        ahead: how many buffers stand in the ring before an indirect table (split rings).
        then: a function that changes the chain once it was made available and notified.
        accept: features that the device has to offer.
        refuse: features that are left alone.
        start: the index that the rings begin with (split rings by vhost-user).
    """

    spoil: str = "nothing"
    also: list[str] = Field([])
    where: list[Where] = Field(["first"])
    when: list[When] = Field(["first"])
    rings: list[Layout] = Field(["split", "packed"])
    tables: list[Table] = Field(["direct", "indirect"])
    sizes: list[int] = Field([16])
    ahead: int = 0
    then: str = ""
    accept: list[str] = Field([])
    refuse: list[str] = Field([])
    start: int = 0

    @field_validator("accept", "refuse")
    @classmethod
    def _features(cls, features: list[str]) -> list[str]:
        mask(features)
        return features


class Tables(BaseModel):
    """Rows of all tables, or of one file.

    Attributes:
        case: chains and rings.
        access: accesses to registers.
        message: messages of vhost-user.
        blk: block requests.
        reconnect: reconnections of vhost-user.
        shaped: requests of other devices.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    case: list[CaseRow] = []
    access: list[RegisterRow] = []
    message: list[MessageRow] = []
    blk: list[BlkRow] = []
    reconnect: list[ReconnectRow] = []
    shaped: list[ShapedRow] = []

    @property
    def rows(self) -> tuple[TableRow, ...]:
        """All of them."""
        chains = (*self.case, *self.access, *self.message, *self.blk)
        return (*chains, *self.reconnect, *self.shaped)


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
        """TableRow and choices, such as ``next-itself/last/first/split/direct/16``."""
        parts = (self.row.name, self.where, self.when, self.ring, self.table, str(self.size))
        return "/".join(parts)


def read_tables(paths: Iterable[Path] | None = None) -> Tables:
    """Read all rows of cases/*.toml, or of these files.

    Raises:
        UsageError: a file has an unknown key, spoil, step or clause, or a name twice.
    """
    tables: dict[str, list[TableRow]] = {}
    names: set[str] = set()
    for path in sorted(CASES.glob("*.toml")) if paths is None else paths:
        file = TomlFile(path)
        try:
            found = Tables.model_validate(file.data)
        except ValidationError as error:
            first = error.errors()[0]
            raise file.wrong(tuple(first["loc"]), first["msg"]) from None
        for table in type(found).model_fields:
            rows: list[TableRow] = getattr(found, table)
            for number, row in enumerate(rows):
                _check(file, (table, number), row, names)
            tables.setdefault(table, []).extend(rows)
    return Tables.model_validate(tables)


def _check(file: TomlFile, place: tuple[str, int], row: TableRow, seen: set[str]) -> None:
    """Refuse a name that is there twice, and names that nothing has."""
    if row.name in seen:
        raise file.wrong((*place, "name"), f"a second row is called {row.name!r}")
    seen.add(row.name)
    if isinstance(row, CaseRow):
        for key, names in (("spoil", [row.spoil]), ("also", row.also), ("then", [row.then])):
            for name in filter(None, names):
                if name not in SPOILS:
                    raise file.wrong((*place, key), choice(name, SPOILS, "spoil"))
    rules = {rule.id for rule in spec.rules()}
    if strange := [name for name in row.breaks if name not in rules]:
        raise file.wrong((*place, "breaks"), choice(strange[0], rules, "rule"))
    if isinstance(row, (MessageRow, ReconnectRow)):
        if not row.clause.startswith(_PROTOCOL):
            raise file.wrong((*place, "clause"), f"name a message: '{_PROTOCOL}SET_OWNER'")
    elif row.clause not in {*CLAUSES, *rules}:
        raise file.wrong((*place, "clause"), f"unknown clause {row.clause!r}")


def expand(tables: Tables, only: Iterable[str] = ()) -> Iterator[AnyCase]:
    """Make all cases of the rows whose names match one of the patterns, if there are any.

    Raises:
        UsageError: a pattern matches no case.
    """
    patterns = list(only)
    matched: set[str] = set()
    for case in _all(tables):
        fits = {p for p in patterns if fnmatchcase(case.name, p) or p == case.row.name}
        matched |= fits
        if fits or not patterns:
            yield case
    if strange := [pattern for pattern in patterns if pattern not in matched]:
        raise UsageError(f"no case matches {strange[0]!r}: `pykit drive --list` lists all")


def _all(tables: Tables) -> Iterator[AnyCase]:
    for row in tables.case:
        axes = product(row.rings, row.tables, row.sizes, row.when, row.where)
        for ring, table, size, when, where in axes:
            yield Case(row, where, when, ring, table, size)
    for access in tables.access:
        yield RegisterCase(access)
    for message in tables.message:
        yield MessageCase(message)
    for blk in tables.blk:
        for ring, table, size in product(blk.rings, blk.tables, blk.sizes):
            yield BlkCase(blk, ring, table, size)
    for reconnect in tables.reconnect:
        for ring in reconnect.rings:
            yield ReconnectCase(reconnect, ring)
    for shaped in tables.shaped:
        yield ShapedCase(shaped)
