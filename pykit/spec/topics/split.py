# SPDX-License-Identifier: GPL-2.0-only
"""Split virtqueues: what driver and device may write into the rings (section 2.7)."""

from __future__ import annotations

import numpy as np

from pykit.spec import bits
from pykit.spec.abandoned import abandoned
from pykit.spec.arrays import (
    WRAP,
    Bools,
    Ints,
    are,
    count_before,
    exceeds_more,
    first_of,
    grouped_cumsum,
    grouped_max,
    ints,
    signed16,
    steps16,
)
from pykit.spec.model import Result, Violation, rule
from pykit.spec.packed import traced
from pykit.spec.packed_in_order import packed_batches
from pykit.spec.rings import ACCEPTED, PACKED, SPLIT, UNSTEADY
from pykit.spec.rows import Rows
from pykit.spec.soil import avail_steps, disowned, not_there, shared_descriptors
from pykit.spec.topics import vhost
from pykit.spec.topics.pci_registers import SEEN
from pykit.spec.topics.queue_registers import UNALIGNED, aligned
from pykit.spec.topics.stores import stored_indices
from pykit.spec.view import View

MAX_CHAIN = 1 << 32
NO_SPLIT = "no split virtqueue was used"


@rule("VQ-DR-01", needs=f"driver:queue|{SEEN}", local=True)
def ring_alignment(view: View) -> Result:
    """Section 2.7: descriptor table, available and used ring start at multiples of 16, 2 and 4.

    Checked: each set-up of a split queue, and each queue that is enabled by the device's
    registers, by the addresses that were written there.
    """
    setups = view.queue_setups(SPLIT)
    good = (setups["desc"] % 16 == 0) & (setups["avail"] % 2 == 0) & (setups["used"] % 4 == 0)
    own = setups.check(good, f"{{queue}}: {UNALIGNED} (16, 2, 4)", none=NO_SPLIT)
    return own + aligned(view, (16, 2, 4), packed=False)


@rule("NA-DR-01", needs="driver:queue", local=True)
def used_flags_start_at_zero(view: View) -> Result:
    """Section 2.7.10: the driver sets the used ring's flags to 0 when it sets a queue up.

    Checked: each set-up of a split queue.
    """
    setups = view.queue_setups(SPLIT)
    return setups.check(
        setups["used_flags"] == 0,
        "{queue}: used flags are {used_flags} when the ring is set up",
        none=NO_SPLIT,
    )


@rule("DX-29", needs="driver:queue", local=True)
def indices_start_at_zero(view: View) -> Result:
    """Sections 2.6 and 3.1: a queue that is set up after a reset starts at index 0 in both rings.

    Checked: each set-up of a split queue: the indices that the driver put into its memory; and
    each start of a vhost back-end that serves a driver of the same guest, of a queue that was set
    up once: the indices from which the device counts.
    """
    setups = view.queue_setups(SPLIT)
    own = setups.check(
        (setups["avail_idx"] == 0) & (setups["used_idx"] == 0),
        "{queue}: set up by the driver with avail idx {avail_idx}, used idx {used_idx}",
        none=NO_SPLIT,
    )
    return own + vhost.starts(view)


@rule("SA-DR-01", needs="driver:add")
def avail_idx_moves_forward(view: View) -> Result:
    """Section 2.7.6: the driver never takes an available index back, nor chains behind it.

    Checked: each chain made available on a split queue, by the signed 16-bit step from the index
    at the chain before, and by the sum of all steps, which the number of chains bounds.

    - An index may lag behind the chains: a driver may fill several ring entries and then move the
      index over all of them. Only an index that is ahead of the chains is wrong.
    - An index that is too far ahead is reported where it gets ahead, not at each later chain.
    - The first chain of a queue that was joined late is not checked: its previous index is unknown.

    With the access tracer, each store of the index as well: it is not lower than the one before,
    by the signed 16-bit step. A store of 0 may clear a ring that is set up anew.
    """
    rings, adds = view.rings, view.adds
    from_setup = rings.whole[adds.q]
    step, ahead = avail_steps(rings, adds)
    table = Rows.of(rings, adds).plus(step=step, back=-step, ahead=ahead)
    chains = table.where(rings.split(adds.q) & (from_setup | (adds.number > 0)))

    def message(i: int) -> str:
        if chains["step"][i] < 0:
            return "{queue}: avail idx went back by {back} to {avail_idx}"
        return "{queue}: avail idx {avail_idx} is beyond the chains put into the ring"

    made = chains.check((chains["step"] >= 0) & ~chains["ahead"], message, none=NO_SPLIT)
    return made + stored_indices(view)


