# SPDX-License-Identifier: GPL-2.0-only
"""The events of a virtio core that has trace events of its own (upstream/), as those of a driver.

The core's have no device's life, and no second reading at a decision: both follow from what it has.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from pykit.trace.frames import Frames
from pykit.trace.kinds import BASE, KINDS, SET_UP

#: The system of these events, what names begin with, and kinds that have another name.
SYSTEM, PREFIX = "virtio_ring", "virtqueue_"
RENAMED = {"state": "queue"}
#: The stage of a driver that its observer joined (enum pykit_stage): its negotiation is not seen.
_JOINED = 7


def completed(frames: Frames) -> Frames:
    """Return the events with what follows from them."""
    kick = frames.own.get("kick")
    if kick is not None:
        # The core decides by what it has read: that is the last reading as well.
        kick = kick.with_columns(event_after="event", flags_after="flags")
        frames = replace(frames, own={**frames.own, "kick": kick})
    return _with_lives(frames) if "queue" in frames.own else frames


def _with_lives(frames: Frames) -> Frames:
    """Add the event ``driver`` in front of the first queue that a driver sets up."""
    base, queue = frames.base, frames.own["queue"]
    queues = queue.join(base.select("row", "dev"), on="row").sort("row")
    before = pl.col("op").shift(1).over("dev")
    first = queues.filter((pl.col("op") == SET_UP) & ((before != SET_UP) | before.is_null()))
    number = pl.col("row").cast(pl.Int64)
    begun = base.filter(pl.col("row").is_in(first["row"].implode())).with_columns(
        pl.lit(None, BASE["vq"]).alias("vq"),
        pl.lit("driver", base.schema["kind"]).alias("kind"),
        (2 * number - 1).alias("key"),
    )
    merged = pl.concat([base.with_columns((2 * number).alias("key")), begun]).sort("key")
    merged = merged.with_columns(pl.int_range(pl.len(), dtype=pl.UInt32).alias("place"))
    there = merged.filter(pl.col("key") % 2 == 0).select("row", "place")
    own = {
        kind: rows.join(there, on="row", maintain_order="left")
        .with_columns(row="place")
        .drop("place")
        for kind, rows in frames.own.items()
    }
    added = merged.filter(pl.col("key") % 2 != 0).select("row", "place")
    driver = added.join(first.select("row", "id"), on="row").sort("place")
    types = KINDS["driver"]
    own["driver"] = driver.select(
        pl.col("place").alias("row"),
        pl.col("id").cast(types["id"]),
        pl.lit(0, types["err"]).alias("err"),
        pl.lit(_JOINED, types["stage"]).alias("stage"),
    )
    own["queue"] = own["queue"].drop("id")
    return replace(frames, base=merged.with_columns(row="place").drop("place", "key"), own=own)
