# SPDX-License-Identifier: GPL-2.0-only
"""One row for each request: the moments of a descriptor chain on both sides, on one clock."""

from __future__ import annotations

import polars as pl

from pykit.trace import Events
from pykit.trace.kinds import INSIDE, JOINED, LEFT, SET_UP

#: A queue of a device, in one life of it.
QUEUE = ("dev", "life", "vq")
#: As long as it was watched without a break.
SPAN = (*QUEUE, "span")

#: The moments of a request, in the order in which they happen; columns of i64 ns.
MOMENTS = (
    "add",  # made available
    "kick",  # the driver decided whether to notify
    "exit",  # the device learns of it
    "pop",  # taken by the device
    "submit",  # handed to what stores the data
    "complete",  # back from there
    "fill",  # used entry written
    "signal",  # interrupt raised
    "interrupt",  # taken by the guest
    "used",  # used entry taken by the driver
    "done",  # the driver's own work is over
)

#: Where a request's time goes: name, the moment it begins and the one it ends. They follow one
#: another where all moments were seen.
STAGES = (
    ("decide", "add", "kick"),
    ("notify", "kick", "exit"),
    ("wake", "exit", "pop"),
    ("parse", "pop", "submit"),
    ("storage", "submit", "complete"),
    ("return", "complete", "fill"),
    ("signal", "fill", "signal"),
    ("deliver", "signal", "interrupt"),
    ("take", "interrupt", "used"),
    ("finish", "used", "done"),
)


def requests(events: Events) -> pl.DataFrame:
    """Return all chains in the order in which they were made available, a row each.

    Columns: ``request`` (number, from 0), ``dev``, ``life``, ``vq``, ``head``, ``chain``
    (descriptors), ``readable`` and ``writable`` (bytes), ``indirect``, ``type``, ``sector``,
    ``bytes`` and ``status`` (block requests), ``notified`` (whether its kick was), ``len`` (of
    its used entry), MOMENTS, then what each of STAGES took (``ns_decide`` …). Moments that
    were not seen are null. So are ``exit`` and ``signal`` where the other side was polling and took
    the chain or entry before its notification, and the device's moments after an absence of the
    observer inside: QEMU's log has no heads, so chains are counted. One kick and one interrupt may
    serve several chains.
    """
    inside = _inside(events)
    adds = _numbered(_of(inside, "add", "head", "chain", "readable", "writable", "indirect"), "add")
    used = _numbered(_of(inside, "used", "head", "len"), "used")
    # A head is used again only after it has come back.
    again = [*SPAN, "head", "turn"]
    rows = adds.join(
        used.select(*again, "len", "used", "used_at", "used_place").unique(again, keep="first"),
        on=again, how="left",
    )  # fmt: skip
    for kind, name, fields in (
        ("blk_start", "start", ("type", "sector", "bytes")),
        ("blk_done", "done", ("status",)),
    ):
        moments = _of(inside, kind, "head", *fields).rename({"time": name})
        moments = moments.select(*again, name, *fields).unique(again, keep="first")
        rows = rows.join(moments, on=again, how="left")
    rows = _before_and_after(rows, inside)
    rows = _device(rows, events.table.filter(pl.col("source") == "qemu"))
    rows = rows.with_columns(
        # The add event follows the publication of the chain: the device may be faster.
        pl.min_horizontal("add", "pop").alias("add"),
        # An earlier notification was for another chain.
        pl.when(pl.col("notified") & (pl.col("kick") <= pl.col("exit"))).then("exit").alias("exit"),
        # A later signal did not cause this interrupt.
        pl.when(pl.col("signal") <= pl.col("interrupt")).then("signal").alias("signal"),
    )
    rows = rows.sort("add", "row").with_row_index("request")
    return rows.select(
        "request", *QUEUE, "head", "chain", "readable", "writable", "indirect",
        "type", "sector", "bytes", "status", "notified", "len", *MOMENTS,
        *((pl.col(end) - pl.col(begin)).alias(f"ns_{name}") for name, begin, end in STAGES),
    )  # fmt: skip


