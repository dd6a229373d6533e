# SPDX-License-Identifier: GPL-2.0-only
"""Decode the ring watcher's entries of avail and used rings.

``rings.npy`` has the entries, ``rings.json`` their queues and what may have been missed
(pykit/observe/ringwatch.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from pykit.files import open_regular, reason
from pykit.trace.errors import CaptureError
from pykit.trace.losses import Loss, shorten
from pykit.trace.values import as_object, get, integer, load_json, objects

_DRIVER_OK = 4
#: Fields of an entry (ENTRY in pykit/observe/ringwatch.py) with their types.
_ENTRY = {
    "before": "<i8", "ts": "<i8", "id": "<u4", "len": "<u4",
    "watch": "<u2", "index": "<u2", "used": "|u1",
}  # fmt: skip


@dataclass(frozen=True)
class WatchedEntries:
    """Rows with the avail and used entries of each queue in order, and losses."""

    rows: pl.DataFrame
    losses: tuple[Loss, ...]


def read_rings(capture: Path, numbers: Mapping[str, int], host: pl.DataFrame) -> WatchedEntries:
    """Decode the ring watcher's files in ``capture``.

    ``numbers`` are the ``dev`` numbers by device id; ``host`` are the rows of QEMU's log, whose
    statuses decide in which life a watch was.

    Raises:
        CaptureError: a file cannot be read, or the two do not belong together.
    """
    path = capture / "rings.npy"
    entries = _read_entries(path, capture)
    account = capture / "rings.json"
    where = str(account)
    data = as_object(load_json(account, capture), where)
    watches = [_watch(watch, numbers, where) for watch in objects(data, "watches", where)]
    strangers = np.count_nonzero(entries["watch"] >= len(watches))
    if strangers:
        raise CaptureError(
            f"{path}: {strangers} entries of a watch that {account.name} does not have:"
            " the capture is damaged, run it again"
        )
    losses = []
    for entry in objects(data, "lost", where):
        number = integer(entry, "watch", f"{account}: lost", -1, len(watches) - 1)
        count = integer(entry, "count", f"{account}: lost", 0)
        queue = f"queue {watches[number][1]} of {watches[number][4]}: " if number >= 0 else ""
        why = get(entry, "why", str, f"{account}: lost")
        losses.append(Loss(count, f"{path}: {queue}{why}"))
    frame = pl.DataFrame({name: entries[name] for name in _ENTRY})
    begun = host.filter(
        pl.col("kind") == "dev_status", pl.col("status") & _DRIVER_OK != 0
    ).drop_nulls("life")
    lives = [
        begun.filter(pl.col("dev") == dev, pl.col("ts") <= set_up)["life"].last()
        if dev is not None and begun.filter(pl.col("dev") == dev, pl.col("ts") <= set_up).height
        else None
        for dev, _, set_up, _, _ in watches
    ]
    owners = pl.DataFrame(
        {
            "watch": np.arange(len(watches), dtype=np.uint16),
            "dev": [watch[0] for watch in watches],
            "life": lives,
            "vq": [watch[1] for watch in watches],
            "ended": [watch[3] or None for watch in watches],
        },
        schema_overrides={
            "dev": pl.Int64, "life": pl.Int64, "vq": pl.Int64, "ended": pl.Int64,
        },
    )  # fmt: skip
    frame = frame.join(owners, on="watch", how="left", maintain_order="left")
    late = frame.filter(pl.col("ts") >= pl.col("ended"))
    for (number,), seen in late.group_by("watch", maintain_order=True):
        where = f"queue {watches[int(str(number))][1]} of {watches[int(str(number))][4]}"
        losses.append(
            Loss(seen.height, f"{path}: {where}: indices moved between the last look and the reset")
        )
    mine = frame.filter(
        pl.col("dev").is_not_null(), (pl.col("ts") < pl.col("ended")).fill_null(True)
    )
    used = pl.col("used") == 1
    rows = mine.select(
        "ts",
        pl.lit("rings").alias("source"),
        pl.when(used).then(pl.lit("ring_used")).otherwise(pl.lit("ring_avail")).alias("kind"),
        "dev", "life", "vq",
        pl.col("before").cast(pl.UInt64),
        pl.when(~used).then("id").alias("head"),
        pl.when(~used).then((pl.col("index").cast(pl.Int64) + 1) % 65536).alias("avail_idx"),
        pl.when(used).then("id").alias("id"),
        pl.when(used).then("len").alias("len"),
        pl.when(used).then("index").alias("index"),
    )  # fmt: skip
    return WatchedEntries(rows, tuple(shorten(losses)))


def _read_entries(path: Path, within: Path) -> npt.NDArray[Any]:
    """Read the .npy file of entries; raises CaptureError for any other content."""
    try:
        with open_regular(path, within) as file:
            version = np.lib.format.read_magic(file)
            if version != (1, 0):
                raise ValueError(f"version {version} of numpy's format")
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            data = file.read()
    # numpy evaluates the header as a Python literal, so damage there fails in many ways.
    except (
        OSError, ValueError, TypeError, KeyError, SyntaxError, RecursionError, TokenError,
    ) as error:  # fmt: skip
        raise CaptureError(f"{path}: cannot be read: {reason(error)}") from error
    if dtype.names is None or not _ENTRY.items() <= {n: dtype[n].str for n in dtype.names}.items():
        raise CaptureError(f"{path}: not entries of the ring watcher: run the capture again")
    if len(shape) != 1 or shape[0] * dtype.itemsize != len(data):
        raise CaptureError(
            f"{path}: {len(data)} bytes of entries, shape {shape} of {dtype.itemsize} bytes each"
            " was promised: the capture is damaged, run it again"
        )
    return np.frombuffer(data, dtype)


def _watch(
    watch: dict[str, Any], numbers: Mapping[str, int], where: str
) -> tuple[int | None, int, int, int, str]:
    """Return (dev, queue, set-up time, end or 0, device id) of one watch."""
    device = get(watch, "device", str, where)
    return (
        numbers.get(device),
        integer(watch, "queue", where, 0, 0xFFFF),
        integer(watch, "set_up_ns", where),
        integer(watch, "ended_ns", where, 0),
        device,
    )
