# SPDX-License-Identifier: GPL-2.0-only
"""The event table: both sides of every virtqueue, typed, in one polars frame."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from pykit.trace.align import Alignment, align
from pykit.trace.capture import CaptureInfo
from pykit.trace.errors import BadTableError
from pykit.trace.kinds import BASE, KINDS, SOURCE_TYPE, Dtype, columns_of, kind_type

_META = "pykit"
_VERSION = 2


@dataclass(frozen=True)
class Events:
    """All events of one capture.

    Attributes:
        table: one row an event, one column a field; null where a kind does not
            have the field. Base columns: ``row`` (position), ``ts`` (ns;
            guest rows in the trace clock, QEMU's rows in the host's wall
            clock, null where the log has no times), ``source``, ``kind``,
            ``cpu`` (guest), ``pid`` (guest task, or QEMU thread), ``dev``,
            ``life``, ``vq``, ``seq``. Order: the guest's rows by (ts, cpu),
            then QEMU's rows in log order. ``time`` is one clock for both, the
            guest's (ns); null for QEMU's rows where it cannot be had.
        lost: how many events are missing, at least one a known loss; an upper
            bound, as two counters may see the same loss.
        losses: one line each, says where.
        capture: what was run.
        devices: ``dev`` number of every device id of the capture.
        fields: columns of each kind beyond the base columns.
        alignment: how QEMU's ``time`` was found, with its error; or why it was not.
    """

    table: pl.DataFrame
    lost: int
    losses: tuple[str, ...]
    capture: CaptureInfo
    devices: dict[str, int]
    fields: dict[str, tuple[str, ...]]
    alignment: Alignment | str = "not aligned"

    @property
    def clocks(self) -> str:
        """Whether the two sides have one clock, and how well: one line."""
        if isinstance(self.alignment, str):
            return f"clocks not aligned: {self.alignment}"
        return self.alignment.line()

    def of(self, *kinds: str) -> pl.DataFrame:
        """Rows of these kinds, with the base columns and these kinds' own.

        The columns depend on the kinds only, so that a rule finds them even
        where the capture has no such event.

        Raises:
            KeyError: no such kind.
        """
        columns = [*_ALWAYS]
        for kind in kinds:
            columns += [name for name in self.fields[kind] if name not in columns]
        return self.table.filter(pl.col("kind").is_in(kinds)).select(columns)

    def write_parquet(self, path: Path) -> None:
        """Save the table with everything else in the file's metadata."""
        meta = {
            "version": _VERSION,
            "lost": self.lost,
            "losses": self.losses,
            "capture": self.capture.to_json(),
            "devices": self.devices,
            "fields": self.fields,
            "alignment": (
                self.alignment if isinstance(self.alignment, str) else asdict(self.alignment)
            ),
        }
        self.table.write_parquet(path, metadata={_META: json.dumps(meta)})

    @classmethod
    def read_parquet(cls, path: Path) -> Events:
        """Read what ``write_parquet`` wrote.

        Raises:
            BadTableError: not such a file, or of another version.
            BadJsonError, UnknownSchemaError: its capture information is damaged.
        """
        try:
            meta = json.loads(pl.read_parquet_metadata(path)[_META])
            table = pl.read_parquet(path)
            if meta["version"] != _VERSION:
                raise BadTableError(
                    f"{path}: version {meta['version']}, this pykit reads {_VERSION}"
                )
            return cls(
                table=table,
                lost=meta["lost"],
                losses=tuple(meta["losses"]),
                capture=CaptureInfo.from_json(meta["capture"], str(path)),
                devices=meta["devices"],
                fields={kind: tuple(names) for kind, names in meta["fields"].items()},
                alignment=(
                    Alignment(**meta["alignment"])
                    if isinstance(meta["alignment"], dict)
                    else str(meta["alignment"])
                ),
            )
        except (OSError, PolarsError, ValueError, KeyError, TypeError) as error:
            raise BadTableError(
                f"{path}: not an event table of pykit ({error}); decode the capture again"
            ) from error


#: The base columns in the table's order.
_ALWAYS = ("row", "ts", "time", "source", "kind", "cpu", "pid", "dev", "life", "vq", "seq")


def build_table(
    parts: list[pl.DataFrame], extra: dict[str, dict[str, Dtype]]
) -> tuple[pl.DataFrame, dict[str, tuple[str, ...]]]:
    """The wide table of ``parts``, in their order, and the columns of each kind.

    Every column of every known kind is there whether or not it has values.
    """
    kind_column = kind_type(extra)
    kinds = kind_column.categories.to_list()
    union = columns_of(kinds, extra)
    first = {"ts": pl.Int64(), "source": SOURCE_TYPE, "kind": kind_column}
    types: dict[str, pl.DataType | Dtype] = {**first, **BASE, **union}
    del types["row"]
    table = pl.concat(
        part.select(
            pl.col(name).cast(dtype)
            if name in part.columns
            else pl.lit(None, dtype=dtype).alias(name)
            for name, dtype in types.items()
        )
        for part in parts
    ).with_row_index("row")
    fields = {
        kind: tuple(
            dict.fromkeys(
                name for name in (*KINDS.get(kind, {}), *extra.get(kind, {})) if name not in BASE
            )
        )
        for kind in kinds
    }
    return table.with_columns(pl.col("row").cast(BASE["row"])), fields


def one_clock(table: pl.DataFrame, lost: int) -> tuple[pl.DataFrame, Alignment | str]:
    """The table with ``time`` filled in, the guest's clock for both sides; and how it was found."""
    found = align(table, lost)
    host = pl.lit(None, dtype=pl.Int64) if isinstance(found, str) else found.to_guest(table["ts"])
    qemu = pl.col("source") == "qemu"
    return table.with_columns(pl.when(qemu).then(host).otherwise("ts").alias("time")), found
