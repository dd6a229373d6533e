# SPDX-License-Identifier: GPL-2.0-only
"""Configuration changes that a driver can see (sections 2.3 and 4.1.4.5)."""

from __future__ import annotations

from itertools import pairwise

import polars as pl

from pykit.spec import bits
from pykit.spec.blkconfig import CAPACITY, FIELDS, MAY_UNMAP, WRITEBACK
from pykit.spec.lives import Life, ends_within
from pykit.spec.model import Result, rule
from pykit.spec.rows import Tally
from pykit.spec.timing import OTHER_SIDE
from pykit.spec.topics.config import read_twice
from pykit.spec.view import View


@rule("DX-31", needs=("driver:config", "driver:generation", "driver:config_change"))
def changes_are_announced(view: View) -> Result:
    """Sections 2.3 and 4.1.4.5: a configuration change that the driver can see is announced.

    Checked: each pair of successive reads of the same bytes with different values, between which
    the driver wrote nothing to the configuration: a configuration change notification comes after
    the first of them. Where `pykit drive` wrote down that changes have a way to it, that is so of
    fields of a disk, too, that one access reads, whatever the generation: a life ends there 5 s
    after the second read at the earliest. BO-DE-02 has the capacity alone. That a notification
    announces something is not looked at, as a driver does not read everything again.

    - A notification that QEMU logged counts wherever it stands in the life.
    - A read is left out if the generation was not read before and after it, or changed over it.
    - Undecided: none came and the trace ends less than 5 s after the second read.
    """
    tally = Tally(none="no field changed between two reads")
    signals = set(view.of("dev_config_signal").select("dev", "life").iter_rows())
    for life in view.lives.values():
        if life.legacy:
            continue
        for before, now in read_twice(life):
            if before.value == now.value:
                continue
            announced = any(change.row > before.row for change in life.changes)
            announced |= (life.dev, life.number) in signals
            ts = view.base("ts")[now.row]
            if not announced and ends_within(int(ts), OTHER_SIDE, view.end[0]):
                tally.undecided()
                continue
            text = f"{life.name}: offset {now.offset} changed, which was not announced"
            tally.check(announced, (before.row, now.row), text)
        _narrow(view, life, tally)
    return tally.result()


#: Fields of a disk that rules of their own judge, or that the driver may write.
_ELSEWHERE = {CAPACITY, MAY_UNMAP, WRITEBACK}
#: Bytes that one access reads.
_WORD = 4


def _with_a_way(view: View) -> frozenset[tuple[int, int]]:
    """Return the lives, by (dev, life), of which `pykit drive` wrote down that changes reach it."""

    def make(view: View) -> frozenset[tuple[int, int]]:
        ways = view.of("config_vector").filter(pl.col("vector") != bits.NO_VECTOR)
        return frozenset(ways.select("dev", "life").unique().iter_rows())

    return view.keep("lives with a way of changes", make)


def _narrow(view: View, life: Life, tally: Tally) -> None:
    """Check fields of a disk that changed between two reads that were one access each."""
    if life.id != bits.BLK_ID or (life.dev, life.number) not in _with_a_way(view):
        return
    gone = life.stage(bits.REMOVED)
    end = gone.ts if gone is not None and gone.ts is not None else view.end[0]
    for field in FIELDS:
        if field in _ELSEWHERE or field.width > _WORD:
            continue
        for (first, before), (second, now) in pairwise(life.reads(field.offset, field.width)):
            if before == now:
                continue
            announced = any(change.row > first.row for change in life.changes)
            if not announced and ends_within(second.ts, OTHER_SIDE, end):
                tally.undecided()
                continue
            text = f"{life.name}: {field.name} {before} became {now} unannounced"
            tally.check(announced, (first.row, second.row), text)
