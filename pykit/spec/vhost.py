# SPDX-License-Identifier: GPL-2.0-only
"""A vhost device as its own tracepoints show it: what it gets from a queue and gives back.

They are another observer of the same clauses, where no driver's tracepoints are.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from pykit.spec import bits
from pykit.spec.arrays import first_of, ints
from pykit.spec.model import Result, breaches
from pykit.spec.view import View

_NAME = ("dev", "life", "vq")


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
    frame = _ordered(view, "vhost_get", "vhost_used")
    used = frame["kind"].cast(pl.String).to_numpy() == "vhost_used"
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


def statuses(view: View) -> Result:
    """Status bytes that the device wrote."""
    frame = _ordered(view, "vhost_blk")
    status = ints(frame, "status")
    found = breaches(
        status > bits.S_UNSUPP,
        lambda i: f"{_name(frame, i)}: status {status[i]} is not defined",
        ints(frame, "row"),
    )
    return Result(len(status), found)
