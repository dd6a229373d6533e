# SPDX-License-Identifier: GPL-2.0-only
"""Packed virtqueues: used descriptors as the driver finds them (sections 2.8.1, 2.8.5).

The observer reads the descriptor at the place where the next used one has to be, before the driver
takes it. Which list it returns is decided by the buffer ids that stood in memory when the lists
were made available, not by the driver's account. Where the driver itself has broken the ring
before (see ``packed_memory.py``), a device that reads it may do anything: contested. With IN_ORDER
one used descriptor may stand for a batch: such queues are left out.
"""

from __future__ import annotations

import numpy as np

from pykit.spec import bits
from pykit.spec.abandoned import abandoned
from pykit.spec.arrays import NEVER, Bools, Ints, count_before, ints, key_of, last_before
from pykit.spec.left import stray_slots
from pykit.spec.model import Result, rule
from pykit.spec.packed import (
    AVAIL_BIT,
    PLACES,
    STRAY,
    USED_BIT,
    Entries,
    completed,
    entries,
    ids,
    is_packed,
    lists,
    one_by_one,
    traced,
)
from pykit.spec.rings import ID_SPAN, PACKED
from pykit.spec.rows import Rows, Tally
from pykit.spec.soil import behind
from pykit.spec.timing import OTHER_SIDE
from pykit.spec.view import View

NO_PACKED = "no packed virtqueue was used"
#: The status of a request that was not written, see DX-23.
_UNWRITTEN = 0xFF
UNKNOWN_IDS = "the buffer ids of some lists are not known"


def _sound(view: View, taken: Entries) -> Bools:
    """By entry: all ids of lists that were made available until then are known."""
    found, known = lists(view), ids(view)
    unknown = known < 0
    before = count_before(found.q[unknown], found.at[unknown], taken.q, taken.at)
    whole = view.rings.whole[taken.q] if len(taken.q) else taken.accepted
    sound: Bools = (before == 0) & whole
    return sound


def _returns(view: View, *, again: bool) -> Result:
    """Check ids of used descriptors: ``again`` for double returns, else for unknown ids."""
    taken = entries(view)
    judged = taken.fresh
    sound = _sound(view, taken)
    stray = taken.again if again else taken.list < 0
    table = Rows.of(view.rings, taken).plus(stray=stray).where(judged & (sound | ~stray))
    text = "was returned before and not made available since" if again else "is not outstanding"
    return table.check(
        ~table["stray"],
        "{queue}: used id {id} " + text,
        none=NO_PACKED,
        undecided=int(np.count_nonzero(judged & stray & ~sound)),
        doubt=UNKNOWN_IDS,
        unless=view.contested(table),
    )


@rule("DX-09", needs=("driver:add", "driver:used", "driver:queue"))
def used_id_is_outstanding(view: View) -> Result:
    """Section 2.8.5: the id of a used descriptor is the buffer id of a list that is outstanding.

    Checked: each used descriptor of a packed queue that the driver finds, whether or not it
    accepts it. With IN_ORDER one stands for a batch and is left out.

    - Undecided: a descriptor that may return a list whose id the observer could not read, or one
      made available before it joined the queue.
    - Contested: the driver had broken the ring before.
    """
    return _returns(view, again=False)


@rule("DX-68", needs=("driver:add", "driver:used", "driver:queue"), also=("DX-02",))
def returned_once(view: View) -> Result:
    """Section 2.8.5: a list is returned once for each time that it is made available.

    Checked: the same used descriptors as for DX-09; undecided for the same reasons.
    """
    return _returns(view, again=True)


