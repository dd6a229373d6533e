# SPDX-License-Identifier: GPL-2.0-only
"""A vhost device as its own tracepoints show it: what it gets from a queue and gives back.

They are another observer of the same clauses, where no driver's tracepoints are.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from pykit.spec import bits
from pykit.spec.arrays import WRAP, are, first_of, ints
from pykit.spec.model import Result, breaches, rule
from pykit.spec.view import View

_NAME = ("dev", "life", "vq")

#: So many chains taken and returned later than one that was not: it will not be.
_LATER = 256


def _ordered(view: View, *kinds: str) -> pl.DataFrame:
    """Events of these kinds, each queue's in its exact order."""
    known = pl.all_horizontal(pl.col(name).is_not_null() for name in _NAME)
    frame = view.of(*kinds).filter(known).sort(*_NAME, pl.coalesce("seq", "row"))
    return frame.with_row_index("at")


def _name(frame: pl.DataFrame, i: int) -> str:
    dev, life, vq = frame.select(*_NAME).row(i)
    return f"vhost device {dev}, life {life}, queue {vq}"


def returned(view: View, *, again: bool) -> Result:
    """Used ids against the heads that the device took, exposure by exposure."""
    if "vhost_used" not in view.kinds:
        return Result(0)
    frame = _ordered(view, "vhost_get", "vhost_used")
    used = are(frame, "vhost_used")
    head = np.where(used, ints(frame, "id"), ints(frame, "head"))
    queue = ints(frame.select(pl.struct(*_NAME).rle_id().alias("q")), "q")
    order = np.lexsort((ints(frame, "at"), head, queue))
    first = first_of(queue[order]) | first_of(head[order])
    before_used = np.zeros(len(order), dtype=np.bool_)
    before_used[1:] = used[order][:-1]
    before_used &= ~first
    wrong = np.zeros(len(order), dtype=np.bool_)
    wrong[order] = used[order] & (before_used if again else before_used | first)
    text = "was returned before and not taken since" if again else "is not outstanding"
    found = breaches(
        wrong, lambda i: f"{_name(frame, i)}: used id {head[i]} {text}", ints(frame, "row")
    )
    return Result(int(used.sum()), found)


def used_ahead(view: View) -> Result:
    """The used index against the available one, as both stood in memory."""
    if "vhost_used" not in view.kinds:
        return Result(0)
    frame = _ordered(view, "vhost_queue", "vhost_used")
    # Of the start that the entry belongs to; without it as large as can be.
    size = frame.select(pl.col("size").forward_fill().over(_NAME).fill_null(WRAP // 2))
    frame = frame.with_columns(size).filter(
        (pl.col("kind") == "vhost_used") & pl.col("avail_idx").is_not_null()
    )
    used, avail = ints(frame, "used_idx"), ints(frame, "avail_idx")
    found = breaches(
        (avail - used) % WRAP > ints(frame, "size"),
        lambda i: f"{_name(frame, i)}: used idx {used[i]}, avail idx {avail[i]}",
        ints(frame, "row"),
    )
    return Result(len(used), found)


def _served(view: View) -> pl.DataFrame:
    """Used entries, each with what the device took and did for it, in order.

    Columns: those of vhost_used, ``writable`` (bytes), ``type`` and ``status`` of the block
    request. What the device never took, or what the trace does not tell, is not there.
    """
    frame = _ordered(view, "vhost_get", "vhost_blk", "vhost_used")
    frame = frame.with_columns(
        pl.coalesce("id", "head").alias("chain"), (pl.col("kind") == "vhost_get").alias("taken")
    )
    # The how manieth time that a head was taken.
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


def lengths(view: View, *, reads: bool) -> Result:
    """Used lengths: what fits, or (``reads``) all of a read that succeeded."""
    if "vhost_used" not in view.kinds:
        return Result(0)
    frame = view.keep("vhost served", _served)
    if reads:
        frame = frame.filter((pl.col("type") == bits.T_IN) & (pl.col("status") == bits.S_OK))
    length, room = ints(frame, "len"), ints(frame, "writable")
    found = breaches(
        length != room if reads else length > room,
        lambda i: f"{_name(frame, i)}: used len {length[i]}, writable {room[i]} bytes",
        ints(frame, "row"),
    )
    return Result(len(length), found)


def signals(view: View, *, asked: bool, event_idx: bool | None = None) -> Result:
    """Decisions to signal the driver, of those that it asked for, or did not ask for.

    Each is held against the value that it was made of, at the moment when it was. The first
    one after a start has nothing to count from.
    """
    if "vhost_signal" not in view.kinds:
        return Result(0)
    frame = _ordered(view, "vhost_signal").filter(
        pl.col("sent").is_not_null() & (pl.col("valid") == 1) & (pl.col("new") != pl.col("old"))
    )
    if event_idx is not None:
        frame = frame.filter(pl.col("event_idx") == event_idx)
    old, new, event = (ints(frame, name) for name in ("old", "new", "event"))
    sent = ints(frame, "sent") == 1
    wanted = np.where(
        ints(frame, "event_idx") == 1,
        (new - event - 1) % WRAP < (new - old) % WRAP,
        event & 1 == 0,
    )
    judged = wanted == asked
    text = "and no signal" if asked else "and a signal nobody asked for"
    found = breaches(
        judged & (sent != asked),
        lambda i: f"{_name(frame, i)}: used entries {old[i]} to {new[i]}, {text}",
        ints(frame, "row"),
    )
    return Result(int(judged.sum()), found)


@rule("DX-38", needs=("vhost:vhost_get", "vhost:vhost_used"))
def all_are_returned(view: View) -> Result:
    frame = _ordered(view, "vhost_get", "vhost_used").with_columns(
        (pl.col("kind") == "vhost_get").alias("taken"), pl.coalesce("id", "head").alias("chain")
    )
    # A head that was taken is returned before it is taken again, or the trace ends.
    back = (~pl.col("taken")).shift(-1).over(*_NAME, "chain").fill_null(False)
    frame = frame.with_columns(back.alias("back")).filter("taken")
    later = pl.col("back").cast(pl.Int64).cum_sum(reverse=True).over(*_NAME)
    frame = frame.with_columns(later.alias("later"))
    lost, many = ~frame["back"].to_numpy(), ints(frame, "later") >= _LATER
    found = breaches(
        lost & many,
        lambda i: f"{_name(frame, i)}: chain {frame['head'][i]} was taken and not returned",
        ints(frame, "row"),
    )
    undecided = int((lost & ~many).sum())
    return Result(len(lost) - undecided, found, undecided)


def statuses(view: View) -> Result:
    """Status bytes that the device wrote."""
    if "vhost_blk" not in view.kinds:
        return Result(0)
    frame = _ordered(view, "vhost_blk")
    status = ints(frame, "status")
    found = breaches(
        status > bits.S_UNSUPP,
        lambda i: f"{_name(frame, i)}: status {status[i]} is not defined",
        ints(frame, "row"),
    )
    return Result(len(status), found)
