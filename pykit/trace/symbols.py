# SPDX-License-Identifier: GPL-2.0-only
"""Resolve program counters to symbols by /proc/kallsyms or System.map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pykit.files import exists, read_regular, reason
from pykit.trace.errors import CaptureError

#: Bytes of the largest function; a higher address belongs to no known symbol.
_FARTHEST = 1 << 20
_LINE = r"^([0-9a-f]{16}) [tTwW] ([^\t ]+)"


@dataclass(frozen=True)
class Symbols:
    """Functions by address: ``address`` (u64, ascending) and ``symbol``; may be empty."""

    table: pl.DataFrame

    @classmethod
    def read(cls, path: Path, within: Path | None = None) -> Symbols:
        """Read the symbols from a file below ``within``; none if the file does not exist.

        Raises:
            CaptureError: the file cannot be read.
        """
        text = ""
        if exists(path):
            try:
                text = read_regular(path, within).decode(errors="replace")
            except OSError as error:
                raise CaptureError(f"{path}: cannot be read: {reason(error)}") from error
        lines = pl.Series("line", text.splitlines(), dtype=pl.String)
        groups = lines.str.extract_groups(_LINE).struct.rename_fields(["hex", "symbol"])
        table = groups.struct.unnest().drop_nulls()
        address = table["hex"].str.to_integer(base=16, dtype=pl.UInt64)
        # Several names may share an address: take the first.
        named = table.select("symbol").with_columns(address.alias("address"))
        return cls(named.unique("address", keep="first").sort("address"))

    def of(self, counters: pl.Series) -> pl.Series:
        """Return ``name+offset`` of each program counter (u64); null if unknown."""
        asked = pl.DataFrame({"pc": counters.unique().sort()})
        found = asked.join_asof(self.table, left_on="pc", right_on="address")
        away = pl.col("pc") - pl.col("address")
        name = pl.col("symbol") + "+" + away.cast(pl.String)
        found = found.select("pc", pl.when(away < _FARTHEST).then(name).alias("symbol"))
        return counters.to_frame("pc").join(found, on="pc", how="left", maintain_order="left")[
            "symbol"
        ]