def _one_entry_a_chain(view: View, q: Ints) -> Bools:
    """By row: whether each used entry of its split queue returns exactly one chain.

    With IN_ORDER one used entry may return a whole batch.
    """
    single: Bools = view.rings.split(q) & (view.rings.feature(bits.IN_ORDER)[q] != 1)
    return single


@rule("DX-04", needs=("driver:add", "driver:used", "driver:queue"))
def ring_never_overcommitted(view: View) -> Result:
    """Sections 2.7.6 and 2.7.13: no more chains are outstanding than the queue has entries.

    Checked: each chain made available on a split queue that was seen from its set-up on.

    - With IN_ORDER one used entry may return a batch, so that entries do not count chains.
    - A surplus is reported where it begins or grows, not at each later chain.
    """
    rings, adds, used = view.rings, view.adds, view.used
    taken = used.accepted == 1
    returned = count_before(used.q[taken], used.at[taken], adds.q, adds.at)
    outstanding = adds.number + 1 - returned
    size = rings.size[adds.q]
    table = Rows.of(rings, adds).plus(
        outstanding=outstanding, size=size, over=exceeds_more(outstanding - size, adds.q)
    )
    chains = table.where(_one_entry_a_chain(view, adds.q) & rings.whole[adds.q])
    return chains.check(
        ~chains["over"], "{queue}: {outstanding} chains outstanding, size {size}", none=NO_SPLIT
    )


@rule("DX-05", needs=("driver:add", "driver:desc", "driver:queue"), local=True, contents=True)
def indices_inside_tables(view: View) -> Result:
    """Section 2.7.5: heads and next fields name descriptors that their table has.

    Checked: each head in an available ring against the queue size, and each next field in use
    against the size of its table, be it the ring's or an indirect one.

    Tables of unknown size (a queue whose set-up was not seen) are left out.
    """
    rings, adds, chains = view.rings, view.adds, view.chains
    heads = Rows.of(rings, adds).plus(size=rings.size[adds.q])
    heads = heads.where(rings.split(adds.q) & (heads["size"] > 0))
    linked = rings.split(chains.q) & (chains.flags & bits.NEXT != 0) & (chains.room > 0)
    links = Rows.of(rings, chains).where(linked)
    return heads.check(
        heads["head"] < heads["size"],
        "{queue}: head {head}, queue size {size}",
        none=NO_SPLIT,
    ) + links.check(
        links["next"] < links["room"],
        "{queue}: descriptor {slot} leads to {next}, its table has {room}",
    )


@rule("DX-07", needs=("driver:add", "driver:desc", "driver:used"), contents=True)
def nothing_exposed_twice(view: View) -> Result:
    """Section 2.7.13: no descriptor belongs to two outstanding chains.

    Checked: each chain made available on a split queue, by its head and by all its descriptors
    in the ring.

    - With IN_ORDER a used entry may return a batch: which descriptors are free is not known.
    - The descriptors of a chain whose head is reused are not looked at: the head is reported, and
      the trace does not show which of the two chains stood in memory.
    """
    rings, adds, pairs = view.rings, view.adds, view.pairs
    judged = _one_entry_a_chain(view, adds.q)
    chains = Rows.of(rings, adds).plus(reused=pairs.reused).where(judged)
    heads = chains.check(
        ~chains["reused"], "{queue}: head {head} is still outstanding", none=NO_SPLIT
    )
    return heads.reporting(_shared_descriptors(view, judged))


