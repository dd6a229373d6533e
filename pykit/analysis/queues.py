# SPDX-License-Identifier: GPL-2.0-only
"""Statistics of each virtqueue: notifications, batches, depth, and time by stage."""

from __future__ import annotations

import polars as pl

from pykit.analysis.requests import QUEUE, STAGES
from pykit.trace import Events
from pykit.trace.kinds import INSIDE

#: What several stages come to, seen or not: on the way there, on the way back, all of it.
WAYS = (("there", "add", "pop"), ("back", "fill", "used"), ("whole", "add", "used"))
QUANTILES = (0.5, 0.9, 0.99)


def queues(events: Events, requests: pl.DataFrame) -> pl.DataFrame:
    """A row for each queue that carried anything, in order.

    Columns: QUEUE, ``requests``, ``bytes``, ``notifications`` and ``interrupts`` (each of
    them per request as well: ``…_per_request``), ``suppressed`` (share of kicks that found no
    notification needed, null without a kick), ``chains_per_kick``, ``used_per_interrupt``,
    ``depth`` (mean of those outstanding when one is added, itself included) and ``deepest``.
    """
    sources = set(events.table["source"].unique().cast(pl.String).to_list())
    source = next((name for name in (*INSIDE, "tap") if name in sources), "probe")
    mine = events.table.filter((pl.col("source") == source) & pl.col("vq").is_not_null())

    def count(kind: str) -> pl.Expr:
        return (pl.col("kind") == kind).sum()

    counts = mine.group_by(QUEUE).agg(
        count("notify").alias("notifications"),
        count("interrupt").alias("interrupts"),
        count("kick").alias("kicks"),
        ((pl.col("kind") == "kick") & (pl.col("needed") == 0)).sum().alias("unneeded"),
    )
    carried = requests.group_by(QUEUE).agg(
        pl.len().alias("requests"), (pl.col("readable") + pl.col("writable")).sum().alias("bytes")
    )
    rows = carried.join(counts, on=QUEUE, how="left").join(_depth(mine), on=QUEUE, how="left")

    def ratio(above: str, below: str, name: str) -> pl.Expr:
        return pl.when(pl.col(below) > 0).then(pl.col(above) / pl.col(below)).alias(name)

    return rows.sort(QUEUE).select(
        *QUEUE,
        "requests",
        "bytes",
        "notifications",
        "interrupts",
        ratio("notifications", "requests", "notifications_per_request"),
        ratio("interrupts", "requests", "interrupts_per_request"),
        ratio("unneeded", "kicks", "suppressed"),
        ratio("requests", "kicks", "chains_per_kick"),
        ratio("requests", "interrupts", "used_per_interrupt"),
        "depth",
        "deepest",
    )


def _depth(mine: pl.DataFrame) -> pl.DataFrame:
    steps = mine.filter(pl.col("kind").is_in(["add", "used"])).sort(*QUEUE, "seq", "row")
    step = pl.when(pl.col("kind") == "add").then(1).otherwise(-1)
    steps = steps.with_columns(step.cum_sum().over(QUEUE).alias("depth"))
    return (
        steps.filter(pl.col("kind") == "add")
        .group_by(QUEUE)
        .agg(pl.col("depth").mean(), pl.col("depth").max().alias("deepest"))
    )


def stages(requests: pl.DataFrame) -> pl.DataFrame:
    """Where the time went: QUEUE, ``stage``, ``count``, and ns at QUANTILES (``p50`` …).

    A stage counts the requests that went through it: a device that is at work takes a chain
    before the driver has decided whether to notify it.
    """
    parts = []
    for name, begin, end in (*STAGES, *WAYS):
        spent = requests.select(*QUEUE, (pl.col(end) - pl.col(begin)).alias("ns")).drop_nulls("ns")
        parts.append(
            spent.group_by(QUEUE).agg(
                pl.lit(name).alias("stage"),
                pl.len().alias("count"),
                *(pl.col("ns").quantile(q).alias(f"p{q * 100:g}") for q in QUANTILES),
            )
        )
    order = {name: number for number, (name, _, _) in enumerate((*STAGES, *WAYS))}
    rows = pl.concat(parts)
    return rows.sort(*QUEUE, pl.col("stage").replace_strict(order))
