# SPDX-License-Identifier: GPL-2.0-only
"""Events that a tap between front-end and back-end wrote down (pykit/tap).

A folder ``tap-DEVICE`` of a capture has a file of records for each kind, but for those that are
made of chains, and ``columns.json`` with their layout: pairs of a column and its struct code. The
tap sees the rings themselves, so that it uses the kinds of a driver; where a guest's own trace has
the driver's side already, its events become the back-end's side.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from pykit.files import open_regular, reason
from pykit.trace import tapped_chains
from pykit.trace.errors import CaptureError
from pykit.trace.kinds import BASE, JOINED, KINDS, SET_UP, Dtype, columns_of
from pykit.trace.losses import Loss
from pykit.trace.tapped_chains import CHAIN, DESCRIPTOR, OF_CHAIN, OF_DESCRIPTOR
from pykit.trace.values import as_object, load_json

#: Kinds of a tap's events.
TAPPED = (
    "driver", "features", "queue", "add", "desc", "kick", "notify", "used", "callback",
    "interrupt", "blk_start", "blk_done", "vhost_signal", "dev_config_signal",
)  # fmt: skip
#: Those of a back-end that are made of them.
BACK_END = (
    "vhost_attach", "vhost_queue", "vhost_get", "vhost_used", "vhost_blk", "vhost_signal",
)  # fmt: skip
COLUMNS = "columns.json"
PREFIX = "tap-"
#: The queue of an event that concerns none.
NO_QUEUE = 0xFFFF

_OWN = ("row", "ts", "life", "vq", "seq")
#: Columns without which a file is none, where those are not an event's own.
_NEEDED = {
    CHAIN: (*_OWN, *(name for name, _ in OF_CHAIN)),
    DESCRIPTOR: tuple(name for name, _ in OF_DESCRIPTOR),
}
_CODES: dict[Dtype, str] = {
    pl.UInt8: "B", pl.UInt16: "H", pl.UInt32: "I", pl.UInt64: "Q", pl.Int32: "i", pl.Int64: "q",
}  # fmt: skip


def layouts() -> dict[str, list[tuple[str, str]]]:
    """Return the files that a tap writes: columns in the order of a record, with struct codes."""
    own = [(name, _CODES[BASE[name]]) for name in _OWN]
    found = {
        kind: [*own, *((name, _CODES[dtype]) for name, dtype in KINDS[kind].items())]
        for kind in TAPPED
        if kind not in tapped_chains.MADE
    }
    return found | {CHAIN: [*own, *OF_CHAIN], DESCRIPTOR: [*OF_DESCRIPTOR]}


def folders(capture: Path) -> dict[str, Path]:
    """Return the folders of all taps of a capture, by device id."""
    found = sorted(path for path in capture.glob(f"{PREFIX}*") if path.is_dir())
    return {path.name.removeprefix(PREFIX): path for path in found}


def read_tap(folder: Path, dev: int) -> tuple[pl.DataFrame, list[Loss]]:
    """Read the events of one device, in their order; records that are cut off are losses.

    Raises:
        CaptureError: a file is missing, cannot be read, or is none of a tap's.
    """
    where = folder / COLUMNS
    stored = as_object(load_json(where, folder), str(where))
    if strange := set(stored) - {*TAPPED, CHAIN, DESCRIPTOR}:
        raise CaptureError(f"{where}: unknown kind {min(strange)!r}: the capture is damaged")
    found: dict[str, tapped_chains.Records] = {}
    losses = []
    for kind in stored:
        path = folder / f"{kind}.bin"
        dtype = _record(stored[kind], _NEEDED.get(kind, _OWN), where)
        try:
            with open_regular(path, folder) as file:
                data = file.read()
        except OSError as error:
            raise CaptureError(f"{path}: cannot be read: {reason(error)}") from error
        if len(data) % dtype.itemsize:
            losses.append(Loss(1, f"{path}: the last record is cut off"))
        found[kind] = np.frombuffer(data[: len(data) - len(data) % dtype.itemsize], dtype)
    chains, descriptors = (found.pop(name, None) for name in (CHAIN, DESCRIPTOR))
    parts = [_frame(kind, rows) for kind, rows in found.items() if len(rows)]
    if chains is not None and descriptors is not None and len(chains):
        parts += tapped_chains.expand(chains, descriptors)
    if not parts:
        return pl.DataFrame(schema={"row": pl.UInt32, "kind": pl.String}), losses
    table = pl.concat(parts, how="diagonal_relaxed").sort("row")
    missing = int(table["row"][-1]) + 1 - table.height
    if missing:
        losses.append(Loss(missing, f"{folder}: {missing} events were not written"))
    return table.with_columns(
        pl.lit(dev).cast(BASE["dev"]).alias("dev"), pl.lit("tap").alias("source")
    ), losses


def _record(layout: object, needed: Iterable[object], where: Path) -> np.dtype[np.void]:
    try:
        pairs = [(str(name), f"<{code}") for name, code in layout]  # type: ignore[attr-defined]
        dtype = np.dtype([(name, np.dtype(code).newbyteorder("<")) for name, code in pairs])
    except (TypeError, ValueError) as error:
        raise CaptureError(f"{where}: no layout of records: {reason(error)}") from error
    if not {*needed} <= {*(dtype.names or ())}:
        raise CaptureError(f"{where}: no layout of records: the capture is damaged")
    return dtype


def _frame(kind: str, rows: np.ndarray[tuple[int], np.dtype[np.void]]) -> pl.DataFrame:
    frame = pl.DataFrame({name: rows[name] for name in rows.dtype.names or ()})
    queue = pl.col("vq") != NO_QUEUE
    return frame.with_columns(
        pl.lit(kind).alias("kind"),
        *(pl.when(queue).then(name).alias(name) for name in ("vq", "seq")),
    )


def from_outside(rows: pl.DataFrame, statuses: pl.DataFrame) -> pl.DataFrame:
    """Return a tap's events as those of a back-end, beside a driver that has its own trace.

    Args:
        rows: as ``read_tap`` returns them, of one device.
        statuses: rows of QEMU's log, which say in which life of the device a tap's life was.
    """
    made = list(_back_end_rows(rows))
    if not made:
        return rows.clear()
    lives = _lives(rows, statuses)
    return (
        pl.concat(made, how="diagonal_relaxed")
        .sort("row")
        .with_columns(pl.col("life").replace_strict(lives, default=None, return_dtype=pl.UInt32))
        .filter(pl.col("life").is_not_null())
        .drop("row")
    )


def _lives(rows: pl.DataFrame, statuses: pl.DataFrame) -> Mapping[int, int]:
    """By a tap's life: the device's, the one whose driver had begun last before it."""
    dev = rows["dev"][0]
    begun = (
        statuses.filter(
            pl.col("kind") == "dev_status", pl.col("dev") == dev, pl.col("status") & 2 != 0
        )
        .drop_nulls("life")
        .select("ts", "life")
    )
    found = {}
    for life, first in rows.group_by("life").agg(pl.col("ts").min()).iter_rows():
        before = begun.filter(pl.col("ts") <= first)["life"]
        if len(before):
            found[life] = before[-1]
    return found


def _back_end_rows(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Rows of kinds ``vhost_…``: of split rings alone, whose indices those kinds have."""
    if "queue" not in set(rows["kind"].unique().to_list()):
        return
    lacking = {n: t for n, t in columns_of(TAPPED, {}).items() if n not in rows.columns}
    wide = rows.with_columns(pl.lit(None, dtype).alias(name) for name, dtype in lacking.items())
    packed = wide.filter(kind="queue", layout=1).select("life", "vq").unique()
    mine = wide.join(packed, on=("life", "vq"), how="anti", nulls_equal=True)
    base = ("row", "ts", "source", "dev", "life", "vq", "seq")

    def of(kind: str, name: str, *columns: pl.Expr | str) -> pl.DataFrame:
        chosen = mine.filter(kind=kind)
        return chosen.select(*base, pl.lit(name).alias("kind"), *columns)

    queues = mine.filter(pl.col("kind") == "queue", pl.col("op").is_in((SET_UP, JOINED)))
    features = wide.filter(kind="features").unique("life", keep="last")
    yield queues.select(
        *base, pl.lit("vhost_queue").alias("kind"), "size", "avail_idx", "used_idx"
    ).join(
        features.select("life", pl.col("acked").alias("features")), on="life", how="inner"
    )  # fmt: skip
    yield queues.unique("life", keep="first", maintain_order=True).select(
        "row", "ts", "source", "dev", "life", pl.lit("vhost_attach").alias("kind"),
        pl.col("dev").alias("serves"), pl.lit(0, pl.UInt8).alias("ended"),
    )  # fmt: skip
    index = pl.col("avail_idx").cast(pl.Int64)
    yield of(
        "add", "vhost_get", "readable", "writable", "head", ((index - 1) % 65536).alias("avail_idx")
    ).join(_elements(mine), on="row", how="left")
    yield (
        mine.with_columns(
            pl.col("avail_idx").forward_fill().over("life", "vq"),
            ((pl.col("index").cast(pl.Int64) + 1) % 65536).alias("used_idx"),
        )
        .filter(kind="used")
        .select(*base, pl.lit("vhost_used").alias("kind"), "id", "len", "used_idx", "avail_idx")
    )
    yield of("blk_done", "vhost_blk", "sector", "type", "len", "head", "status")
    yield of("vhost_signal", "vhost_signal", *KINDS["vhost_signal"])
    yield of("dev_config_signal", "dev_config_signal")


def _elements(rows: pl.DataFrame) -> pl.DataFrame:
    """By row of an ``add``: counts of its readable (``out``) and writable buffers (``in``)."""
    chain = pl.when(pl.col("kind") == "add").then("row").forward_fill().over("life", "vq")
    write, table = (pl.col("flags").cast(pl.Int64) & bit for bit in (2, 4))
    return (
        rows.with_columns(chain.alias("chain"))
        .filter(pl.col("kind") == "desc", (pl.col("table") == 1) | (table == 0))
        .group_by(pl.col("chain").alias("row"))
        .agg((write != 0).sum().alias("in"), (write == 0).sum().alias("out"))
    )