def _inside(events: Events) -> pl.DataFrame:
    """The driver's events that concern a queue, in each queue's order; else the probe's.

    ``span`` counts the times that the queue was set up or joined, ``turn`` those that the head
    (or id) was made available in that span: 0 where it had been before. ``counted`` is whether
    every chain of the queue was seen until then.
    """
    sources = events.table["source"].unique().cast(pl.String).to_list()
    source = next((name for name in (*INSIDE, "tap") if name in sources), "probe")
    queue = pl.all_horizontal(pl.col(name).is_not_null() for name in QUEUE)
    mine = events.table.filter((pl.col("source") == source) & queue)
    marks = pl.when(pl.col("kind") == "queue").then("op")
    begins = marks.is_in((SET_UP, JOINED)).fill_null(False)
    parts = marks.is_in((JOINED, LEFT)).fill_null(False)
    added = pl.col("kind") == "add"
    head = pl.coalesce("head", pl.when(pl.col("kind") == "used").then("id"))
    # The order of a queue's events across CPUs.
    return (
        mine.with_columns(begins.cast(pl.UInt32).cum_sum().over(QUEUE).alias("span"), head=head)
        .sort(*SPAN, "seq", "row")
        .with_columns(
            added.cast(pl.UInt32).cum_sum().over(*SPAN, "head").alias("turn"),
            (parts.cast(pl.UInt32).cum_sum().over(QUEUE) == 0).alias("counted"),
        )
        .with_row_index("at")
    )


def _of(rows: pl.DataFrame, kind: str, *fields: str) -> pl.DataFrame:
    names = [name for name in ("at", "row", *SPAN, "turn", "counted", "time") if name in rows]
    return rows.filter(pl.col("kind") == kind).select(*names, *fields)


def _numbered(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    """Name the event's time and place after it, and count it in its queue where that is certain."""
    place = pl.int_range(pl.len()).over(QUEUE)
    if "counted" in rows:
        place = pl.when("counted").then(place)
    place = place.alias(f"{name}_place")
    return rows.with_columns(place).rename({"time": name, "at": f"{name}_at"})


def _before_and_after(rows: pl.DataFrame, inside: pl.DataFrame) -> pl.DataFrame:
    """The first kick after a chain was added, and the last interrupt before it was taken."""
    kicks = _of(inside, "kick", "needed").select(
        *SPAN, pl.col("at").alias("add_at"), pl.col("time").alias("kick"),
        pl.col("needed").cast(pl.Boolean).alias("notified"),
    )  # fmt: skip
    interrupts = _of(inside, "interrupt").select(
        *SPAN, pl.col("at").alias("used_at"), pl.col("time").alias("interrupt")
    )
    rows = rows.sort("add_at").join_asof(
        kicks.sort("add_at"), on="add_at", by=SPAN, strategy="forward", check_sortedness=False
    )
    back = rows.filter(pl.col("used_at").is_not_null()).sort("used_at")
    back = back.join_asof(
        interrupts.sort("used_at"), on="used_at", by=SPAN, strategy="backward",
        check_sortedness=False,
    )  # fmt: skip
    never = rows.filter(pl.col("used_at").is_null())
    return pl.concat([back, never], how="diagonal_relaxed")


def _device(rows: pl.DataFrame, log: pl.DataFrame) -> pl.DataFrame:
    """The device's moments: the k-th chain is the k-th popped, the k-th used the k-th filled.

    ``exit`` is the queue's last notification before the pop.
    """
    pops = _numbered(_of(log.with_row_index("at"), "dev_pop", "elem"), "pop").rename(
        {"pop_place": "add_place"}
    )
    doorbells = _of(log.with_row_index("at"), "dev_kick").select(
        *QUEUE, pl.col("at").alias("pop_at"), pl.col("time").alias("exit")
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
    pops = pops.sort("pop_at").join_asof(
        doorbells.sort("pop_at"), on="pop_at", by=QUEUE, strategy="backward",
        check_sortedness=False,
    )  # fmt: skip
    # QEMU's request is where its element is; memory serves again once it was freed.
    until = pl.col("pop_at").shift(-1).over("dev", "elem").alias("until")
    pops = pops.with_columns(until)
    for kind, name in (("dev_blk_start", "submit"), ("dev_blk_done", "complete")):
        moments = log.with_row_index("pop_at").filter(pl.col("kind") == kind)
        moments = moments.select(
            "dev", "elem", "pop_at", pl.col("time").alias(name), pl.col("pop_at").alias("moments")
        )
        pops = pops.join_asof(
            moments.sort("pop_at"), on="pop_at", by=["dev", "elem"], strategy="forward",
            check_sortedness=False,
        )  # fmt: skip
        late = pl.col("until").is_not_null() & (pl.col("moments") > pl.col("until"))
        pops = pops.with_columns(pl.when(~late).then(name).alias(name)).drop("moments")
    rows = rows.join(
        pops.select(*QUEUE, "add_place", "exit", "pop", "submit", "complete"),
        on=[*QUEUE, "add_place"], how="left",
    )  # fmt: skip
    return rows.join(
        fills.select(*QUEUE, "used_place", "fill", "signal"), on=[*QUEUE, "used_place"], how="left"
    )
