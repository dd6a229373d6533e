# SPDX-License-Identifier: GPL-2.0-only
"""Queues that only the device's log shows: what it took and did not return."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from pykit.spec.arrays import WRAP
from pykit.spec.owed import carries_requests
from pykit.spec.standstill import Standstill, host_end, name_of
from pykit.spec.view import View


def logged_standstills(view: View, traced: set[int]) -> Iterator[Standstill]:
    """Yield queues of devices whose driver is not traced, with elements popped and not filled."""
    known = pl.col("dev").is_not_null() & ~pl.col("dev").is_in(list(traced))
    frame = view.of("dev_pop", "dev_fill", "dev_status").filter(known)
    reset = (pl.col("kind") == "dev_status") & (pl.col("status") == 0)
    since_reset = frame.filter(
        pl.col("row") > pl.col("row").filter(reset).max().over("dev").fill_null(-1)
    )
    popped = pl.col("kind") == "dev_pop"
    open_ = (
        since_reset.filter((pl.col("kind") != "dev_status") & pl.col("vq").is_not_null())
        .with_columns(pl.when(popped).then(1).otherwise(-1).alias("step"))
        .with_columns(pl.col("step").sum().over("dev", "vq", "elem").alias("open"))
        .filter((pl.col("open") > 0) & popped)
        .group_by("dev", "vq", "elem")
        .agg(pl.col("row", "ts", "life", "open", "avail_idx").last())
        .group_by("dev", "vq")
        .agg(
            pl.col("open").sum(),
            pl.col("life").last(),
            pl.col("row", "ts", "avail_idx").sort_by("row").first(),
        )
        .sort("dev", "vq")
    )
    end = host_end(view)
    for event in open_.iter_rows(named=True):
        dev, life, vq = event["dev"], event["life"], event["vq"]
        if event["ts"] is None:
            continue
        yield Standstill(
            dev=dev,
            life=life,
            vq=vq,
            device=name_of(view, dev),
            state="held",
            turn="device",
            count=event["open"],
            index=(event["avail_idx"] - 1) % WRAP,
            fact="it took the chain and did not return it",
            ns=max(end - event["ts"], 0),
            rows=(event["row"],),
            requests=carries_requests(view.life(dev, life or 0).id, vq),
        )
