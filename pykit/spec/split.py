# SPDX-License-Identifier: GPL-2.0-only
"""Split virtqueues: what driver and device may write into the rings (section 2.7)."""

from __future__ import annotations

import numpy as np

from pykit.spec import bits, vhost
from pykit.spec.arrays import (
    Bools,
    Ints,
    count_before,
    exceeds_more,
    first_of,
    grouped_cumsum,
    ints,
    key_of,
    steps16,
)
from pykit.spec.model import Result, breaches, rule
from pykit.spec.rings import ID_SPAN, SPLIT
from pykit.spec.view import View

MAX_CHAIN = 1 << 32
NOTHING = "no split virtqueue was used"


def _ordered(view: View, q: Ints) -> Bools:
    """Where one used entry is one chain; IN_ORDER lets it be a batch."""
    ordered: Bools = view.rings.split(q) & (view.rings.feature(bits.IN_ORDER)[q] != 1)
    return ordered


@rule("VQ-DR-01", "driver:queue", local=True)
def ring_alignment(view: View) -> Result:
    frame = view.rings.of("queue")
    q = ints(frame, "q")
    wanted = view.rings.split(q) & (ints(frame, "op") == 0)
    bad = np.zeros(len(q), dtype=np.bool_)
    for name, unit in (("desc", 16), ("avail", 2), ("used", 4)):
        bad |= ints(frame, name) % unit != 0
    found = breaches(
        wanted & bad,
        lambda i: f"{view.rings.name(q[i])}: a part of the ring is not aligned (16, 2, 4)",
        ints(frame, "row"),
    )
    return Result(int(wanted.sum()), found, why=NOTHING)


@rule("NA-DR-01", "driver:queue", local=True)
def used_flags_start_at_zero(view: View) -> Result:
    frame = view.rings.of("queue")
    q, flags = ints(frame, "q"), ints(frame, "used_flags")
    wanted = view.rings.split(q) & (ints(frame, "op") == 0)
    found = breaches(
        wanted & (flags != 0),
        lambda i: f"{view.rings.name(q[i])}: used flags are {flags[i]} when the ring is set up",
        ints(frame, "row"),
    )
    return Result(int(wanted.sum()), found, why=NOTHING)


@rule("DX-29", "driver:queue", local=True, title="After a reset both rings start at index 0.")
def indices_start_at_zero(view: View) -> Result:
    frame = view.rings.of("queue")
    q, avail, used = ints(frame, "q"), ints(frame, "avail_idx"), ints(frame, "used_idx")
    wanted = view.rings.split(q) & (ints(frame, "op") == 0)
    found = breaches(
        wanted & ((avail != 0) | (used != 0)),
        lambda i: f"{view.rings.name(q[i])}: set up with avail idx {avail[i]}, used idx {used[i]}",
        ints(frame, "row"),
    )
    return Result(int(wanted.sum()), found, why=NOTHING)


@rule("SA-DR-01", "driver:add")
def avail_idx_moves_forward(view: View) -> Result:
    rings, adds = view.rings, view.adds
    whole = rings.whole[adds.q]
    # Without a set-up the first chain seen is taken for right, and not judged.
    initial = np.where(whole, rings.avail[adds.q], adds.avail_idx - 1)
    step = steps16(adds.avail_idx, adds.q, initial)
    # Chains may be put into the ring before the index moves over all of them.
    excess = grouped_cumsum(step, adds.q) - adds.number - 1
    judged = view.rings.split(adds.q) & (whole | (adds.number > 0))
    back = judged & (step < 0)
    past = judged & exceeds_more(excess, adds.q)

    def say(i: int) -> str:
        where = f"{rings.name(adds.q[i])}: avail idx"
        if back[i]:
            return f"{where} went back by {-step[i]} to {adds.avail_idx[i]}"
        return f"{where} {adds.avail_idx[i]} is beyond the chains put into the ring"

    return Result(int(judged.sum()), breaches(back | past, say, adds.row), why=NOTHING)


@rule("DX-04", "driver:add", "driver:queue")
def ring_never_overcommitted(view: View) -> Result:
    rings, adds, used = view.rings, view.adds, view.used
    taken = used.accepted == 1
    returned = count_before(used.q[taken], used.at[taken], adds.q, adds.at)
    outstanding = adds.number + 1 - returned
    size = rings.size[adds.q]
    judged = _ordered(view, adds.q) & rings.whole[adds.q]
    found = breaches(
        judged & exceeds_more(outstanding - size, adds.q),
        lambda i: f"{rings.name(adds.q[i])}: {outstanding[i]} chains outstanding, size {size[i]}",
        adds.row,
    )
    return Result(int(judged.sum()), found, why=NOTHING)


