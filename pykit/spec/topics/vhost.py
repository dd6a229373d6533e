# SPDX-License-Identifier: GPL-2.0-only
"""A vhost back-end's own tracepoints: the chains that it gets from a queue and returns.

They are a second observer of clauses that the driver's events decide too, for devices whose
driver is not traced. All but DX-38 are added to the rules of the clause's topic.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from pykit.spec import bits
from pykit.spec.arrays import WRAP, are, first_of, ints, need_event
from pykit.spec.model import Result, rule
from pykit.spec.rows import Row, Rows
from pykit.spec.view import View

_NAME = ("dev", "life", "vq")

#: A chain overtaken by so many that were taken later counts as dropped. A device may return
#: chains in any order; 256 is as many as a ring of QEMU's default size holds.
OVERTAKEN = 256


def _ordered(view: View, *kinds: str) -> pl.DataFrame:
    """Events of these kinds, each queue's in its exact order (``at``)."""
    known = pl.all_horizontal(pl.col(name).is_not_null() for name in _NAME)
    frame = view.of(*kinds).filter(known).sort(*_NAME, pl.coalesce("seq", "row"))
    return frame.with_row_index("at")


def _queue(row: Row) -> str:
    return f"vhost device {row['dev']}, life {row['life']}, queue {row['vq']}"


def _rows(frame: pl.DataFrame) -> Rows:
    return Rows.of_frame(frame, _queue)


def returned(view: View, *, again: bool) -> Result:
    """Check used ids against heads taken: ``again`` for double returns, else for ids not taken."""
    if "vhost_used" not in view.kinds or not view.recorded("vhost_get"):
        return Result(0)
    frame = _ordered(view, "vhost_get", "vhost_used")
    used = are(frame, "vhost_used")
    head = np.where(used, ints(frame, "id"), ints(frame, "head"))
    queue = ints(frame.select(pl.struct(*_NAME).rle_id().alias("q")), "q")
    # All events of a head of a queue, in their order: an entry follows the get that it returns.
    order = np.lexsort((ints(frame, "at"), head, queue))
    first = first_of(queue[order]) | first_of(head[order])
    after_used = np.zeros(len(order), dtype=np.bool_)
    after_used[1:] = used[order][:-1]
    after_used &= ~first
    wrong = np.zeros(len(order), dtype=np.bool_)
    wrong[order] = after_used if again else after_used | first
    text = "was returned before and not taken since" if again else "is not outstanding"
    entries = _rows(frame).plus(wrong=wrong).where(used)
    return entries.check(~entries["wrong"], "{queue}: used id {id} " + text)


