# SPDX-License-Identifier: GPL-2.0-only
"""The ring watcher's entries to rows: what stood in avail and used rings.

``rings.npy`` has the entries, ``rings.json`` whose they are and what may have been missed
(pykit/observe/ringwatch.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from pykit.trace.errors import CaptureError
from pykit.trace.losses import Loss, shorten

_DRIVER_OK = 4


@dataclass(frozen=True)
class Entries:
    """Rows, each queue's avail and each queue's used entries in their order, and what was lost."""

    rows: pl.DataFrame
    losses: tuple[Loss, ...]


def read_rings(capture: Path, numbers: Mapping[str, int], host: pl.DataFrame) -> Entries:
    """Decode what the ring watcher left in ``capture``.

    ``numbers`` are the ``dev`` numbers by device id; ``host`` are the rows of QEMU's log, whose
    statuses say which life a watch was in.

    Raises:
        CaptureError: a file cannot be read.
    """
    path = capture / "rings.npy"
    try:
        entries = np.load(path)
        told = json.loads((capture / "rings.json").read_text())
        watches = [
            (numbers.get(w["device"]), w["queue"], w["set_up_ns"], w["ended_ns"], w["device"])
            for w in told["watches"]
        ]
        lost = [(int(one["watch"]), int(one["count"]), str(one["why"])) for one in told["lost"]]
        frame = pl.DataFrame({name: entries[name] for name in entries.dtype.names})
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise CaptureError(f"{path}, rings.json: cannot be read: {error}") from error
    losses = []
    for number, count, why in lost:
        queue = f"queue {watches[number][1]} of {watches[number][4]}: " if number >= 0 else ""
        losses.append(Loss(count, f"{path}: {queue}{why}"))
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
    return Entries(rows, tuple(shorten(losses)))
