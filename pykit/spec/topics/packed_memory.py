# SPDX-License-Identifier: GPL-2.0-only
"""Packed virtqueues: what the driver writes into the descriptor ring (sections 2.8.1 to 2.8.6).

The observer reads each descriptor of a list right after the add. The device may have been faster,
and have written a used descriptor there, so each of these rules says of a descriptor whose it is:

- AVAIL and USED differ: it is available, the driver wrote them. A device writes both alike.
- They are alike, and the driver later finds a used descriptor at this very place: the device was
  faster, and the descriptor is left out.
- They are alike, and the used descriptors passed this place by, or QEMU's log has no such used
  descriptor: the driver wrote them.
- The queue did not get that far: undecided.

A device writes id and len before the flags. Values of an available descriptor that are also those
of the used descriptor at its place may therefore be the device's.
"""

from __future__ import annotations

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import Bools, ints, within
from pykit.spec.model import Result, rule
from pykit.spec.packed import (
    AVAIL_BIT,
    entries,
    ids,
    lists,
    one_by_one,
    overwritten,
    recorded,
    slots,
)
from pykit.spec.packed_broken import ids_again, outstanding_slots
from pykit.spec.rows import Rows
from pykit.spec.topics.packed_order import wrap_counters
from pykit.spec.view import View

NO_PACKED = "no packed virtqueue was used"
RACED = "the device had overwritten the descriptor, or the queue did not get that far"
_NO_BEGINNING = "when the driver began was not recorded, or a used descriptor named no list"
UNREAD = "the tracepoints do not read the memory of packed rings"


def _unread(view: View) -> Result | None:
    """Return the result of a capture whose tracepoints read no ring memory, None otherwise."""
    if recorded(view):
        return None
    missed = len(lists(view).q)
    return Result(0, undecided=missed, why=NO_PACKED, doubt=UNREAD)


@rule("DX-11", needs=("driver:add|access:acc_ring", "driver:queue|access:acc_ring"))
def flags_match_wrap_counter(view: View) -> Result:
    """Section 2.8.1: AVAIL of an available descriptor is the driver's wrap counter, USED is not.

    Checked: each descriptor of a list, by the wrap counter of its place in the ring; and each
    store to flags that the access tracer saw. Undecided and left out: see the topic.
    """
    stored = wrap_counters(view)
    if unread := _unread(view):
        return stored + unread
    memory = slots(view)
    there, settled = overwritten(view)
    size = view.rings.size[memory.q]
    wrap = 1 - memory.place // np.maximum(size, 1) % 2
    right = memory.mine & (memory.flags >> AVAIL_BIT & 1 == wrap)
    judged = memory.mine | (settled & (there < 0))
    table = Rows.of(view.rings, memory).plus(right=right, wrap=wrap).where(judged)
    return stored + table.check(
        table["right"],
        "{queue}: slot {slot} has flags {flags:#x} when the wrap counter is {wrap}",
        none=NO_PACKED,
        undecided=int(np.count_nonzero(~judged & (there < 0))),
        doubt=RACED,
    )


@rule("DX-61", needs=("driver:add", "driver:queue"), contents=True)
def next_links_a_list(view: View) -> Result:
    """Section 2.8.6: all descriptors of a list have NEXT, but for the last, which has not.

    Checked: each available descriptor of a list as memory holds it. Left out are those that the
    device had overwritten.
    """
    if unread := _unread(view):
        return unread
    memory = slots(view)
    table = Rows.of(view.rings, memory).where(memory.mine)
    return table.check(
        (table["flags"] & bits.NEXT != 0) != table["last"],
        "{queue}: slot {slot} has flags {flags:#x}, which do not fit its place in the list",
        none=NO_PACKED,
    )


@rule("DX-12", needs=("driver:add", "driver:used", "driver:queue"), contents=True)
def last_descriptor_has_the_id(view: View) -> Result:
    """Section 2.8.6: the last descriptor of a list has its buffer id.

    Checked: each list that was returned, by the id that its last descriptor has in memory and
    with which the device returned it: the driver knows the list by this id. A driver that refuses
    it, and takes no used descriptor any more, had written another list's id, or none.
    """
    taken = entries(view)
    by_list = Rows.of(view.rings, taken).plus(known=taken.list >= 0, final=_final(view))
    by_list = by_list.where((taken.list >= 0) & taken.fresh)
    return by_list.check(
        by_list["accepted"] | ~by_list["final"],
        "{queue}: the driver does not know the id {id}, which the list's last descriptor has",
        none=NO_PACKED,
    )


def _final(view: View) -> Bools:
    """By entry: the driver took none at a later place of the queue."""
    taken = entries(view)
    last = np.full(len(view.rings.queue), -1, dtype=np.int64)
    np.maximum.at(last, taken.q, taken.place)
    final: Bools = taken.place == last[taken.q] if len(taken.q) else taken.again
    return final


