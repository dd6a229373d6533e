# SPDX-License-Identifier: GPL-2.0-only
"""Elements of chains (sections 2.7.4, 2.7.5, 2.8.5): their order, their flags, where they lie."""

from __future__ import annotations

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import Bools, Ints
from pykit.spec.model import Result, rule
from pykit.spec.packed import slots
from pykit.spec.rings import PACKED, SPLIT
from pykit.spec.rows import Rows
from pykit.spec.view import View
from pykit.trace.kinds import DIFFERS_NONE, SET_UP


@rule("MF-DR-01", needs=("driver:add", "driver:desc"), contents=True)
def readable_before_writable(view: View) -> Result:
    """Section 2.7.4: all elements that the device writes stand behind all that it reads.

    Checked: each chain of a split queue whose descriptors were seen, up to where the chain meets
    a descriptor again: what follows in a loop has no place in an order.
    """
    return readable_first(view, SPLIT)


def readable_first(view: View, layout: int) -> Result:
    """Check that no chain has a readable element behind a writable one."""
    rings, adds, chains = view.rings, view.adds, view.chains
    element = np.flatnonzero(chains.element & chains.good & (rings.layout[chains.q] == layout))
    chain = chains.chain[element]
    writable = chains.flags[element] & bits.WRITE != 0
    first_writable = np.full(len(adds.q), len(chains.q), dtype=np.int64)
    np.minimum.at(first_writable, chain[writable], element[writable])
    last_readable = np.full(len(adds.q), -1, dtype=np.int64)
    np.maximum.at(last_readable, chain[~writable], element[~writable])
    seen = np.zeros(len(adds.q), dtype=np.bool_)
    seen[chain] = True
    table = Rows.of(rings, adds).plus(first_writable=first_writable, last_readable=last_readable)
    table = table.where(seen)
    readable = table["last_readable"]
    table = table.plus(readable_row=chains.row[readable])
    return table.check(
        readable <= table["first_writable"],
        "{queue}: the chain at head {head} has a readable element behind a writable one",
        none="no chain's descriptors were seen",
        shown=("row", "readable_row"),
    )


#: From so many elements of a chain on, each shorter than that and behind the one before it, a
#: buffer is in more descriptors than it needs: no page boundary is between them.
_MANY, _SHORT = 8, 4096


@rule("MF-DR-02", needs=("driver:add", "driver:desc|driver:slot"), contents=True)
def buffers_are_not_cut_up(view: View) -> Result:
    """Section 2.7.4: the driver does not use an excessive number of descriptors for a buffer.

    Checked: each chain whose descriptors were seen: fewer than 8 of its elements are shorter than
    4096 bytes, lie behind the element before them in one page of memory and go the same way. What
    is excessive the specification does not say: elements that are longer, or elsewhere, count as
    needed.
    """
    adds, chains = view.adds, view.chains
    element = np.flatnonzero(chains.element & chains.good)
    before, after = element[:-1], element[1:]
    end = chains.addr[before] + chains.len[before]
    joined = (chains.chain[before] == chains.chain[after]) & (end == chains.addr[after])
    joined &= (chains.flags[before] ^ chains.flags[after]) & bits.WRITE == 0
    joined &= (chains.len[after] < _SHORT) & (chains.addr[after] % _SHORT != 0)
    more = np.bincount(chains.chain[after[joined]], minlength=len(adds.q))
    seen = np.zeros(len(adds.q), dtype=np.bool_)
    seen[chains.chain[element]] = True
    table = Rows.of(view.rings, adds).plus(more=more).where(seen)
    return table.check(
        table["more"] < _MANY,
        "{queue}: {more} elements of the chain at head {head} go on where the last one ends",
        none="no chain's descriptors were seen",
    )


#: Flags that are defined: of each descriptor, and of those of a packed ring.
_FLAGS = bits.NEXT | bits.WRITE | bits.INDIRECT
_RING_FLAGS = _FLAGS | 1 << 7 | 1 << 15