def _shared_descriptors(view: View, judged: Bools) -> tuple[Violation, ...]:
    """Ring descriptors of a chain that another chain, still outstanding, holds."""
    rings, adds, chains = view.rings, view.adds, view.chains
    order, holder, shared = shared_descriptors(adds, view.used, view.pairs, chains, judged)
    descriptors = Rows.of(rings, chains).take(order)
    return descriptors.plus(holder=adds.head[holder], holder_row=adds.row[holder]).violations(
        ~shared,
        "{queue}: descriptor {slot} belongs to head {holder}, which is outstanding",
        shown=("row", "holder_row"),
    )


@rule("DX-37", needs="driver:used")
def used_entries_in_order(view: View) -> Result:
    """Section 2.7.14: the driver takes used entries one after the other, and only those there.

    Checked: each used entry that the driver took from a split queue: its index follows that of
    the entry before.

    - With IN_ORDER a driver may take several chains from one entry.
    - A driver that refuses an entry, as its id is not outstanding, may look at it again or go on
      behind it.
    - The first entry of a queue that was joined late has none before it and is not counted.
    - An entry with the id of an outstanding chain, at the place where the next one has to be, is
      taken: a driver that refuses it looks elsewhere, or does not know its own id. Contested: the
      entry did not stay as it was meanwhile.
    - An entry also has to be below the device's used index as the driver read it. That is only
      held against the driver where the device's index never went back: see DX-03.
    - A driver that gives the queue up without having refused an entry had looked at none that was
      there.
    """
    rings, used = view.rings, view.used
    looked = Rows.of(rings, used).where(_one_entry_a_chain(view, used.q))
    accepted = looked["accepted"] == 1
    taken = looked.where(accepted)
    q, index, used_idx = taken["q"], taken["index"], taken["used_idx"]
    first, from_setup = first_of(q), rings.whole[q]
    step = steps16(index, q, np.where(from_setup, rings.used[q], index))
    judged = ~first | from_setup
    out_of_turn = judged & _out_of_turn(view, looked)[accepted]
    absent = not_there(rings, q, index, used_idx)

    def message(i: int) -> str:
        if not out_of_turn[i]:
            return "{queue}: entry {index} taken, used idx is {used_idx}"
        if step[i] <= 0 and not first[i]:
            return "{queue}: entry {index} taken again"
        return "{queue}: entry {index} taken out of turn"

    found = taken.violations(~out_of_turn & ~absent, message)
    own = Result(int(judged.sum()), found, why=NO_SPLIT) + _disowned(view)
    return own.reporting(tuple(abandoned(view, SPLIT)))


def _disowned(view: View) -> Result:
    """Check used entries with the id of an outstanding chain that the driver does not take.

    It looks elsewhere in the ring then, or does not know its own id. Contested: the entry did not
    stay as it was.
    """
    rings, used, pairs = view.rings, view.used, view.pairs
    wrong = disowned(rings, used, pairs) & _one_entry_a_chain(view, used.q)
    text = "{queue}: used id {id} is outstanding, and the driver does not take it"
    unsteady = (used.accepted == UNSTEADY) & (pairs.add_of >= 0) & rings.split(used.q)
    found = Rows.of(rings, used).violations(~wrong, text)
    return Result(0, found, contested=int(unsteady.sum()))


def _out_of_turn(view: View, looked: Rows) -> Bools:
    """By used entry: it, or a refused one since the last that was taken, has a wrong index."""
    q, index, refused = looked["q"], looked["index"], looked["accepted"] != ACCEPTED
    first, from_setup = first_of(q), view.rings.whole[q]
    step = steps16(index, q, np.where(from_setup, view.rings.used[q], index))
    after_refused = np.zeros(len(q), dtype=np.bool_)
    after_refused[1:] = refused[:-1] & ~first[1:]
    right = (step == np.where(first, 0, 1)) | (after_refused & (step == 0))
    wrong = (~right & (~first | from_setup)).astype(np.int64)
    total = np.cumsum(wrong)
    # Up to, and without, the first entry behind the last one that was taken.
    begin = np.maximum.accumulate(np.where(first | np.roll(~refused, 1), np.arange(len(q)), 0))
    since: Bools = total - (total - wrong)[begin] > 0
    return since