@rule("DX-60", needs=("driver:add", "driver:queue"), also=("DX-07",))
def id_is_not_outstanding(view: View) -> Result:
    """Section 2.8.13: a list is not made available with the id of a list that is outstanding.

    Checked: each list whose id is known from the ring's memory.

    - An id that the device wrote there is no evidence: where the used descriptor at that place has
      the same id and len, the list is left out.
    - With IN_ORDER a used descriptor may return a batch: which ids are free is not known.
    """
    found, known = lists(view), ids(view)
    twice, doubtful = ids_again(view)
    table = Rows.of(view.rings, found).plus(twice=twice, id=known)
    single = one_by_one(view, found.q)
    judged = single & ~doubtful & ((known >= 0) | twice)
    table = table.where(judged)
    return table.check(
        ~table["twice"],
        "{queue}: buffer id {id} is made available while a list with it is outstanding",
        none=NO_PACKED,
        undecided=int(np.count_nonzero(single & ~judged)),
        doubt=RACED,
    )


@rule("PS-DR-04", needs=("driver:add", "driver:used", "driver:queue"))
def lists_wait_for_nothing(view: View) -> Result:
    """Section 2.8 (scatter-gather): to write a list, the driver does not wait for used descriptors.

    Checked: each list for which the event ``add`` has a time at which the driver had not begun:
    the ring had room for all of it by the used descriptors that the driver had taken by then.
    Whether it has room for the list at all is PS-DR-05's.

    Undecided: lists without such a time, as it was not traced or is not between the list before and
    this one, so that another clock may be to blame; and lists as for PS-DR-05. An observer outside
    of the driver has the time of its own last look.
    """
    found, taken = lists(view), entries(view)
    adds = view.rings.of("add")
    times = view.rings.base_of(adds, "ts")[found.add]
    before = ints(adds, "before")[found.add]
    previous = np.append(0, times[:-1]) * (within(found.q) > 0)
    outstanding, clear = outstanding_slots(view)
    single = one_by_one(view, found.q)
    decided = clear & (before > 0) & (before >= previous) & (before <= times) & view.inside
    # Used descriptors that the driver took after that time, by the list that they come before.
    late = np.zeros(len(found.q), dtype=np.int64)
    if len(found.q):
        ts = view.base("ts")[taken.row].astype(np.int64, copy=False)
        follows = np.minimum(np.searchsorted(found.at, taken.at), len(found.q) - 1)
        in_time = (found.q[follows] == taken.q) & (found.at[follows] > taken.at)
        in_time &= taken.accepted & (taken.list >= 0) & (ts > before[follows])
        np.add.at(late, follows[in_time], found.slots[taken.list[in_time]])
    table = Rows.of(view.rings, found).plus(
        late=late, needed=outstanding + late, size=view.rings.size[found.q]
    )
    table = table.where(decided)
    return table.check(
        (table["late"] == 0) | (table["needed"] <= table["size"]),
        "{queue}: {late} descriptors of a list were in use when the driver began to write it",
        none=NO_PACKED,
        undecided=int(np.count_nonzero(single & ~decided)),
        doubt=_NO_BEGINNING,
    )


@rule("PS-DR-05", needs=("driver:add", "driver:used", "driver:queue"))
def room_for_the_whole_list(view: View) -> Result:
    """Section 2.8 (scatter-gather): the ring has room for a whole list before it is made available.

    Checked: each list: the descriptors of all lists that are outstanding are not more than the
    ring has. Lists behind a used descriptor whose list is not known are undecided; queues with
    IN_ORDER, where one may return a batch, are left out.
    """
    found = lists(view)
    size = view.rings.size[found.q]
    outstanding, clear = outstanding_slots(view)
    table = Rows.of(view.rings, found).plus(outstanding=outstanding, size=size)
    single = one_by_one(view, found.q)
    table = table.where(clear)
    return table.check(
        table["outstanding"] <= table["size"],
        "{queue}: {outstanding} descriptors are outstanding in a ring of {size}",
        none=NO_PACKED,
        undecided=int(np.count_nonzero(single & ~clear)),
        doubt="a used descriptor named no list",
    )


def table_lengths(view: View) -> Result:
    """Check lengths of indirect tables of packed rings as memory has them.

    A length that the used descriptor of the same place also has may be the device's.
    """
    if not recorded(view):
        return Result(0)
    memory, taken = slots(view), entries(view)
    there, settled = overwritten(view)
    same = np.zeros(len(memory.q), dtype=np.bool_)
    if len(taken.q):
        same = (there >= 0) & (taken.len[there] == memory.len)
    refers = memory.mine & (memory.flags & bits.INDIRECT != 0)
    clear = settled & ~same
    table = Rows.of(view.rings, memory).where(refers & clear)
    return table.check(
        (table["len"] > 0) & (table["len"] % bits.DESC_BYTES == 0),
        "{queue}: an indirect table of {len} bytes in slot {slot}",
        none="no indirect descriptor was used",
        undecided=int(np.count_nonzero(refers & ~clear)),
        doubt=RACED,
    )
