# SPDX-License-Identifier: GPL-2.0-only
"""Rows that are mixed of the table's: several spoils, any moment and size; and smaller ones."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from pykit.drive.cases import Case, CaseRow, When
from pykit.drive.rows import Layout, Table
from pykit.drive.spoil import Where

_SIZES = (4, 8, 16, 64, 256)
#: Most spoils of one row.
_MOST = 3
#: Rows whose buffer lies over the rings: what the device then reads there is its own data, so
#: that nothing is known of a second chain.
_OVER_RINGS = "address-of-"


@dataclass(frozen=True)
class MixedRow:
    """One case, by the rows that it is mixed of and one choice of each axis.

    Attributes:
        parts: rows whose spoils are done in turn; none for a plain request.
        ahead: how many buffers stand in the ring before an indirect table.
    """

    parts: tuple[CaseRow, ...]
    where: Where
    when: When
    ring: Layout
    table: Table
    size: int
    ahead: int = 0

    @property
    def legal(self) -> bool:
        """Whether it conforms."""
        return all(part.legal for part in self.parts)

    def row(self, name: str) -> CaseRow:
        """Return it as a row of the table that has one case."""
        spoils = [part.spoil for part in self.parts] or ["nothing"]
        right: list[str] = []
        if any(part.right for part in self.parts):
            right = list(dict.fromkeys(c for part in self.parts for c in part.accepted))
        return CaseRow.model_validate(
            {
                "name": name,
                "does": " ".join(part.does for part in self.parts) or "A plain request.",
                "clause": self.parts[0].clause if self.parts else "MF-DE-01",
                "legal": self.legal,
                "right": right,
                "spoil": spoils[0],
                "also": spoils[1:],
                "where": [self.where],
                "when": [self.when],
                "rings": [self.ring],
                "tables": [self.table],
                "sizes": [self.size],
                "ahead": self.ahead,
            }
        )

    def case(self, name: str) -> Case:
        """Return its case."""
        return Case(self.row(name), self.where, self.when, self.ring, self.table, self.size)

    def smaller(self) -> Iterator[MixedRow]:
        """Rows that have one thing less, or one that is more common."""
        for at in range(len(self.parts)):
            yield replace(self, parts=self.parts[:at] + self.parts[at + 1 :])
        simple: dict[str, object] = {
            "ahead": 0, "when": "first", "size": 16, "where": "first", "table": "direct",
            "ring": "split",
        }  # fmt: skip
        for field, value in simple.items():
            other = replace(self, **{field: value})  # type: ignore[arg-type]
            if other != self and other._possible:
                yield other

    @property
    def _possible(self) -> bool:
        fits = all(self.ring in p.rings and self.table in p.tables for p in self.parts)
        return fits and (not self.ahead or (self.ring, self.table) == ("split", "indirect"))


def generate(rows: Sequence[CaseRow], seed: int) -> Iterator[MixedRow]:
    """Mix rows without end; the seed decides all of them.

    Rows that need features or a start of their own, or change the chain later, are left out.
    """
    rows = [row for row in rows if not (row.then or row.accept or row.refuse or row.start)]
    chance = random.Random(seed)
    while True:
        first = chance.choice(rows)
        ring, table = chance.choice(first.rings), chance.choice(first.tables)
        over_rings = first.spoil.startswith(_OVER_RINGS)
        others = [
            row
            for row in rows
            if ring in row.rings and table in row.tables and not row.spoil.startswith(_OVER_RINGS)
        ]
        count = 0 if over_rings else chance.randint(0, min(_MOST - 1, len(others)))
        mixed = MixedRow(
            (first, *chance.sample(others, count)),
            chance.choice(first.where),
            "first" if over_rings else chance.choice(get_args(When)),
            ring,
            table,
            chance.choice(_SIZES),
            first.ahead,
        )
        if mixed._possible:
            yield mixed


def as_toml(row: CaseRow) -> str:
    """Write a row as files of cases have it."""
    lines = ["[[case]]"]
    for key, value in row.model_dump(exclude_defaults=True).items():
        lines.append(f"{key} = {json.dumps(value)}")
    return "\n".join(lines) + "\n"
