# SPDX-License-Identifier: GPL-2.0-only
"""Events as frames: what all of them have in one, what a kind has of its own in one of its own.

One wide table of all kinds would be null nearly everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from pykit.trace.kinds import BASE, Dtype


@dataclass(frozen=True)
class Frames:
    """Rows of events.

    Attributes:
        base: what every event has, one row each, with ``row`` (their position, u32) and ``kind``.
        own: the fields of each kind, with ``row``, in that order; kinds may be absent.
        types: of all columns that any kind has of its own.
    """

    base: pl.DataFrame
    own: dict[str, pl.DataFrame]
    types: Mapping[str, Dtype | pl.DataType]

    @classmethod
    def split(
        cls,
        wide: pl.DataFrame,
        fields: Mapping[str, Iterable[str]],
        types: Mapping[str, Dtype | pl.DataType],
    ) -> Frames:
        """From one table of all kinds, with ``row``; ``fields`` are each kind's own."""
        base = wide.select(name for name in wide.columns if name not in types)
        own = {
            str(kind): wide.filter(kind=kind).select("row", *fields[str(kind)])
            for kind in base["kind"].drop_nulls().unique().cast(pl.String)
        }
        return cls(base, own, types)

    def own_of(self, *kinds: str, names: Iterable[str] = (), ordered: bool = True) -> pl.DataFrame:
        """The rows of these kinds with their own fields; null where one has it not.

        In order, unless the caller has one of his own.

        There is a column for each of ``names`` even where no such kind has it.
        """
        parts = [self.own[kind] for kind in kinds if kind in self.own]
        if len(parts) == 1:
            own = parts[0]
        elif parts:
            own = pl.concat(parts, how="diagonal")
            own = own.sort("row") if ordered else own
        else:
            own = pl.DataFrame(schema={"row": BASE["row"]})
        lack = [name for name in names if name not in own.columns]
        return own.with_columns(pl.lit(None, self.types[name]).alias(name) for name in lack)

    def of(self, *kinds: str) -> pl.DataFrame:
        """The same with what every event has."""
        own = self.own_of(*kinds)
        return self.base[own["row"]].hstack(own.drop("row"))

    def wide(self) -> pl.DataFrame:
        """One table of all events with all columns that any kind has."""
        own = self.own_of(*self.own, names=self.types).select("row", *self.types)
        if own.height == self.base.height:
            return self.base.hstack(own.drop("row"))
        return self.base.join(own, on="row", how="left", maintain_order="left")

    def rows_as_dicts(self, rows: Iterable[int]) -> list[dict[str, Any]]:
        """Return these rows in order, each without its null columns."""
        chosen = pl.Series("row", sorted(rows), dtype=BASE["row"])
        found = []
        for event in self.base[chosen].iter_rows(named=True):
            own = self.own.get(event["kind"])
            if own is not None:
                event |= own.row(own["row"].search_sorted(event["row"]), named=True)
            found.append({name: value for name, value in event.items() if value is not None})
        return found