@rule("PD-DE-03", needs=("driver:add", "driver:used", "driver:queue"))
def used_after_available(view: View) -> Result:
    """Section 2.8.10: the device uses a descriptor only after it has become available.

    Checked: each used descriptor that the driver finds: it stands at a place that the lists made
    available have reached. Undecided: all after the driver broke the ring.

    This judges used descriptors at the place where the driver looks for them; DX-10 judges others.
    """
    taken, found = entries(view), lists(view)
    last = np.searchsorted(found.at, taken.at) - 1
    end = np.zeros(len(taken.q), dtype=np.int64)
    if len(found.q):
        same = (last >= 0) & (found.q[last] == taken.q)
        end = np.where(same, found.end[last], found.base[taken.q])
    early = taken.place >= end
    judged = taken.fresh & (_sound(view, taken) | ~early)
    table = Rows.of(view.rings, taken).plus(early=early).where(judged)
    return table.check(
        ~table["early"],
        "{queue}: used id {id} in a descriptor that was not available",
        none=NO_PACKED,
        undecided=int(np.count_nonzero(taken.fresh & ~judged)),
        doubt=UNKNOWN_IDS,
        unless=view.contested(table),
    )


@rule("DX-67", needs=("driver:add", "driver:used", "driver:queue"), also=("DX-37",))
def outstanding_lists_are_taken(view: View) -> Result:
    """Section 2.8.22: the driver takes each used descriptor that returns a list, and nothing else.

    Checked: each used descriptor of a packed queue at the place where the next one has to be, with
    the id of a list that is outstanding by the ring's memory: the driver takes it. A driver that
    looks elsewhere in the ring, or does not know its own id, refuses it; contested where the
    descriptor did not stay as it was meanwhile. And each descriptor that
    the driver takes: its AVAIL and USED bits are both the wrap counter of its place, where the
    tracepoints report them. A driver that gives the queue up without having refused one had looked
    at a descriptor that was not used. With IN_ORDER a driver may take a batch from one descriptor:
    left out.
    """
    taken = entries(view)
    size = np.maximum(view.rings.size[taken.q], 1) if len(taken.q) else taken.q
    wrap = 1 - taken.place // size % 2
    flags = ints(view.rings.of("used"), "flags")[taken.used]
    used = (flags >> AVAIL_BIT & 1 == wrap) & (flags >> USED_BIT & 1 == wrap)
    used |= not traced(view, "used", "flags")
    table = Rows.of(view.rings, taken).plus(used=used, flags=flags)
    table = table.where(((taken.list >= 0) & taken.fresh) | taken.accepted)

    def message(i: int) -> str:
        if table["accepted"][i]:
            return "{queue}: the driver takes a descriptor with flags {flags:#x}, which is not used"
        return "{queue}: used id {id} is outstanding, and the driver does not take it"

    own = table.check(
        table["accepted"] & table["used"],
        message,
        none=NO_PACKED,
        unless=~table["accepted"] & ~table["refused"],
    )
    return own.reporting(tuple(abandoned(view, PACKED)))


def _never_taken(view: View, q: Ints, row: Ints, place: Ints) -> tuple[Bools, Bools]:
    """By row: the driver finds no used descriptor at a place or behind it; and that is certain.

    It is certain where the trace goes on long enough for the device to write one.
    """
    taken = entries(view)
    furthest = np.full(len(view.rings.queue), -1, dtype=np.int64)
    np.maximum.at(furthest, taken.q, taken.place)
    never: Bools = furthest[q] < place if len(q) else q != q
    ts = view.base("ts")[row].astype(np.int64)
    certain: Bools = view.end[0] - ts >= OTHER_SIDE
    return never, certain


def _alone(view: View, q: Ints, at: Ints, id_: Ints) -> Bools:
    """By descriptor: it has the id of the one list that is outstanding by then.

    False for queues that are not of `pykit drive`, which writes all down in the driver's order.
    """
    found, taken = lists(view), entries(view)
    driven = np.isin(q, view.rings.of("returned")["q"])
    alone = np.zeros(len(q), dtype=np.bool_)
    for i in np.flatnonzero(driven).tolist():
        exposed = np.flatnonzero((found.q == q[i]) & (found.at < at[i]))
        back = taken.list[(taken.q == q[i]) & (taken.at < at[i])]
        left = exposed[~np.isin(exposed, back)]
        alone[i] = len(left) == 1 and view.adds.head[found.add[left[0]]] == id_[i]
    return alone


