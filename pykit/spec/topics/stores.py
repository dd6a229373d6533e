# SPDX-License-Identifier: GPL-2.0-only
"""The order of a driver's accesses to a split ring, by the access tracer (sections 2.7.6, 2.7.13).

The tracer has each access of the guest to ring memory, with its value, in program order: which side
wrote something is certain there, and when. How an access is ordered for another processor is not: a
barrier that is missing shows only where the stores themselves are in the wrong order.

Accesses of the kit's own tracepoints and of the probe are not the driver's, and are left out where
reads count.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from pykit.spec import bits
from pykit.spec.arrays import signed16
from pykit.spec.exposed import NO_VALUES, followed_queues
from pykit.spec.model import Result, Violation, rule
from pykit.spec.rows import Tally
from pykit.spec.used_ring import OWN, OWN_READ, in_used_ring, split_queues, stores_to_used
from pykit.spec.view import View
from pykit.text import counted

NO_SPLIT = "the access tracer saw no split virtqueue"


def stored_indices(view: View) -> Result:
    """Check that no store of an available index takes it back (SA-DR-01)."""
    tally = Tally(none=NO_SPLIT)
    for _, name, rows in split_queues(view):
        index = (pl.col("area") == "avail") & (pl.col("field") == "idx") & (pl.col("write") == 1)
        stores = rows.filter(index).select("row", "value", "size").drop_nulls()
        row, value = stores["row"].to_numpy(), stores["value"].cast(pl.Int64).to_numpy()
        cleared = (value == 0) & (stores["size"].to_numpy() > 1)
        back = np.flatnonzero((signed16(np.diff(value)) < 0) & ~cleared[1:]) + 1
        found = (
            Violation((int(row[i]),), f"{name}: avail idx is taken back by a store, to {value[i]}")
            for i in back.tolist()
        )
        tally.check_together(max(len(value) - 1, 0), found)
    return tally.result()


@rule("SX-DR-01", needs="access:acc_ring")
def entries_before_the_index(view: View) -> Result:
    """Section 2.7.13: the driver stores entries of the available ring before the index over them.

    Checked: each store of the available index of a split queue, from the second one seen on, and
    the first one where it exposes the queue's first chain: the driver has stored as many entries
    as the index covers before it. Whether a barrier orders the stores for the device is not
    visible; neither are descriptors looked at, which a driver need not store anew (CL-DR-01 has
    stores that come too late).

    Undecided: a queue whose accesses have no values.
    """
    tally = Tally(none=NO_SPLIT, doubt=NO_VALUES)
    for _, name, rows in split_queues(view):
        stores = rows.filter((pl.col("area") == "avail") & (pl.col("write") == 1))
        stores = stores.filter(pl.col("field").is_in(["ring", "idx"]))
        if stores["value"].null_count():
            tally.undecided()
            continue
        is_index = (stores["field"] == "idx").to_numpy()
        row, value = stores["row"].to_numpy(), stores["value"].cast(pl.Int64).to_numpy()
        at = np.flatnonzero(is_index)
        if len(at) and value[at[0]] == 1:
            # The queue's first chain: no entry was stored before the first one seen.
            at, row, value = np.append(0, at + 1), np.append(-1, row), np.append(0, value)
            is_index = np.append(True, is_index)
        if len(at) < 2:
            continue
        entries = np.cumsum(~is_index)[at]
        covered = np.cumsum(signed16(np.diff(value[at])))
        missing = covered - (entries[1:] - entries[0])
        worst = np.maximum.accumulate(np.maximum(missing, 0))
        late = missing > np.append(0, worst[:-1])
        found = (
            Violation(
                (int(row[at[i + 1]]),),
                f"{name}: avail idx {value[at[i + 1]]} is stored before "
                + counted(int(missing[i]), "entry"),
            )
            for i in np.flatnonzero(late).tolist()
        )
        tally.check_together(len(at) - 1, found)
    return tally.result()


@rule("CL-DR-01", needs="access:acc_ring")
def exposed_entries_stay(view: View) -> Result:
    """Section 3.3.1: the driver does not alter entries of a chain that the device may use.

    Checked: each chain of a split queue that the access tracer saw exposed: before a used entry
    with its head was read, none of its descriptors in the ring is stored to, nor its entry in the
    available ring, unless that is the next one to be filled. Tables of indirect descriptors and
    the buffers themselves are not traced.

    - A queue with IN_ORDER is left out, as an entry may return a batch.
    - A driver that reads no head of any used entry has all its chains back where it reads a used
      index that covers them all.
    - Undecided: a queue whose accesses have no values; one of such a driver that reads a used index
      which covers some of its chains, as only the device knows which.
    """
    tally = Tally(none=NO_SPLIT, doubt=NO_VALUES)
    for followed in followed_queues(view):
        if followed.doubt:
            tally.undecided(doubt=followed.doubt)
        else:
            found = (Violation((row,), text) for row, text in followed.altered)
            tally.check_together(followed.exposed, found)
    return tally.result()


@rule("DX-32", needs="access:acc_ring")
def event_fields_need_the_feature(view: View) -> Result:
    """Sections 2.7.6 and 2.7.8: used_event and avail_event are there with EVENT_IDX only.

    Checked: each access of the driver to the available or the used ring of a split queue
    without EVENT_IDX: it is not to one of these fields. The kit's own tracepoints do not count.

    Undecided: an access to what would be one of these fields, by code without a name. A ring ends
    there without EVENT_IDX, and the driver may have other things of its own behind it; of a
    kernel's functions it is known that they do not.
    """
    doubt = "what is behind a ring without EVENT_IDX may be the driver's own"
    tally = Tally(none="the access tracer saw no split virtqueue without EVENT_IDX", doubt=doubt)
    for life, name, rows in split_queues(view):
        if life.has(bits.EVENT_IDX) is not False:
            continue
        mine = rows.filter(pl.col("area").is_in(["avail", "used"]) & ~OWN)
        touched = mine.filter(pl.col("field") == "event")
        nameless = touched["symbol"].null_count()
        touched = touched.drop_nulls("symbol")
        fields = {"avail": "used_event", "used": "avail_event"}
        found = (
            Violation((row,), f"{name}: {fields[area]} is accessed without EVENT_IDX")
            for row, area in touched.select("row", "area").iter_rows()
        )
        tally.undecided(nameless)
        tally.check_together(mine.height - nameless, found)
    return tally.result()


@rule("DX-73", needs="access:acc_ring")
def used_ring_is_only_read(view: View) -> Result:
    """Section 2.7.8: the used ring is the device's to write, and the driver's to read.

    Checked: each access of the driver to the used ring of a split queue, reads of the kit's own
    tracepoints left out: it is a read. With EVENT_IDX this includes avail_event, which lies behind
    the entries.

    Zeros that are stored while the available index is 0, or was not stored yet, clear a ring that
    is not in use.

    Undecided: a queue whose accesses have no values.
    """
    tally = Tally(none=NO_SPLIT, doubt=NO_VALUES)
    for life, name, rows in split_queues(view):
        if rows["value"].null_count():
            tally.undecided()
            continue
        looked = rows.filter(in_used_ring(life) & ~OWN_READ).height
        wrong = stores_to_used(life, rows).select("row", "field", "value")
        found = (
            Violation((row,), f"{name}: the driver stores {value:#x} to {part} of the used ring")
            for row, part, value in wrong.iter_rows()
        )
        tally.check_together(looked, found)
    return tally.result()