_ADDS_AND_USED = ("driver:add|vhost:vhost_get", "driver:used|vhost:vhost_used")


@rule("DX-01", needs=_ADDS_AND_USED)
def used_id_names_outstanding_chain(view: View) -> Result:
    """Section 2.7.8: the id of a used entry is the head of a chain that is outstanding.

    Checked: each used entry of a split queue that is new to the driver, and each that a vhost
    back-end traced. With IN_ORDER an entry stands for a batch and is left out.

    - Undecided: an entry that may return a chain of which the trace has the wrong head (the driver
      reused a head), or one made available before the observer joined the queue.
    - Contested: the driver had broken the ring before, or one of the two had altered an entry of
      the available ring.
    """
    return returned(view, SPLIT, again=False) + vhost.returned(view, again=False)


@rule("DX-02", needs=_ADDS_AND_USED)
def used_once_per_exposure(view: View) -> Result:
    """Section 2.7.8: a chain is returned once for each time that it is made available.

    Checked: the same entries as for DX-01; undecided and contested for the same reasons.
    """
    return returned(view, SPLIT, again=True) + vhost.returned(view, again=True)


def returned(view: View, layout: int, *, again: bool) -> Result:
    """Check ids of used entries: ``again`` for double returns, else for ids not outstanding."""
    if not view.recorded("add", "used"):
        return Result(0)
    rings, used, pairs = view.rings, view.used, view.pairs
    single = rings.feature(bits.IN_ORDER)[used.q] != 1
    judged = (rings.layout[used.q] == layout) & single & used.fresh
    entries = Rows.of(rings, used).plus(again=pairs.again, add_of=pairs.add_of)
    entries = entries.where(judged & ~pairs.excused)
    unless = view.contested(entries)
    text = "was returned before and not made available since" if again else "is not outstanding"
    return entries.check(
        ~entries["again"] if again else entries["add_of"] != -1,
        "{queue}: used id {id} " + text,
        none="no entry was used",
        undecided=int(np.count_nonzero(judged & pairs.excused)),
        doubt="the driver's own trace does not say which head was made available",
        unless=unless,
    )


@rule(
    "DX-03",
    needs=("driver:used|driver:callback|vhost:vhost_used", "driver:add|vhost:vhost_used"),
)
def used_idx_behind_avail_idx(view: View) -> Result:
    """Section 2.7: the used index only moves forward, over chains that were made available.

    Checked: each reading of the used index by the driver on a split queue that was seen from its
    set-up on, that before each chain which it makes available, and each used entry that a vhost
    back-end traced.

    - Readings in interrupt handlers, and those of code that disables callbacks, are left out: they
      run without the lock that orders the driver's adds and its other readings (virtio_net's
      handler disables them), so that an older event may be traced after them.
    - An index that is too far ahead is reported where it gets ahead, not at each later reading.
    - Contested: the driver had moved its own index over entries that it had not filled, or broken
      the ring in another way. The device may have used what stood there.
    """
    if not view.recorded("add"):
        return vhost.used_ahead(view)
    rings, adds = view.rings, view.adds
    frame = rings.of("used", "callback")
    readings = Rows.of(rings, frame).where(are(frame, "used") | (ints(frame, "enable") == 1))
    q = readings["q"]
    step = steps16(readings["used_idx"], q, rings.used[q])
    exposed = count_before(adds.q, adds.at, q, readings["at"])
    ahead = exceeds_more(grouped_cumsum(step, q) - exposed, q)
    readings = readings.plus(back=step < 0, ahead=ahead, exposed=exposed)
    readings = readings.where(rings.split(q) & rings.whole[q])

    def message(i: int) -> str:
        if readings["back"][i]:
            return "{queue}: used idx {used_idx} went back"
        return "{queue}: used idx {used_idx}, {exposed} chains made available"

    # An index that went back is the device's doing whatever the driver wrote.
    own = readings.check(
        ~readings["back"] & ~readings["ahead"],
        message,
        none=NO_SPLIT,
        unless=view.contested(readings) & ~readings["back"],
    )
    return own + _ahead_of_adds(view) + vhost.used_ahead(view)