def _stray_at_hang(view: View) -> Result:
    """Check the rings of a guest that hung: none has a used descriptor out of its turn."""
    tally = Tally()
    for found in stray_slots(view):
        if view.contested_queues[found.q]:
            tally.contested()
            continue
        text = f"slot {found.slot} is used (id {found.id}) out of its turn where the guest hangs"
        tally.check(False, found.row, f"{view.rings.name(found.q)}: {text}")
    return tally.result()


@rule("DX-10", needs=("driver:add", "driver:used", "driver:queue"))
def skips_the_whole_list(view: View) -> Result:
    """Section 2.8.1: the device writes each used descriptor where the list before it ended.

    Checked: each used descriptor that the driver finds in its place, which is as many descriptors
    further on as the list before it has, with the wrap counter of that round; and each that stood
    somewhere else when an interrupt brought none in its place. The latter is violated if the
    driver never finds one in its place, for 5 s: a device may write used descriptors of a batch
    in any order, and the first one last. With one list outstanding there is no batch: in `pykit
    drive`, where events have one order, its id somewhere else is enough. Of a guest that hangs also
    the memory of each ring whose next list is not back: no descriptor behind its place is used.
    Queues with IN_ORDER are RF-DE-05's.

    Contested: the driver had broken the ring before.
    """
    rings, taken = view.rings, entries(view)
    frame = rings.of("slot")
    number = ints(frame, "q")
    judged = is_packed(view, number) & one_by_one(view, number)
    pick = np.flatnonzero((ints(frame, "pos") == STRAY) & judged)
    q, at, row = (ints(frame, name)[pick] for name in ("q", "at", "row"))
    before = np.searchsorted(taken.at, at) - 1
    place = np.zeros(len(q), dtype=np.int64)
    if len(taken.q) and len(q):
        same = (before >= 0) & (taken.q[before] == q)
        place = np.where(same, taken.place[before] + 1, 0)
    never, certain = _never_taken(view, q, row, place)
    certain |= _alone(view, q, at, ints(frame, "id")[pick])
    table = Rows.of(rings, frame.take(pick)).plus(never=never)
    table = table.where(never & certain)
    held = int(np.count_nonzero(taken.fresh & (taken.list >= 0)))
    return (
        Result(held, why=NO_PACKED)
        + _stray_at_hang(view)
        + table.check(
            ~table["never"],
            "{queue}: slot {slot} is used (id {id}) out of its turn",
            undecided=int(np.count_nonzero(never & ~certain)),
            unless=view.contested(table),
        )
    )


@rule("PV-DE-02", needs=("qemu:dev_fill", "driver:used", "driver:queue"))
def used_in_order_of_completion(view: View) -> Result:
    """Section 2.8 (device requirements): used descriptors are written in order of completion.

    Checked: each used descriptor of a packed queue that both sides saw from its set-up on: the
    n-th that the driver finds returns the list that the device completed as its n-th, by QEMU's
    log.

    A queue set up more than once in a life is left out: the log does not separate its uses.
    Contested: the driver had broken the ring before.
    """
    taken, found = entries(view), lists(view)
    filled = completed(view)
    mine = np.flatnonzero(taken.fresh & (taken.list >= 0))
    number = np.arange(len(mine)) - np.searchsorted(taken.q[mine], taken.q[mine])
    key = key_of(taken.q[mine], number, PLACES)
    at = np.searchsorted(filled.key, key)
    there = at < len(filled.key)
    at = np.minimum(at, max(len(filled.key) - 1, 0))
    if len(filled.key):
        there &= filled.key[at] == key
        there &= filled.list[at] >= 0
    at, mine = at[there], mine[there]
    first = np.searchsorted(found.q, taken.q[mine])
    expected = filled.list[at] if len(filled.key) else mine
    table = Rows.of(view.rings, taken).take(mine)
    table = table.plus(
        fill=filled.row[at] if len(filled.key) else mine, nth=taken.list[mine] - first
    )
    return table.check(
        taken.list[mine] - first == expected,
        "{queue}: list {nth} is returned out of the order in which the device completed them",
        none="no packed queue was seen from both sides",
        shown=("row", "fill"),
        unless=view.contested(table),
    )


