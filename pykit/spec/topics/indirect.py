# SPDX-License-Identifier: GPL-2.0-only
"""Indirect descriptors of split virtqueues (section 2.7.5.3)."""

from __future__ import annotations

import numpy as np

from pykit.spec import bits
from pykit.spec.model import Result, breaches, rule
from pykit.spec.rings import SPLIT
from pykit.spec.view import View

NONE = "no indirect descriptor was used"


@rule("SI-DR-01", needs="driver:desc")
def indirect_only_if_negotiated(view: View) -> Result:
    return not_negotiated(view, SPLIT)


def not_negotiated(view: View, layout: int) -> Result:
    """Ring descriptors with INDIRECT need the feature; without it all are looked at."""
    rings, chains = view.rings, view.chains
    has = rings.feature(bits.INDIRECT_DESC)[chains.q]
    pointer = chains.flags & bits.INDIRECT != 0
    judged = (rings.layout[chains.q] == layout) & (chains.table == 0)
    judged &= (has == 0) | ((has == 1) & pointer)
    found = breaches(
        judged & (has == 0) & pointer,
        lambda i: f"{rings.name(chains.q[i])}: descriptor {chains.slot[i]} is indirect",
        chains.row,
    )
    return Result(int(judged.sum()), found, why=NONE)


@rule("SI-DR-02", needs="driver:desc", local=True)
def no_table_inside_a_table(view: View) -> Result:
    rings, chains = view.rings, view.chains
    judged = (rings.layout[chains.q] == SPLIT) & (chains.table == 1)
    found = breaches(
        judged & (chains.flags & bits.INDIRECT != 0),
        lambda i: f"{rings.name(chains.q[i])}: entry {chains.slot[i]} of a table is indirect",
        chains.row,
    )
    return Result(int(judged.sum()), found, why=NONE)


@rule("SI-DR-03", needs=("driver:desc", "driver:queue"))
def chain_fits_queue(view: View) -> Result:
    return too_long(view, SPLIT)


def too_long(view: View, layout: int) -> Result:
    """Chains of more buffer elements than the queue has descriptors; loops have no length."""
    rings, adds, chains = view.rings, view.adds, view.chains
    size = rings.size[adds.q]
    judged = (rings.layout[adds.q] == layout) & (size > 0) & chains.seen & ~chains.looped
    found = breaches(
        judged & (chains.elements > size),
        lambda i: (
            f"{rings.name(adds.q[i])}: {chains.elements[i]} descriptors, queue size {size[i]}"
        ),
        adds.row,
    )
    return Result(int(judged.sum()), found, why="no such chain was made available")


@rule("SI-DR-04", needs="driver:desc", local=True)
def indirect_ends_the_ring_chain(view: View) -> Result:
    rings, chains = view.rings, view.chains
    judged = (rings.layout[chains.q] == SPLIT) & (chains.flags & bits.INDIRECT != 0)
    found = breaches(
        judged & (chains.flags & bits.NEXT != 0),
        lambda i: f"{rings.name(chains.q[i])}: descriptor {chains.slot[i]}: INDIRECT and NEXT",
        chains.row,
    )
    return Result(int(judged.sum()), found, why=NONE)


@rule("SI-DR-05", needs="driver:desc")
def in_order_tables_are_sequential(view: View) -> Result:
    rings, chains = view.rings, view.chains
    judged = (rings.layout[chains.q] == SPLIT) & (chains.table == 1)
    judged &= (rings.feature(bits.IN_ORDER)[chains.q] == 1) & (chains.flags & bits.NEXT != 0)
    found = breaches(
        judged & (chains.next != chains.slot + 1),
        lambda i: f"{rings.name(chains.q[i])}: entry {chains.slot[i]} leads to {chains.next[i]}",
        chains.row,
    )
    return Result(int(judged.sum()), found, why="no indirect table with IN_ORDER")


@rule("DX-08", needs="driver:desc")
def table_length(view: View) -> Result:
    rings, chains = view.rings, view.chains
    split = rings.layout[chains.q] == SPLIT
    pointer = split & ~chains.element
    odd = pointer & ((chains.len == 0) | (chains.len % bits.DESC_BYTES != 0))
    entry = split & (chains.table == 1)
    outside = entry & (chains.slot >= chains.room)
    outside |= entry & (chains.flags & bits.NEXT != 0) & (chains.next >= chains.room)

    def say(i: int) -> str:
        where = rings.name(chains.q[i])
        if odd[i]:
            return f"{where}: an indirect table of {chains.len[i]} bytes"
        return f"{where}: entry {chains.slot[i]} leads outside a table of {chains.room[i]}"

    return Result(
        int(np.count_nonzero(pointer)), breaches(odd | outside, say, chains.row), why=NONE
    )