def _ahead_of_adds(view: View) -> Result:
    """Check the used index as it stood before each chain was made available.

    An interrupt may come between that reading and the event, so that a step back shows nothing.
    """
    rings, adds = view.rings, view.adds
    if not traced(view, "add", "used_idx"):
        return Result(0)
    used_idx = ints(rings.of("add"), "used_idx")
    behind = signed16(rings.used[adds.q] + adds.number - used_idx)
    table = Rows.of(rings, adds).plus(used_idx=used_idx, ahead=exceeds_more(-behind, adds.q))
    table = table.where(rings.split(adds.q) & rings.whole[adds.q])
    return table.check(
        ~table["ahead"],
        "{queue}: used idx {used_idx}, {number} chains made available",
        unless=view.contested(table),
    )


@rule("DX-06", needs=_ADDS_AND_USED)
def used_len_within_buffer(view: View) -> Result:
    """Section 2.7.8: a used entry's len is at most the number of the chain's writable bytes.

    Checked: each used entry whose chain is known, of both layouts, whether or not the driver
    accepted it, and each that a vhost back-end traced. The writable bytes are those that the
    driver handed over, or those of a split ring's descriptors in memory where these are more.

    - Chains whose head was reused while outstanding are left out: the trace does not show which
      of the two the device served.
    - The len of a packed used descriptor without WRITE is reserved (section 2.8.4), so it may be
      anything where the chain has nothing to be written. Where the driver did not report the
      flags it is judged.
    - Contested: the driver had broken the ring before.
    """
    rings, adds, used, pairs = view.rings, view.adds, view.used, view.pairs
    known = pairs.add_of >= 0
    flags = ints(rings.of("used"), "flags", absent=bits.WRITE)
    reserved = (rings.layout[used.q] == PACKED) & (flags & bits.WRITE == 0)
    if not traced(view, "used", "flags"):
        reserved &= False
    entries = Rows.of(rings, used).plus(chain=pairs.add_of, reserved=reserved).where(known)
    entries = entries.where(~pairs.doubtful[entries["chain"]])
    chain = entries["chain"]
    writable = np.maximum(view.writable, adds.writable)
    entries = entries.plus(writable=writable[chain], add_row=adds.row[chain])
    own = entries.check(
        (entries["len"] <= entries["writable"])
        | (entries["reserved"] & (entries["writable"] == 0)),
        "{queue}: used len {len}, writable {writable} bytes",
        none="no chain was returned",
        shown=("row", "add_row"),
        unless=view.contested(entries),
    )
    return own + vhost.lengths(view, served=False)


@rule("RF-DE-05", needs=("driver:add", "driver:used"))
def in_order_use(view: View) -> Result:
    """Section 6: with IN_ORDER the device uses buffers in the order in which they became available.

    Checked: each used entry of a queue with IN_ORDER whose chain is known. Entries may skip
    chains, as one may return a batch; they may not go back. Of a split queue that was seen from its
    set-up on also each entry behind what the one before returned: it returns a chain that is
    outstanding, and the used index is past all that it returns (2.7.8). What stands in the places
    of a batch but the first is nothing. Of a packed queue that was seen from its set-up on each
    used descriptor: it names a list that is outstanding; and none stands out of its turn while the
    one whose turn it is never comes, for 5 s: it is behind a batch that was named otherwise.
    """
    rings, used, pairs = view.rings, view.used, view.pairs
    in_order = rings.feature(bits.IN_ORDER)[used.q] == 1
    entries = Rows.of(rings, used).plus(chain=pairs.add_of).where(in_order & (pairs.add_of >= 0))
    number = view.adds.number[entries["chain"]]
    forward = first_of(entries["q"])
    forward[1:] |= number[1:] >= number[:-1]
    return entries.check(
        forward,
        "{queue}: id {id} returned after a later chain",
        none="IN_ORDER was not negotiated",
        unless=view.contested(entries),
    ) + (_batches(view) + packed_batches(view))