@rule("DX-05", "driver:add", "driver:queue", local=True)
def indices_inside_tables(view: View) -> Result:
    rings, adds, chains = view.rings, view.adds, view.chains
    size = rings.size[adds.q]
    judged = view.rings.split(adds.q) & (size > 0)
    found = breaches(
        judged & (adds.head >= size),
        lambda i: f"{rings.name(adds.q[i])}: head {adds.head[i]}, queue size {size[i]}",
        adds.row,
    )
    link = view.rings.split(chains.q) & (chains.flags & bits.NEXT != 0) & (chains.room > 0)
    found += breaches(
        link & (chains.next >= chains.room),
        lambda i: (
            f"{rings.name(chains.q[i])}: descriptor {chains.slot[i]} leads to {chains.next[i]},"
            f" its table has {chains.room[i]}"
        ),
        chains.row,
    )
    return Result(int(judged.sum() + link.sum()), found, why=NOTHING)


@rule("DX-07", "driver:add")
def nothing_exposed_twice(view: View) -> Result:
    rings, adds, pairs, chains = view.rings, view.adds, view.pairs, view.chains
    judged = _ordered(view, adds.q)
    found = breaches(
        judged & pairs.reused,
        lambda i: f"{rings.name(adds.q[i])}: head {adds.head[i]} is still outstanding",
        adds.row,
    )
    # Slots of the ring by queue, each slot's chains in the order of their exposure.
    slots = np.flatnonzero((chains.table == 0) & chains.good & judged[chains.chain])
    place = key_of(chains.q[slots], chains.slot[slots], ID_SPAN)
    order = slots[np.lexsort((chains.at[slots], place))]
    place = key_of(chains.q[order], chains.slot[order], ID_SPAN)
    before = np.full(len(order), -1, dtype=np.int64)
    before[1:] = chains.chain[order][:-1]
    before[first_of(place)] = -1
    mine = chains.chain[order]
    # A chain whose head was reused is told above; its slots say nothing new.
    other = (before >= 0) & (before != mine) & ~pairs.doubtful[mine] & ~pairs.doubtful[before]
    returned = pairs.used_of[before]
    free = (
        (returned >= 0) & (view.used.at[returned] < adds.at[mine])
        if len(view.used.at)
        else (returned >= 0)
    )
    found += breaches(
        other & ~free,
        lambda i: (
            f"{rings.name(chains.q[order[i]])}: descriptor {chains.slot[order[i]]} belongs to"
            f" head {adds.head[before[i]]}, which is outstanding"
        ),
        chains.row[order],
        adds.row[before],
    )
    return Result(int(judged.sum()), found, why=NOTHING)


@rule("DX-37", "driver:used")
def used_entries_in_order(view: View) -> Result:
    rings, used = view.rings, view.used
    taken = np.flatnonzero((used.accepted == 1) & _ordered(view, used.q))
    q, index = used.q[taken], used.index[taken]
    initial = np.where(rings.whole[q], rings.used[q], index)
    step = steps16(index, q, initial)
    first = first_of(q)
    expected = np.where(first, 0, 1)
    judged = ~first | rings.whole[q]
    wrong = judged & (step != expected)
    # Taking what is not there: only where the device's own index makes sense.
    ahead = (used.used_idx[taken] - index) % (1 << 16)
    absent = (ahead == 0) | (ahead > (1 << 15))
    moves = steps16(used.used_idx[taken], q, used.used_idx[taken])
    sane = grouped_cumsum((moves < 0).astype(np.int64), q) == 0
    row = used.row[taken]

    def say(i: int) -> str:
        where = f"{rings.name(q[i])}: entry {index[i]}"
        if not wrong[i]:
            return f"{where} taken, used idx is {used.used_idx[taken[i]]}"
        return f"{where} taken {'again' if step[i] <= 0 and not first[i] else 'out of turn'}"

    return Result(int(judged.sum()), breaches(wrong | (absent & sane), say, row), why=NOTHING)


@rule("DX-01", "driver:add|vhost:vhost_get", "driver:used|vhost:vhost_used")
def used_id_names_outstanding_chain(view: View) -> Result:
    return returned(view, SPLIT, again=False) + vhost.returned(view, again=False)


@rule("DX-02", "driver:add|vhost:vhost_get", "driver:used|vhost:vhost_used")
def used_once_per_exposure(view: View) -> Result:
    return returned(view, SPLIT, again=True) + vhost.returned(view, again=True)


def returned(view: View, layout: int, *, again: bool) -> Result:
    rings, used, pairs = view.rings, view.used, view.pairs
    ordered = rings.feature(bits.IN_ORDER)[used.q] != 1
    judged = (rings.layout[used.q] == layout) & ordered & used.fresh
    undecided = judged & pairs.excused
    judged &= ~pairs.excused
    wrong = judged & (pairs.again if again else pairs.add_of == -1)
    text = "was returned before and not made available since" if again else "is not outstanding"
    found = breaches(
        wrong, lambda i: f"{rings.name(used.q[i])}: used id {used.id[i]} {text}", used.row
    )
    doubt = "the driver's own trace does not say which head was made available"
    return Result(int(judged.sum()), found, int(undecided.sum()), "no entry was used", doubt)


