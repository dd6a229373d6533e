# SPDX-License-Identifier: GPL-2.0-only
"""Indirect descriptors of split virtqueues (section 2.7.5.3), and lengths of all tables."""

from __future__ import annotations

from pykit.spec import bits
from pykit.spec.blkconfig import FRAME, SEG_MAX
from pykit.spec.model import Result, rule
from pykit.spec.rings import SPLIT
from pykit.spec.rows import Rows
from pykit.spec.topics.packed_memory import table_lengths
from pykit.spec.view import View

NO_INDIRECT = "no indirect descriptor was used"


@rule("SI-DR-01", needs=("driver:add", "driver:desc"), contents=True)
def indirect_only_if_negotiated(view: View) -> Result:
    """Section 2.7.5.3: a descriptor has the INDIRECT flag only with INDIRECT_DESC negotiated.

    Checked: without the feature each descriptor of a split ring; with it those with the flag.
    Where it is not known what was negotiated, nothing is.
    """
    return indirect_if_negotiated(view, SPLIT)


def indirect_if_negotiated(view: View, layout: int) -> Result:
    """Check that ring descriptors with INDIRECT have the feature."""
    rings, chains = view.rings, view.chains
    negotiated = rings.feature(bits.INDIRECT_DESC)[chains.q]
    indirect = chains.flags & bits.INDIRECT != 0
    judged = (rings.layout[chains.q] == layout) & (chains.table == 0)
    judged &= (negotiated == 0) | ((negotiated == 1) & indirect)
    table = Rows.of(rings, chains).plus(allowed=(negotiated == 1) | ~indirect).where(judged)
    return table.check(table["allowed"], "{queue}: descriptor {slot} is indirect", none=NO_INDIRECT)


@rule("SI-DR-02", needs=("driver:add", "driver:desc"), local=True, contents=True)
def no_table_inside_a_table(view: View) -> Result:
    """Section 2.7.5.3: no entry of an indirect table has the INDIRECT flag.

    Checked: each entry of an indirect table of a split queue that a chain reaches.
    """
    rings, chains = view.rings, view.chains
    entries = Rows.of(rings, chains).where(rings.split(chains.q) & (chains.table == 1))
    return entries.check(
        entries["flags"] & bits.INDIRECT == 0,
        "{queue}: entry {slot} of a table is indirect",
        none=NO_INDIRECT,
    )


@rule("SI-DR-03", needs=("driver:add", "driver:desc", "driver:queue"), contents=True)
def chain_fits_queue(view: View) -> Result:
    """Section 2.7.5.3: no chain is longer than the queue size, indirect descriptors included.

    Checked: each chain of a split queue of known size whose descriptors were seen. A chain that
    loops has no length; SD-DR-01 reports it. A device that allows longer chains in seg_max does
    not change what the driver may make (DX-24 reports that device); the message mentions it.
    """
    return fits_queue(view, SPLIT)


def fits_queue(view: View, layout: int) -> Result:
    """Check that chains have at most as many buffer elements as the queue has descriptors."""
    rings, adds, chains = view.rings, view.adds, view.chains
    size = rings.size[adds.q]
    judged = (rings.layout[adds.q] == layout) & (size > 0) & chains.seen & ~chains.looped
    table = Rows.of(rings, adds).plus(elements=chains.elements, size=size).where(judged)

    def message(i: int) -> str:
        allowed = table["elements"][i] <= _allowed(view, int(table["q"][i]))
        text = "{queue}: {elements} descriptors, queue size {size}"
        return text + (", as the device's seg_max allows" if allowed else "")

    return table.check(
        table["elements"] <= table["size"], message, none="no such chain was made available"
    )


def _allowed(view: View, q: int) -> int:
    """Return the longest chain that a block device's seg_max allows on a queue; 0 if unknown."""
    life = view.life(*view.rings.queue[q][:2])
    if not life.has(bits.BLK_SEG_MAX):
        return 0
    return max((most + FRAME for _, most in life.reads(SEG_MAX.offset, SEG_MAX.width)), default=0)


@rule("SI-DR-04", needs=("driver:add", "driver:desc"), local=True, contents=True)
def indirect_ends_the_ring_chain(view: View) -> Result:
    """Section 2.7.5.3: no descriptor has both INDIRECT and NEXT.

    Checked: each descriptor of a split queue with the INDIRECT flag.
    """
    rings, chains = view.rings, view.chains
    indirect = chains.flags & bits.INDIRECT != 0
    table = Rows.of(rings, chains).where(rings.split(chains.q) & indirect)
    return table.check(
        table["flags"] & bits.NEXT == 0,
        "{queue}: descriptor {slot} has INDIRECT and NEXT",
        none=NO_INDIRECT,
    )


@rule("SI-DR-05", needs=("driver:add", "driver:desc"), contents=True)
def in_order_tables_are_sequential(view: View) -> Result:
    """Section 2.7.5.3: with IN_ORDER, next of entry x of an indirect table is x + 1.

    Checked: each entry of such a table with the NEXT flag, on split queues.
    """
    rings, chains = view.rings, view.chains
    judged = rings.split(chains.q) & (chains.table == 1) & (chains.flags & bits.NEXT != 0)
    judged &= rings.feature(bits.IN_ORDER)[chains.q] == 1
    entries = Rows.of(rings, chains).where(judged)
    return entries.check(
        entries["next"] == entries["slot"] + 1,
        "{queue}: entry {slot} leads to {next}",
        none="no indirect table with IN_ORDER",
    )


@rule("DX-08", needs=("driver:add", "driver:desc"), contents=True)
def table_length(view: View) -> Result:
    """Section 2.7.5.3: an indirect table's length is a multiple of 16 and holds all its entries.

    Checked: each descriptor that refers to an indirect table. Reported are a length that is 0 or
    no multiple, and each entry of a split queue that lies, or leads, outside its table. In packed
    rings the length is that of ring memory; where it may be the device's it is undecided.
    """
    rings, chains = view.rings, view.chains
    split = rings.split(chains.q)
    refers = split & ~chains.element
    whole = (chains.len > 0) & (chains.len % bits.DESC_BYTES == 0)
    odd = refers & ~whole
    entry = split & (chains.table == 1)
    leads_out = (chains.flags & bits.NEXT != 0) & (chains.next >= chains.room)
    outside = entry & ((chains.slot >= chains.room) | leads_out)

    def message(i: int) -> str:
        if odd[i]:
            return "{queue}: an indirect table of {len} bytes"
        return "{queue}: entry {slot} leads outside a table of {room}"

    table = Rows.of(rings, chains)
    tables = Result(int(refers.sum()), why=NO_INDIRECT)
    return tables.reporting(table.violations(~odd & ~outside, message)) + table_lengths(view)