def _batches(view: View) -> Result:
    """Check that entries of split queues return the chains up to the one that they name."""
    rings, used, chain = view.rings, view.used, view.pairs.add_of
    in_order = (rings.feature(bits.IN_ORDER)[used.q] == 1) & rings.split(used.q) & used.fresh
    number = np.where(chain >= 0, np.append(view.adds.number, -1)[chain], -1)
    ends = np.maximum(number + 1, 0)
    returned = np.zeros_like(ends)
    returned[1:] = grouped_max(ends, used.q)[:-1]
    returned[first_of(used.q)] = 0
    # Chains are counted from the set-up on, entries from the index that was there.
    begin = rings.used[used.q] if len(used.q) else used.q
    rows = Rows.of(rings, used).plus(
        number=number, past=(used.used_idx - begin - number - 1) % WRAP, place=used.position - begin
    )
    rows = rows.where(in_order & rings.whole[used.q] & (rows["place"] >= returned))
    short = rows["past"] >= WRAP // 2

    def message(i: int) -> str:
        if short[i]:
            return "{queue}: id {id} returns a batch that ends behind the used index {used_idx}"
        return "{queue}: used id {id} at {index} names no chain that is outstanding"

    return rows.check(
        (rows["number"] >= rows["place"]) & ~short, message, unless=view.contested(rows)
    )


@rule("SD-DR-01", needs=("driver:add", "driver:desc"), contents=True)
def chain_is_finite(view: View) -> Result:
    """Section 2.7.5: a chain has at most 2^32 bytes in all, and thus no loop.

    Checked: each chain of a split queue whose descriptors were seen. Bytes are those of buffer
    elements, not of indirect tables, up to where a chain meets a descriptor again.
    """
    rings, adds, chains = view.rings, view.adds, view.chains
    size = np.zeros(len(adds.q), dtype=np.int64)
    np.add.at(size, chains.chain, np.where(chains.element & chains.good, chains.len, 0))
    table = Rows.of(rings, adds).plus(looped=chains.looped, bytes=size)
    table = table.where(chains.seen & rings.split(adds.q))

    def message(i: int) -> str:
        if table["looped"][i]:
            return "{queue}: the chain at head {head} loops"
        return "{queue}: the chain at head {head} has {bytes} bytes"

    return table.check(~table["looped"] & (table["bytes"] <= MAX_CHAIN), message, none=NO_SPLIT)


@rule("SD-DR-02", needs=("driver:add", "driver:desc", "driver:queue"), contents=True)
def in_order_last_link(view: View) -> Result:
    """Section 2.7.5: with IN_ORDER, next of the descriptor table's last entry is 0.

    Checked: each last descriptor of a split ring with the NEXT flag.
    """
    return _in_order_links(view, last=True)


@rule("SD-DR-03", needs=("driver:add", "driver:desc", "driver:queue"), contents=True)
def in_order_links(view: View) -> Result:
    """Section 2.7.5: with IN_ORDER, next of entry x of the descriptor table is x + 1.

    Checked: each descriptor of a split ring with the NEXT flag, but for the table's last.
    """
    return _in_order_links(view, last=False)


def _in_order_links(view: View, *, last: bool) -> Result:
    """Check next fields of ring descriptors with IN_ORDER: of the ``last`` ones or the others."""
    rings, chains = view.rings, view.chains
    size = rings.size[chains.q]
    wrap = chains.slot == size - 1
    judged = (rings.feature(bits.IN_ORDER)[chains.q] == 1) & rings.split(chains.q) & (size > 0)
    judged &= (chains.table == 0) & (chains.flags & bits.NEXT != 0) & (wrap == last)
    links = Rows.of(rings, chains).where(judged)
    return links.check(
        links["next"] == (0 if last else links["slot"] + 1),
        "{queue}: descriptor {slot} leads to {next}",
        none="IN_ORDER was not negotiated on a split ring",
    )