@rule("PV-DE-01", needs=("qemu:dev_pop", "driver:add", "driver:queue"))
def taken_in_ring_order(view: View) -> Result:
    """Section 2.8 (device requirements): the device begins with lists in the order of the ring.

    Checked: each list that the device takes from a packed queue that both sides saw from its
    set-up on, by QEMU's log: it has as many descriptors as the list at that place of the ring. So
    two lists of one length that change places go unseen here; PV-DE-02 and DX-09 have the ids.

    Undecided: a list of which the observer may have read a part alone, as it is longer than the
    queue. Contested: the driver had broken the ring before the list came back, and may have written
    over it.
    """
    rings, found, adds = view.rings, lists(view), view.adds
    back, returning = np.full(len(found.q), NEVER), entries(view)
    known = returning.list >= 0
    back[returning.list[known]] = returning.at[known]
    places = {name: q for q, name in enumerate(rings.queue) if rings.alone[q] and rings.whole[q]}
    chosen, rows, taken = [], [], []
    for name, part in view.columns("dev_pop").by_queue().items():
        low, high = np.searchsorted(found.q, [places.get(name, -1), places.get(name, -1) + 1])
        count = min(int(high - low), len(part))
        chosen.append(np.arange(low, low + count))
        rows.append(part["row"][:count])
        taken.append((part["in_num"] + part["out_num"])[:count])
    none = [np.zeros(0, dtype=np.int64)]
    pick = np.concatenate(chosen or none)
    # PS-DR-02 has such lists.
    cut = adds.chain[found.add[pick]] > rings.size[found.q[pick]] if len(pick) else pick > 0
    table = Rows.of(rings, found).take(pick)
    table = table.plus(
        pop=np.concatenate(rows or none),
        back=back[pick],
        taken=np.concatenate(taken or none),
        chain=adds.chain[found.add[pick]],
    ).where(~cut)
    return table.check(
        table["taken"] == table["chain"],
        "{queue}: {taken} descriptors taken, the list at this place has {chain}",
        none="no packed queue was seen from both sides",
        shown=("row", "pop"),
        undecided=int(np.count_nonzero(cut)),
        doubt="the list is longer than the queue",
        unless=behind(view.soiled, table["q"], table["back"]),
    )


@rule("DX-79", needs=("driver:used", "driver:blk_done", "driver:queue"))
def write_flag_says_what_was_written(view: View) -> Result:
    """Sections 2.8.3 and 2.8.4: WRITE in a used descriptor says that the device has written.

    Without it the used length is reserved. Checked: each used descriptor of a packed queue that
    returns a block request with a status: it has WRITE. With IN_ORDER one stands for a batch and is
    left out.
    """
    rings, used = view.rings, view.used
    ends = Rows.of(rings, rings.of("blk_done"))
    entry = last_before(
        key_of(used.q, used.id, ID_SPAN),
        used.at,
        key_of(ends["q"], ends["head"], ID_SPAN),
        ends["at"],
    )
    one = rings.feature(bits.IN_ORDER)[ends["q"]] != 1 if len(ends) else entry >= 0
    chosen = is_packed(view, ends["q"]) & one & (entry >= 0) & (ends["status"] != _UNWRITTEN)
    ends = ends.plus(entry=entry).where(chosen)
    entry = ends["entry"]
    ends = ends.plus(used=used.row[entry], len=used.len[entry])
    return ends.check(
        ints(rings.of("used"), "flags")[entry] & bits.WRITE != 0,
        "{queue}: used descriptor of id {head}, len {len}, without WRITE: the status was written",
        none=NO_PACKED,
        shown=("used", "row"),
        unless=view.contested_queues[ends["q"]],
    )