@rule("DX-84", needs=("driver:add", "driver:desc|driver:slot"), contents=True)
def flags_are_defined(view: View) -> Result:
    """Sections 2.7.5 and 2.8.5: a descriptor has the flags NEXT, WRITE and INDIRECT, in a packed
    ring AVAIL and USED, and no others.

    Checked: each descriptor of a split queue, and each in a packed ring that the device had not
    used when it was traced. PI-DR-02 has the tables of packed rings.
    """
    rings, chains = view.rings, view.chains
    split = Rows.of(rings, chains).where(rings.split(chains.q) & chains.good)
    found = split.check(
        split["flags"] & ~_FLAGS == 0,
        "{queue}: descriptor {slot} has flags {flags:#x}",
        none="no chain's descriptors were seen",
    )
    memory = slots(view)
    packed = Rows.of(rings, memory).where(memory.mine)
    return found + packed.check(
        packed["flags"] & ~_RING_FLAGS == 0, "{queue}: descriptor {slot} has flags {flags:#x}"
    )


@rule("DX-93", needs="driver:add", contents=True)
def descriptors_are_those_of_the_buffers(view: View) -> Result:
    """Sections 2.7.5 and 2.8.5: each buffer of a request has a descriptor, with its address, its
    length and its direction.

    Checked: each chain, as it stood in memory right after it was made available, against the
    buffers that the driver's upper half gave to be made available. Where a driver maps its memory
    for the device (ACCESS_PLATFORM), the addresses are its own, and nothing is compared.
    """
    adds = Rows.of(view.rings, view.rings.of("add"))
    adds = adds.where(adds["differs"] != 0)
    return adds.check(
        adds["differs"] == DIFFERS_NONE,
        "{queue}: descriptor {differs} of the chain with head {head} is not that of its buffer",
        none="no chain was compared with the buffers that it is made of",
    )


@rule("DX-86", needs=("driver:add", "driver:desc", "driver:queue"), contents=True)
def buffers_are_outside_the_ring(view: View) -> Result:
    """Sections 2.7 and 2.8: what the device writes as a buffer is no part of its queue's ring.

    Checked: each element that the device writes, against the three areas of its own queue: a
    driver may have used the memory of another queue's for something else since then.
    """
    rings, chains = view.rings, view.chains
    rows = Rows.of(rings, chains).plus(inside=_in_ring(view))
    known = rings.whole[chains.q] & (rings.size[chains.q] > 0)
    rows = rows.where(chains.element & (chains.flags & bits.WRITE != 0) & known & chains.good)
    return rows.check(
        ~rows["inside"],
        "{queue}: a buffer of {len:byte} at {addr:#x}, which the device writes, lies in the ring",
        none="no chain's descriptors were seen",
    )


def _in_ring(view: View) -> Bools:
    """By descriptor: its buffer lies in one of the three areas of its queue."""
    rings, chains = view.rings, view.chains
    setups = rings.of("queue")
    setups = setups.take(setups["op"] == SET_UP)
    areas = np.zeros((len(rings.queue), 3, 2), dtype=np.int64)
    for place, name in enumerate(("desc", "avail", "used")):
        areas[setups["q"], place, 0] = setups[name]
    for q, size in enumerate(rings.size.tolist()):
        areas[q, :, 1] = area_lengths(size, packed=rings.layout[q] == PACKED)
    found = np.zeros(len(chains.q), dtype=np.bool_)
    first: Ints = chains.addr
    for place in range(3):
        begin = areas[chains.q, place, 0]
        end = begin + areas[chains.q, place, 1]
        found |= (begin != 0) & (first < end) & (first + chains.len > begin)
    return found


def area_lengths(size: int, *, packed: bool) -> tuple[int, int, int]:
    """Bytes of descriptors, of what the driver writes, and of what the device writes."""
    if packed:
        return bits.DESC_BYTES * size, 4, 4
    return bits.DESC_BYTES * size, 4 + 2 * size, 4 + 8 * size
