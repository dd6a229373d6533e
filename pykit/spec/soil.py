# SPDX-License-Identifier: GPL-2.0-only
"""Where one side of a virtqueue broke the ring: what the other side does after that proves nothing.

A rule about the device that looks violated behind such a place is contested: the device may have
read what the driver wrote there. So it is where one of the two altered an entry of the available
ring, and nothing shows which.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import (
    NEVER,
    WRAP,
    Bools,
    Columns,
    Ints,
    are,
    count_before,
    exceeds_more,
    first_of,
    grouped_cumsum,
    ints,
    key_of,
    last_before,
    need_event,
    steps16,
)
from pykit.spec.rings import (
    ACCEPTED,
    ID_SPAN,
    PACKED,
    REFUSED,
    SPLIT,
    UNKNOWN_HEAD,
    Adds,
    Chains,
    Pairs,
    Rings,
    Used,
)
from pykit.trace.kinds import BROKEN, DIFFERS_NONE, SET_UP

if TYPE_CHECKING:
    from pykit.spec.view import View

#: Of the event ``compared``: the chain's entry of the available ring is not as the driver left it.
_ENTRY_CHANGED = 1
#: The same of its indirect table, in packed rings.
_TABLE_CHANGED = 2
#: The same of descriptors that the device may not write, between the driver's operations.
_ELSEWHERE_CHANGED = 2


def avail_steps(rings: Rings, adds: Adds) -> tuple[Ints, Bools]:
    """By chain of a split ring: the available index's step, and whether it gets ahead of chains."""
    initial = np.where(rings.whole[adds.q], rings.avail[adds.q], adds.avail_idx - 1)
    step = steps16(adds.avail_idx, adds.q, initial)
    beyond = grouped_cumsum(step, adds.q) - adds.number - 1
    return step, exceeds_more(beyond, adds.q)


def shared_descriptors(
    adds: Adds, used: Used, pairs: Pairs, chains: Chains, judged: Bools
) -> tuple[Ints, Ints, Bools]:
    """Return which ring descriptors of ``judged`` chains another outstanding chain holds.

    By descriptor, slot by slot: its index in ``chains``, the chain that held it before (-1: none),
    and whether that one is still outstanding.
    """
    slots = np.flatnonzero((chains.table == 0) & chains.good & judged[chains.chain])
    # Each slot's chains in the order of their exposure.
    place = key_of(chains.q[slots], chains.slot[slots], ID_SPAN)
    order = slots[np.lexsort((chains.at[slots], place))]
    place = key_of(chains.q[order], chains.slot[order], ID_SPAN)
    holder = np.full(len(order), -1, dtype=np.int64)
    holder[1:] = chains.chain[order][:-1]
    holder[first_of(place)] = -1
    mine = chains.chain[order]
    other = (holder >= 0) & (holder != mine) & ~pairs.doubtful[mine] & ~pairs.doubtful[holder]
    returned = pairs.used_of[holder]
    free = returned >= 0
    if len(used.at):
        free &= used.at[returned] < adds.at[mine]
    return order, holder, other & ~free


def disowned(rings: Rings, used: Used, pairs: Pairs) -> Bools:
    """By used entry: the driver refuses it, though its id is outstanding by the ring's memory.

    Only the first that a driver refuses of a queue counts, and none once the queue was broken: it
    takes nothing from it any more. Nor does one that did not stay as it was: the driver may have
    read another id.
    """
    refused = used.accepted == REFUSED
    earlier = grouped_cumsum(refused.astype(np.int64), used.q) - refused
    queues = rings.of("queue")
    broken = np.full(len(rings.queue), NEVER)
    broke = queues["op"] == BROKEN
    np.minimum.at(broken, queues["q"][broke], queues["at"][broke])
    wrong: Bools = refused & (earlier == 0) & used.fresh & (pairs.add_of >= 0)
    if len(used.q):
        wrong &= used.at < broken[used.q]
    return wrong


