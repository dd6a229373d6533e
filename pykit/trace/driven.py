# SPDX-License-Identifier: GPL-2.0-only
"""Events that a driver of the kit wrote down itself (pykit/drive), as a Parquet file.

The file has one row an event, in their order, with the base columns that the driver knows and a
column for each field of the kinds that occur.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from pykit.files import read_regular, reason
from pykit.trace.errors import CaptureError
from pykit.trace.frames import Frames
from pykit.trace.kinds import BASE, KINDS, SOURCE_TYPE, columns_of, source_of

#: Its name in a capture.
FILE = "driven.parquet"
#: QEMU's log beside it, where the device is one of QEMU's and was logged.
LOG = "qemu.log"
#: Observers whose events it has: registers, rings and PCI's configuration space were seen as the
#: driver accessed them.
_SOURCES = ("driver", "registers", "survey", "access", "qemu")
#: Columns of the base that the driver writes.
_OWN = ("row", "ts", "cpu", "pid", "dev", "life", "vq", "seq")


def write_driven(path: Path, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Write events, by kind, each with the base columns and its kind's own."""
    parts = [_frame(kind, found) for kind, found in rows.items() if found]
    table = (
        pl.concat(parts, how="diagonal_relaxed")
        if parts
        else pl.DataFrame(schema={"kind": pl.String})
    )
    if parts:
        table = table.sort("row")
    table.write_parquet(path)


def _frame(kind: str, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    schema = {name: BASE[name] for name in _OWN} | dict(KINDS[kind])
    columns = {name: [row.get(name) for row in rows] for name in schema}
    return pl.DataFrame(columns, schema=schema).with_columns(pl.lit(kind).alias("kind"))


def read_driven(capture: Path, logged: pl.DataFrame | None = None) -> Frames:
    """Read the events of ``capture``, with those that QEMU logged among them.

    Raises:
        CaptureError: it is no such file, or has a kind, a column or a device that is unknown.
    """
    path = capture / FILE
    try:
        table = pl.read_parquet(BytesIO(read_regular(path, capture)))
    except (OSError, PolarsError, ValueError) as error:
        raise CaptureError(f"{path}: cannot be read: {reason(error)}") from error
    wrong = _wrong(table)
    if wrong:
        raise CaptureError(f"{path}: {wrong}: the capture is damaged, drive the device again")
    if logged is not None:
        table = _merged(table, logged)
    kinds = [str(kind) for kind in table["kind"].unique()]
    types = columns_of(kinds, {})
    fields = {kind: tuple(KINDS[kind]) for kind in kinds}
    source = pl.col("kind").replace_strict(
        {kind: source_of(kind) for kind in kinds}, return_dtype=pl.String
    )
    table = table.with_columns(
        source.cast(SOURCE_TYPE).alias("source"),
        *(pl.lit(None, types[name]).alias(name) for name in types if name not in table.columns),
    )
    table = table.with_columns(pl.col(name).cast(dtype) for name, dtype in types.items())
    return Frames.split(table, fields, types)


def _merged(table: pl.DataFrame, logged: pl.DataFrame) -> pl.DataFrame:
    """Put what QEMU logged among the driver's events.

    What a device does at its reset, which QEMU logs where it begins, belongs to the life before:
    the next status shows that it is over.
    """
    lives = table.select("ts", "life").drop_nulls()
    status = pl.col("kind") == "dev_status"
    reset = pl.when(status & (pl.col("status") == 0)).then("ts").forward_fill()
    begun = pl.when(status & (pl.col("status") != 0)).then(reset).forward_fill()
    mine = logged.drop("life", "source").sort("ts", maintain_order=True)
    mine = mine.with_columns(begun=begun).join_asof(
        lives, left_on="begun", right_on="ts", check_sortedness=False, coalesce=True
    )
    mine = mine.drop("begun", "ts_right")
    table = pl.concat([table, mine], how="diagonal_relaxed").sort("ts", maintain_order=True)
    return table.with_columns(row=pl.int_range(pl.len(), dtype=pl.UInt32))


def _wrong(table: pl.DataFrame) -> str:
    """What is not as ``write_driven`` writes it; empty if all is."""
    known = {*_OWN, "kind", *columns_of(KINDS, {})}
    if strange := [name for name in table.columns if name not in known]:
        return f"unknown column {strange[0]!r}"
    if lacking := [name for name in (*_OWN, "kind") if name not in table.columns]:
        return f"no column {lacking[0]}"
    for kind in table["kind"].unique().to_list():
        if kind not in KINDS or source_of(str(kind)) not in _SOURCES:
            return f"unknown kind {kind!r}"
    for name, dtype in {name: BASE[name] for name in _OWN}.items():
        if table.schema[name] != dtype:
            return f"column {name} is {table.schema[name]}"
    if not (table["row"] == pl.int_range(table.height, dtype=pl.UInt32, eager=True)).all():
        return "rows are not numbered in order"
    if table["dev"].null_count() or table.filter(pl.col("dev") != 0).height:
        return "events of more than one device"
    return ""