def used_ahead(view: View) -> Result:
    """Check the used index against the available one, as both stood in memory.

    The difference is bounded by the queue size of the start that an entry belongs to, which is
    taken for as large as can be where that start was not seen.

    Contested is what comes after the driver took its index back, or further ahead than the ring
    is long, within one start: the difference of the two says nothing about the device then.
    """
    if "vhost_used" not in view.kinds:
        return Result(0)
    frame = _ordered(view, "vhost_queue", "vhost_used")
    start = (pl.col("kind") == "vhost_queue").cast(pl.Int64).cum_sum().over(_NAME).alias("start")
    size = pl.col("size").forward_fill().over(_NAME).fill_null(WRAP // 2)
    frame = frame.with_columns(size, start).filter(pl.col("avail_idx").is_not_null())
    wide = [pl.col(name).cast(pl.Int64) for name in ("avail_idx", "used_idx", "size")]
    frame = frame.with_columns(wide)
    avail = pl.col("avail_idx")
    step = (avail - avail.shift(1).over(*_NAME, "start") + WRAP // 2) % WRAP - WRAP // 2
    ahead = (avail - pl.col("used_idx")) % WRAP
    # The used index may be ahead by as much as the ring is long: that is the device's doing.
    leapt = (ahead > pl.col("size")) & (ahead < WRAP - pl.col("size"))
    broken = ((step < 0) | (step > pl.col("size")) | leapt).fill_null(False)
    broken = (broken.cast(pl.Int64).cum_sum().over(*_NAME, "start") > 0).alias("broken")
    entries = _rows(frame.with_columns(broken).filter(pl.col("kind") == "vhost_used"))
    return entries.check(
        (entries["avail_idx"] - entries["used_idx"]) % WRAP <= entries["size"],
        "{queue}: used idx {used_idx}, avail idx {avail_idx}",
        unless=entries["broken"] == 1,
    )


def starts(view: View) -> Result:
    """Check that a device begins at index 0 where it first serves a queue of a driver's life."""
    if "vhost_queue" not in view.kinds:
        return Result(0)
    served = view.of("vhost_attach").filter(pl.col("ended") == 0).select("dev", "life").unique()
    frame = _ordered(view, "vhost_queue").unique(_NAME, keep="first", maintain_order=True)
    frame = frame.join(served, on=["dev", "life"], how="semi")
    begun = _rows(frame)
    return begun.check(
        (begun["avail_idx"] == 0) & (begun["used_idx"] == 0),
        "{queue}: the device begins at avail idx {avail_idx}, used idx {used_idx}",
    )


def _served(view: View) -> pl.DataFrame:
    """Used entries in order, each with the chain that it returns and the request in it.

    Columns: those of vhost_used, ``writable`` (bytes), ``type`` and ``status`` of the block
    request. Entries whose chain or request was not traced are left out.
    """
    frame = _ordered(view, "vhost_get", "vhost_blk", "vhost_used")
    frame = frame.with_columns(
        pl.coalesce("id", "head").alias("chain"), (pl.col("kind") == "vhost_get").alias("taken")
    )
    # Heads are reused: the n-th get of a head belongs to its n-th entry.
    turn = pl.col("taken").cast(pl.Int64).cum_sum().over(*_NAME, "chain").alias("turn")
    frame = frame.with_columns(turn)
    key = [*_NAME, "chain", "turn"]
    taken = frame.filter("taken").select(*key, "writable")
    request = frame.filter(pl.col("kind") == "vhost_blk").select(*key, "type", "status")
    return (
        frame.filter(pl.col("kind") == "vhost_used")
        .drop("writable", "type", "status")
        .join(taken, on=key)
        .join(request.unique(key, keep="last"), on=key)
        .filter(pl.col("writable").is_not_null())
        .sort("at")
    )


def lengths(view: View, *, served: bool) -> Result:
    """Check used lens: at most the writable bytes, or (``served``) all of them after success."""
    if "vhost_used" not in view.kinds:
        return Result(0)
    frame = view.keep("vhost served", _served)
    if served:
        frame = frame.filter(pl.col("status") == bits.S_OK)
    entries = _rows(frame)
    length, room, kind = entries["len"], entries["writable"], entries["type"]
    # Data to read fills what is writable; else there is to be the status alone.
    laid_out = (kind == bits.T_IN) | (room == np.where(kind == bits.T_GET_ID, bits.ID_BYTES + 1, 1))
    return entries.check(
        length >= room if served else length <= room,
        "{queue}: used len {len}, writable {writable} bytes",
        unless=~laid_out if served else False,
    )


def _decisions(view: View) -> pl.DataFrame:
    """Decisions to signal the driver, each with the used index at it and at the one before.

    Further columns: ``before`` and ``now`` (used indices; before the first decision of a start
    there is none), ``agrees`` (up to here the index moved by as many as there are entries, or the
    decision needs no index).
    A back-end's own ``old`` and ``new`` count only where an observer that is no part of it made
    them, a tap.
    """
    frame = _ordered(view, "vhost_queue", "vhost_used", "vhost_signal")
    kind, place = pl.col("kind"), (*_NAME, "start")
    start = (kind == "vhost_queue").cast(pl.Int64).cum_sum().over(_NAME).alias("start")
    index = pl.col("used_idx").cast(pl.Int64)
    frame = frame.with_columns(start).with_columns(
        index.forward_fill().over(place).alias("now"),
        pl.when(kind == "vhost_queue").then(index).forward_fill().over(place).alias("begun"),
        (kind == "vhost_used").cast(pl.Int64).cum_sum().over(place).alias("returned"),
    )
    frame = frame.filter((kind == "vhost_signal") & pl.col("sent").is_not_null())
    offset = ((pl.col("now") - pl.col("returned")) % WRAP).alias("offset")
    frame = frame.with_columns(offset, pl.col("now").shift(1).over(place).alias("before"))
    moved = pl.col("offset") != pl.coalesce("begun", pl.col("offset").first().over(place))
    ahead = moved.fill_null(False).cast(pl.Int64).cum_sum().over(place) > 0
    own, known = pl.col("source") != "vhost", pl.col("valid") == 1
    old, new = (pl.col(name).cast(pl.Int64) for name in ("old", "new"))
    return frame.with_columns(
        pl.when(own).then(pl.when(known).then(old)).otherwise("before").alias("before"),
        pl.when(own).then(new).otherwise("now").alias("now"),
        (own | ~ahead | (pl.col("event_idx") == 0)).alias("agrees"),
    ).filter(pl.col("before").is_not_null() & (pl.col("now") != pl.col("before")))


def signals(view: View, *, requested: bool, event_idx: bool | None = None) -> Result:
    """Check decisions to signal the driver, of those that it requested or suppressed.

    Each is compared with the value that the back-end read for it, so that there is no window. The
    first decision after a start is left out: it has no index to count new entries from. The
    entries that it is about are those in the used ring since the decision before.
    """
    if "vhost_signal" not in view.kinds:
        return Result(0)
    # A tap has the indices of its own decisions.
    if not view.recorded("vhost_used") and "vhost" in view.observers:
        count = view.of("vhost_signal").height
        return Result(0, undecided=count, doubt="used entries were not recorded")
    frame = view.keep("vhost decisions", _decisions)
    if event_idx is not None:
        frame = frame.filter(pl.col("event_idx") == event_idx)
    decisions = _rows(frame)
    event = decisions["event"]
    wanted = np.where(
        decisions["event_idx"] == 1,
        need_event(event, decisions["now"], decisions["before"]),
        event & 1 == 0,
    )
    decisions = decisions.where(wanted == requested)
    # A device whose index and entries differ breaks DX-03, and is not to be asked which counts.
    judged = decisions.where(decisions["agrees"] == 1)
    text = "and no signal" if requested else "and a signal that was suppressed"
    return judged.check(
        (judged["sent"] == 1) == requested,
        "{queue}: used entries {before} to {now}, " + text,
        undecided=len(decisions) - len(judged),
        doubt="the used index moved by another number than entries were returned",
    )


@rule("DX-38", needs=("vhost:vhost_get", "vhost:vhost_used"))
def all_are_returned(view: View) -> Result:
    """Section 2.7.8: each chain that the device takes is returned, in whatever order.

    Checked: each chain that a vhost back-end took.

    Undecided: a chain that was not returned and that fewer than 256 later ones have overtaken:
    the device may still be at work on it when the trace ends.
    """
    frame = _ordered(view, "vhost_get", "vhost_used").with_columns(
        (pl.col("kind") == "vhost_get").alias("taken"), pl.coalesce("id", "head").alias("chain")
    )
    # A head that was taken is returned before it is taken again, or not at all.
    back = (~pl.col("taken")).shift(-1).over(*_NAME, "chain").fill_null(False)
    frame = frame.with_columns(back.alias("back")).filter("taken")
    later = pl.col("back").cast(pl.Int64).cum_sum(reverse=True).over(*_NAME)
    chains = _rows(frame.with_columns(later.alias("later")))
    given_back = chains["back"] == 1
    decided = chains.where(given_back | (chains["later"] >= OVERTAKEN))
    return decided.check(
        decided["back"] == 1,
        "{queue}: chain {head} was taken and not returned",
        undecided=len(chains) - len(decided),
    )


def statuses(view: View) -> Result:
    """Check that status bytes which the device wrote are defined."""
    if "vhost_blk" not in view.kinds:
        return Result(0)
    requests = _rows(_ordered(view, "vhost_blk"))
    return requests.check(
        requests["status"] <= bits.S_UNSUPP, "{queue}: status {status} is not defined"
    )