def not_there(rings: Rings, q: Ints, index: Ints, used_idx: Ints) -> Bools:
    """By used entry that was taken, in order: the device's used index had not reached it.

    Not where the device's index went back before, see DX-03.
    """
    ahead = (used_idx - index) % WRAP
    went_back = steps16(used_idx, q, np.where(rings.whole[q], rings.used[q], used_idx)) < 0
    sane = grouped_cumsum(went_back.astype(np.int64), q) == 0
    absent: Bools = ((ahead == 0) | (ahead > WRAP // 2)) & sane
    return absent


def by_driver(rings: Rings, adds: Adds, used: Used, pairs: Pairs, chains: Chains) -> Ints:
    """By queue: the place from which on the driver has broken its ring, NEVER if it has not.

    Split rings: the used ring's flags were not 0 at its set-up; the available index went back or
    ahead of the chains; a head or a link names a descriptor that there is not; two outstanding
    chains share one. Both layouts: a head was made available again while outstanding; a chain is
    longer than the queue, or loops; the driver refused an id that is outstanding by the ring's
    memory, or took a used entry that was not there.
    """
    count = len(rings.queue)
    soiled = np.full(count, NEVER)

    def mark(q: Ints, at: Ints, broken: Bools) -> None:
        np.minimum.at(soiled, q[broken], at[broken])

    setups = rings.of("queue")
    if len(setups):
        flagged = (setups["op"] == SET_UP) & (setups["used_flags"] != 0)
        mark(setups["q"], setups["at"], flagged & rings.split(setups["q"]))
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
        single = split & (rings.feature(bits.IN_ORDER)[adds.q] != 1)
        order, _, shared = shared_descriptors(adds, used, pairs, chains, single)
        at = chains.at[order][shared].astype(np.int64)
        np.minimum.at(soiled, chains.q[order][shared], at)
    linked = (rings.layout[chains.q] == SPLIT) & (chains.flags & bits.NEXT != 0)
    linked &= (chains.room > 0) & (chains.next >= chains.room)
    mark(chains.q.astype(np.int64), chains.at.astype(np.int64), linked)
    if len(used.q):
        packed = (rings.layout[used.q] == PACKED) & (used.accepted == REFUSED) & (pairs.add_of >= 0)
        mark(used.q, used.at, packed | disowned(rings, used, pairs))
        took = np.flatnonzero((rings.layout[used.q] == SPLIT) & (used.accepted == 1))
        q = used.q[took]
        mark(q, used.at[took], not_there(rings, q, used.index[took], used.used_idx[took]))
    return soiled


def misplaced(view: View) -> Ints:
    """By queue: the place of the first chain with a descriptor that is not that of its buffer,
    NEVER if there is none. The device finds something else there than the driver has.

    Chains that the device may have altered before they were looked at do not count.
    """
    adds = view.adds
    found = np.full(len(view.rings.queue), NEVER)
    wrong = (adds.differs != 0) & (adds.differs != DIFFERS_NONE)
    for i in np.flatnonzero(wrong).tolist():
        if not view.by_either((int(adds.row[i]),)):
            found[adds.q[i]] = min(found[adds.q[i]], adds.at[i])
    return found


def altered(rings: Rings, adds: Adds) -> Ints:
    """By queue: the place of the first chain whose entry in the available ring was altered while
    the chain was with the device, NEVER if none was.

    Which side stored there is not known (event ``compared``): the device may have read what the
    driver wrote, and returned another chain for it.
    """
    found = np.full(len(rings.queue), NEVER)
    looks = rings.of("compared")
    looks = looks.take(ints(looks, "driver_area") & _ENTRY_CHANGED != 0)
    if not len(looks):
        return found
    chain = _looked_at(adds, looks)
    q, known = looks["q"], chain >= 0
    np.minimum.at(found, q[known], adds.at[chain[known]])
    return found


def _looked_at(adds: Adds, looks: Columns) -> Ints:
    """By event ``compared``: the chain that it is about, -1 if that was not seen."""
    return last_before(
        key_of(adds.q, adds.head, ID_SPAN),
        adds.at,
        key_of(looks["q"], ints(looks, "head"), ID_SPAN),
        looks["at"],
    )


def touched(view: View) -> Bools:
    """By queue: descriptors of a chain, or its entry in the available ring, were altered while it
    was with the device, in this or another queue of the device's life.

    Which side stored there is not known: where a driver's chains are read behind their exposure,
    what stands there may be the device's. Descriptors that the driver gave to another chain
    meanwhile are altered by that.
    """
    rings = view.rings
    looks = rings.of("compared")
    altered_chains = looks["changed"] != 0
    if altered_chains.any():
        altered_chains &= ~_given_away(view, looks)
    altered_chains |= looks["driver_area"] & _ENTRY_CHANGED != 0
    altered_chains |= looks["table"] == _TABLE_CHANGED
    return _in_lives(rings, looks["q"][altered_chains])


def _given_away(view: View, looks: Columns) -> Bools:
    """By look at a chain: the driver used one of its descriptors for another one meanwhile."""
    adds = view.adds
    every = np.ones(len(adds.q), dtype=np.bool_)
    _, holder, shared = shared_descriptors(adds, view.used, view.pairs, view.chains, every)
    found: Bools = np.isin(_looked_at(adds, looks), holder[shared])
    return found


def written_between(rings: Rings) -> Bools:
    """By queue: a descriptor was altered that no chain with the device had, in this or another
    queue of the device's life: what stands in a chain may be the device's at any time.
    """
    looks = rings.of("compared")
    return _in_lives(rings, looks["q"][looks["between"] & _ELSEWHERE_CHANGED != 0])


def _in_lives(rings: Rings, queues: Ints) -> Bools:
    """By queue: whether one of these is of the same life."""
    lives = {rings.queue[q][:2] for q in np.unique(queues).tolist()}
    return np.array([queue[:2] in lives for queue in rings.queue], dtype=np.bool_)


def unseen(view: View) -> Bools:
    """By chain: it was traced before the device had a cause to look at it, so that what stood in a
    split ring then is the driver's.

    The driver had not written DRIVER_OK. Or the device had returned all chains before, and asked
    for a notification of this one, which it got later.
    """
    rings, adds, used = view.rings, view.adds, view.used
    kicks, sent = rings.of("kick"), rings.of("notify")
    if not len(kicks):
        found = np.zeros(len(adds.q), dtype=np.bool_)
    else:
        decision = np.searchsorted(kicks["at"], adds.at)
        found = decision < len(kicks)
        decision = np.minimum(decision, len(kicks) - 1)
        found &= kicks["q"][decision] == adds.q
        old, new, event, flags = (
            kicks[name][decision] for name in ("old", "new", "event", "flags")
        )
        event_idx = rings.event_idx(adds.q, kicks["event_idx"][decision])
        found &= np.where(event_idx, need_event(event, new, old), flags & 1 == 0)
        until = kicks["at"][decision]
        found &= np.searchsorted(sent["at"], adds.at) == np.searchsorted(sent["at"], until)
        found &= count_before(used.q, used.at, adds.q, adds.at) == adds.number
    begins = [view.life(dev, life).first_write(bits.DRIVER_OK) for dev, life, _ in rings.queue]
    begin = np.array([write.row if write else -1 for write in begins], dtype=np.int64)
    return (found | (adds.row < begin[adds.q])) & rings.split(adds.q) if len(adds.q) else found


def behind(soiled: Ints, q: Ints, at: Ints) -> Bools:
    """By row: whether its place is behind the one where the driver broke the queue's ring."""
    after: Bools = at > soiled[q]
    return after


def given_up(frame: Columns, q: Ints) -> Bools:
    """By row, sorted by queue: whether the driver has refused a used entry of the queue so far.

    The Linux core gives such a queue up (``vring.broken``): that nothing is taken from it any more
    says nothing about the driver.
    """
    refused = are(frame, "used") & (ints(frame, "accepted") != ACCEPTED)
    given: Bools = grouped_cumsum(refused.astype(np.int64), q) > 0
    return given
