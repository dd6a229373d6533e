# SPDX-License-Identifier: GPL-2.0-only
"""A few numbers of a capture, by which two matrices are compared."""

from __future__ import annotations

import polars as pl

from pykit.trace import Events
from pykit.trace.kinds import INSIDE

_QUEUE = ("dev", "life", "vq")


def metrics(events: Events) -> dict[str, float]:
    """Of all queues of the driver's side (its own account or the probe's).

    ``requests``: chains that were made available and came back; ``latency_us_p50``: from the one to
    the other, guest's time; ``notifications_per_request`` and ``interrupts_per_request``. Empty
    where no request came back.
    """
    added = _counted(events, "add").rename({"time": "added"})
    used = _counted(events, "used")
    pairs = added.join(used, on=[*_QUEUE, "head", "turn"])
    if pairs.is_empty():
        return {}
    count = pairs.height
    latency = (pairs["time"] - pairs["added"]).median()
    kicks = _driver(events, "kick")
    interrupts = _driver(events, "interrupt").filter(pl.col("vq").is_not_null())
    assert isinstance(latency, int | float)
    return {
        "requests": float(count),
        "latency_us_p50": round(latency / 1000, 3),
        "notifications_per_request": round(kicks.filter(pl.col("needed") == 1).height / count, 4),
        "interrupts_per_request": round(interrupts.height / count, 4),
    }


def _driver(events: Events, kind: str) -> pl.DataFrame:
    return events.of(kind).filter(pl.col("source").cast(pl.String).is_in(INSIDE))


def _counted(events: Events, kind: str) -> pl.DataFrame:
    """Events of a kind, each with the head and how often that had occurred in its queue."""
    head = "head" if kind == "add" else "id"
    rows = _driver(events, kind).select("time", *_QUEUE, pl.col(head).alias("head"))
    turn = pl.int_range(pl.len()).over(*_QUEUE, "head").alias("turn")
    return rows.with_columns(turn)
