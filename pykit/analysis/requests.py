# SPDX-License-Identifier: GPL-2.0-only
"""One request, one row: what became of a descriptor chain, on both sides, on one clock."""

from __future__ import annotations

import polars as pl

from pykit.trace import Events

#: A queue of a device, in one life of it.
QUEUE = ("dev", "life", "vq")

#: The moments of a request, in the order in which they happen; columns of i64 ns.
MOMENTS = (
    "add",  # made available
    "kick",  # the driver decided whether to notify
    "pop",  # taken by the device
    "submit",  # handed to what stores the data
    "complete",  # back from there
    "fill",  # used entry written
    "signal",  # interrupt raised
    "interrupt",  # taken by the guest
    "used",  # used entry taken by the driver
    "done",  # the driver's own work is over
)


def requests(events: Events) -> pl.DataFrame:
    """All chains in the order in which they were made available, a row each.

    Columns: ``request`` (number, from 0), ``dev``, ``life``, ``vq``, ``head``, ``chain``
    (descriptors), ``readable`` and ``writable`` (bytes), ``indirect``, ``type``, ``sector``,
    ``bytes`` and ``status`` (block requests), ``notified`` (whether its kick was), ``len`` (of
    its used entry), then MOMENTS. What was not seen is null, as is ``signal`` where the driver
    was at work already and took the entry before it was told of it. One kick and one interrupt
    may serve several chains.
    """
    inside = _inside(events)
    adds = _numbered(_of(inside, "add", "head", "chain", "readable", "writable", "indirect"), "add")
    used = _numbered(_of(inside, "used", "id", "len").rename({"id": "head"}), "used")
    used = used.with_columns(pl.col("head").cast(pl.UInt16))
    # A head is used again only after it has come back: the n-th of both belong together.
    again = [*QUEUE, "head", "turn"]
    turn = pl.int_range(pl.len()).over([*QUEUE, "head"]).alias("turn")
    rows = adds.with_columns(turn).join(
        used.with_columns(turn).select(*again, "len", "used", "used_at", "used_place"),
        on=again, how="left",
    )  # fmt: skip
    for kind, name, fields in (
        ("blk_start", "start", ("type", "sector", "bytes")),
        ("blk_done", "done", ("status",)),
    ):
        told = _of(inside, kind, "head", *fields).rename({"time": name})
        told = told.with_columns(turn).select(*again, name, *fields)
        rows = rows.join(told, on=again, how="left")
    rows = _before_and_after(rows, inside)
    rows = _device(rows, events.table.filter(pl.col("source") == "qemu"))
    # One that came later was not what had the guest interrupted.
    own = pl.when(pl.col("signal") <= pl.col("interrupt")).then("signal").alias("signal")
    rows = rows.with_columns(own).sort("add", "row").with_row_index("request")
    return rows.select(
        "request", *QUEUE, "head", "chain", "readable", "writable", "indirect",
        "type", "sector", "bytes", "status", "notified", "len", *MOMENTS,
    )  # fmt: skip


def _inside(events: Events) -> pl.DataFrame:
    """The driver's events that concern a queue, in each queue's order; else the probe's."""
    sources = events.table["source"].unique().cast(pl.String).to_list()
    source = "driver" if "driver" in sources else "probe"
    queue = pl.all_horizontal(pl.col(name).is_not_null() for name in QUEUE)
    mine = events.table.filter((pl.col("source") == source) & queue)
    # The order of a queue's events, whatever CPU they were on.
    return mine.sort(*QUEUE, "seq", "row").with_row_index("at")


def _of(inside: pl.DataFrame, kind: str, *fields: str) -> pl.DataFrame:
    return inside.filter(pl.col("kind") == kind).select("at", "row", *QUEUE, "time", *fields)


def _numbered(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    """Name the event's time and place after it, and count it in its queue."""
    place = pl.int_range(pl.len()).over(QUEUE).alias(f"{name}_place")
    return rows.with_columns(place).rename({"time": name, "at": f"{name}_at"})


def _before_and_after(rows: pl.DataFrame, inside: pl.DataFrame) -> pl.DataFrame:
    """The first kick after a chain was added, and the last interrupt before it was taken."""
    kicks = _of(inside, "kick", "needed").select(
        *QUEUE, pl.col("at").alias("add_at"), pl.col("time").alias("kick"),
        pl.col("needed").cast(pl.Boolean).alias("notified"),
    )  # fmt: skip
    interrupts = _of(inside, "interrupt").select(
        *QUEUE, pl.col("at").alias("used_at"), pl.col("time").alias("interrupt")
    )
    rows = rows.sort("add_at").join_asof(
        kicks.sort("add_at"), on="add_at", by=QUEUE, strategy="forward", check_sortedness=False
    )
    back = rows.filter(pl.col("used_at").is_not_null()).sort("used_at")
    back = back.join_asof(
        interrupts.sort("used_at"), on="used_at", by=QUEUE, strategy="backward",
        check_sortedness=False,
    )  # fmt: skip
    never = rows.filter(pl.col("used_at").is_null())
    return pl.concat([back, never], how="diagonal_relaxed")


def _device(rows: pl.DataFrame, log: pl.DataFrame) -> pl.DataFrame:
    """The device's moments: the k-th chain is the k-th popped, the k-th used the k-th filled."""
    pops = _numbered(_of(log.with_row_index("at"), "dev_pop", "elem"), "pop").rename(
        {"pop_place": "add_place"}
    )
    fills = _numbered(_of(log.with_row_index("at"), "dev_fill"), "fill").rename(
        {"fill_place": "used_place"}
    )
    signals = _of(log.with_row_index("at"), "dev_signal").select(
        *QUEUE, pl.col("at").alias("fill_at"), pl.col("time").alias("signal")
    )
    fills = fills.sort("fill_at").join_asof(
        signals.sort("fill_at"), on="fill_at", by=QUEUE, strategy="forward",
        check_sortedness=False,
    )  # fmt: skip
    pops = pops.sort("pop_at")
    # QEMU's request is where its element is; memory serves again once it was freed.
    until = pl.col("pop_at").shift(-1).over("dev", "elem").alias("until")
    pops = pops.with_columns(until)
    for kind, name in (("dev_blk_start", "submit"), ("dev_blk_done", "complete")):
        told = log.with_row_index("pop_at").filter(pl.col("kind") == kind)
        told = told.select(
            "dev", "elem", "pop_at", pl.col("time").alias(name), pl.col("pop_at").alias("told")
        )
        pops = pops.join_asof(
            told.sort("pop_at"), on="pop_at", by=["dev", "elem"], strategy="forward",
            check_sortedness=False,
        )  # fmt: skip
        late = pl.col("until").is_not_null() & (pl.col("told") > pl.col("until"))
        pops = pops.with_columns(pl.when(~late).then(name).alias(name)).drop("told")
    rows = rows.join(
        pops.select(*QUEUE, "add_place", "pop", "submit", "complete"),
        on=[*QUEUE, "add_place"], how="left",
    )  # fmt: skip
    return rows.join(
        fills.select(*QUEUE, "used_place", "fill", "signal"), on=[*QUEUE, "used_place"], how="left"
    )