@rule(
    "DX-03",
    "driver:used|driver:callback|vhost:vhost_used",
    "driver:add|vhost:vhost_used",
)
def used_idx_behind_avail_idx(view: View) -> Result:
    rings, adds = view.rings, view.adds
    # Not from interrupts: those look without the lock that orders adds.
    frame = rings.of("used", "callback")
    q, at, value = ints(frame, "q"), ints(frame, "at"), ints(frame, "used_idx")
    judged = view.rings.split(q) & rings.whole[q]
    step = steps16(value, q, rings.used[q])
    position = grouped_cumsum(step, q)
    exposed = count_before(adds.q, adds.at, q, at)
    back = judged & (step < 0)
    ahead = judged & exceeds_more(position - exposed, q)

    def say(i: int) -> str:
        where = f"{rings.name(q[i])}: used idx {value[i]}"
        return f"{where} went back" if back[i] else f"{where}, {exposed[i]} chains made available"

    found = breaches(back | ahead, say, ints(frame, "row"))
    return Result(int(judged.sum()), found, why=NOTHING) + vhost.used_ahead(view)


@rule("DX-06", "driver:add|vhost:vhost_get", "driver:used|vhost:vhost_used")
def used_len_within_buffer(view: View) -> Result:
    rings, adds, used, pairs = view.rings, view.adds, view.used, view.pairs
    entry = np.flatnonzero(pairs.add_of >= 0)
    chain = pairs.add_of[entry]
    certain = ~pairs.doubtful[chain]
    entry, chain = entry[certain], chain[certain]
    length, room = used.len[entry], adds.writable[chain]
    found = breaches(
        length > room,
        lambda i: f"{rings.name(used.q[entry[i]])}: used len {length[i]}, writable {room[i]} bytes",
        used.row[entry],
        adds.row[chain],
    )
    own = Result(len(entry), found, why="no chain was returned")
    return own + vhost.lengths(view, reads=False)


@rule("RF-DE-05", "driver:add", "driver:used")
def in_order_use(view: View) -> Result:
    rings, used, pairs = view.rings, view.used, view.pairs
    entry = np.flatnonzero((rings.feature(bits.IN_ORDER)[used.q] == 1) & (pairs.add_of >= 0))
    number = view.adds.number[pairs.add_of[entry]]
    q = used.q[entry]
    late = np.zeros(len(entry), dtype=np.bool_)
    late[1:] = number[1:] < number[:-1]
    late &= ~first_of(q)
    found = breaches(
        late,
        lambda i: f"{rings.name(q[i])}: id {used.id[entry[i]]} returned after a later chain",
        used.row[entry],
    )
    return Result(len(entry), found, why="IN_ORDER was not negotiated")


@rule("SD-DR-01", "driver:desc")
def chain_is_finite(view: View) -> Result:
    adds, chains, rings = view.adds, view.chains, view.rings
    judged = chains.seen & view.rings.split(adds.q)
    counted = np.where(chains.element & chains.good, chains.len, 0)
    total = np.zeros(len(adds.q), dtype=np.int64)
    np.add.at(total, chains.chain, counted)
    wrong = judged & (chains.looped | (total > MAX_CHAIN))

    def say(i: int) -> str:
        where = f"{rings.name(adds.q[i])}: the chain at head {adds.head[i]}"
        return f"{where} loops" if chains.looped[i] else f"{where} has {total[i]} bytes"

    return Result(int(judged.sum()), breaches(wrong, say, adds.row), why=NOTHING)


@rule("SD-DR-02", "driver:desc", "driver:queue")
def in_order_last_link(view: View) -> Result:
    return _in_order_links(view, last=True)


@rule("SD-DR-03", "driver:desc", "driver:queue")
def in_order_links(view: View) -> Result:
    return _in_order_links(view, last=False)


def _in_order_links(view: View, *, last: bool) -> Result:
    rings, chains = view.rings, view.chains
    size = rings.size[chains.q]
    judged = (rings.feature(bits.IN_ORDER)[chains.q] == 1) & view.rings.split(chains.q) & (size > 0)
    judged &= (chains.table == 0) & (chains.flags & bits.NEXT != 0)
    judged &= (chains.slot == size - 1) == last
    wanted = np.where(chains.slot == size - 1, 0, chains.slot + 1)
    found = breaches(
        judged & (chains.next != wanted),
        lambda i: (
            f"{rings.name(chains.q[i])}: descriptor {chains.slot[i]} leads to {chains.next[i]}"
        ),
        chains.row,
    )
    return Result(int(judged.sum()), found, why="IN_ORDER was not negotiated on a split ring")
