# SPDX-License-Identifier: GPL-2.0-only
"""Where one side of a virtqueue broke the ring: what the other side does after that proves nothing.

A rule about the device that looks violated behind such a place is contested: the device may have
read what the driver wrote there.
"""

from __future__ import annotations

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import (
    NEVER,
    Bools,
    Columns,
    Ints,
    are,
    exceeds_more,
    grouped_cumsum,
    ints,
    steps16,
)
from pykit.spec.rings import (
    PACKED,
    SPLIT,
    UNKNOWN_HEAD,
    Adds,
    Chains,
    Pairs,
    Rings,
    Used,
)


def avail_steps(rings: Rings, adds: Adds) -> tuple[Ints, Bools]:
    """By chain of a split ring: the available index's step, and whether it gets ahead of chains."""
    initial = np.where(rings.whole[adds.q], rings.avail[adds.q], adds.avail_idx - 1)
    step = steps16(adds.avail_idx, adds.q, initial)
    beyond = grouped_cumsum(step, adds.q) - adds.number - 1
    return step, exceeds_more(beyond, adds.q)


def by_driver(rings: Rings, adds: Adds, used: Used, pairs: Pairs, chains: Chains) -> Ints:
    """By queue: the place from which on the driver has broken its ring, NEVER if it has not.

    Split rings: the available index went back or ahead of the chains; a head or a link names a
    descriptor that there is not. Both layouts: a head was made available again while
    outstanding; a chain is longer than the queue, or loops. Packed rings: the driver refused an
    id that is outstanding by the ring's memory.
    """
    count = len(rings.queue)
    soiled = np.full(count, NEVER)

    def mark(q: Ints, at: Ints, broken: Bools) -> None:
        np.minimum.at(soiled, q[broken], at[broken])

    if len(adds.q):
        split = rings.layout[adds.q] == SPLIT
        packed = rings.layout[adds.q] == PACKED
        size = rings.size[adds.q]
        step, ahead = avail_steps(rings, adds)
        from_setup = rings.whole[adds.q] | (adds.number > 0)
        broken = split & from_setup & ((step < 0) | ahead)
        broken |= split & (size > 0) & (adds.head >= size)
        broken |= packed & (size > 0) & (adds.head >= size) & (adds.head != UNKNOWN_HEAD)
        broken |= pairs.reused & (adds.head != UNKNOWN_HEAD)
        broken |= chains.looped | ((size > 0) & (adds.chain > size))
        mark(adds.q, adds.at, broken)
    linked = (rings.layout[chains.q] == SPLIT) & (chains.flags & bits.NEXT != 0)
    linked &= (chains.room > 0) & (chains.next >= chains.room)
    mark(chains.q.astype(np.int64), chains.at.astype(np.int64), linked)
    if len(used.q):
        disowned = (rings.layout[used.q] == PACKED) & (used.accepted != 1) & (pairs.add_of >= 0)
        mark(used.q, used.at, disowned)
    return soiled


def behind(soiled: Ints, q: Ints, at: Ints) -> Bools:
    """By row: whether its place is behind the one where the driver broke the queue's ring."""
    after: Bools = at > soiled[q]
    return after


def given_up(frame: Columns, q: Ints) -> Bools:
    """By row, sorted by queue: whether the driver has refused a used entry of the queue so far.

    The Linux core gives such a queue up (``vring.broken``): that nothing is taken from it any more
    says nothing about the driver.
    """
    refused = are(frame, "used") & (ints(frame, "accepted") == 0)
    given: Bools = grouped_cumsum(refused.astype(np.int64), q) > 0
    return given
