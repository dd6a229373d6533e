# SPDX-License-Identifier: GPL-2.0-only
"""Ways to spoil a chain before it is exposed: functions from a draft to a draft.

Each function changes one thing. Rows of cases/*.toml name it and say where.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from pykit.drive.chain import Draft, RingDescriptor
from pykit.drive.ring import Ring
from pykit.errors import UsageError
from pykit.spec.bits import DESC_BYTES, INDIRECT, NEXT, WRITE

#: Which descriptor of the chain.
Where = Literal["first", "middle", "last"]
Spoil = Callable[[Draft, Ring, Where], None]
SPOILS: dict[str, Spoil] = {}


def spoil(name: str) -> Callable[[Spoil], Spoil]:
    """Register a function under the name that rows of cases use."""

    def register(function: Spoil) -> Spoil:
        if name in SPOILS:
            raise ValueError(f"two ways to spoil a chain are called {name}")
        SPOILS[name] = function
        return function

    return register


def position(draft: Draft, where: Where) -> int:
    """The position along the chain of the descriptor that is meant."""
    last = len(draft.elements) - 1
    return {"first": 0, "middle": last // 2, "last": last}[where]


def _change(draft: Draft, where: Where, **fields: int) -> None:
    at = position(draft, where)
    draft.put(at, replace(draft.elements[at], **fields))


def _flags(draft: Draft, where: Where, flags: int = 0, without: int = 0) -> None:
    at = position(draft, where)
    draft.put(at, draft.elements[at].having(flags=flags, without=without))


def _own_number(draft: Draft, at: int) -> int:
    """What ``next`` names a descriptor by: slot of the ring, or index of the table."""
    return at if draft.table else draft.slots[at][0]


def _count(draft: Draft, ring: Ring) -> int:
    """How many descriptors the ring, or the table, has."""
    return len(draft.table) or ring.size


@spoil("nothing")
def _nothing(draft: Draft, ring: Ring, where: Where) -> None:
    """Leave the chain as it is: the conforming row."""


# Where a descriptor leads.


@spoil("next-itself")
def _next_itself(draft: Draft, ring: Ring, where: Where) -> None:
    at = position(draft, where)
    found = replace(draft.elements[at], next=_own_number(draft, at))
    draft.put(at, found.having(flags=NEXT))


@spoil("next-first")
def _next_first(draft: Draft, ring: Ring, where: Where) -> None:
    at = position(draft, where)
    draft.put(at, replace(draft.elements[at], next=_own_number(draft, 0)).having(flags=NEXT))


@spoil("next-just-outside")
def _next_just_outside(draft: Draft, ring: Ring, where: Where) -> None:
    at = position(draft, where)
    draft.put(at, replace(draft.elements[at], next=_count(draft, ring)).having(flags=NEXT))


@spoil("next-far-outside")
def _next_far_outside(draft: Draft, ring: Ring, where: Where) -> None:
    at = position(draft, where)
    draft.put(at, replace(draft.elements[at], next=0xFFFF).having(flags=NEXT))


@spoil("next-unused")
def _next_unused(draft: Draft, ring: Ring, where: Where) -> None:
    at = position(draft, where)
    draft.put(at, replace(draft.elements[at], next=ring.size - 1).having(flags=NEXT))


@spoil("chain-cut")
def _chain_cut(draft: Draft, ring: Ring, where: Where) -> None:
    _flags(draft, where, without=NEXT)


# What a descriptor is for.


@spoil("write-set")
def _write_set(draft: Draft, ring: Ring, where: Where) -> None:
    _flags(draft, where, flags=WRITE)


@spoil("write-cleared")
def _write_cleared(draft: Draft, ring: Ring, where: Where) -> None:
    _flags(draft, where, without=WRITE)


@spoil("indirect-set")
def _indirect_set(draft: Draft, ring: Ring, where: Where) -> None:
    _flags(draft, where, flags=INDIRECT)


@spoil("reserved-flags")
def _reserved_flags(draft: Draft, ring: Ring, where: Where) -> None:
    # Bits 7 and 15 are those of packed rings, so they are left alone.
    _flags(draft, where, flags=0x7F78)


@spoil("writable-first")
def _writable_first(draft: Draft, ring: Ring, where: Where) -> None:
    """Exchange the first and the last buffer: a writable one stands before a readable one."""
    first, last = draft.elements[0], draft.elements[-1]
    keep = NEXT
    draft.put(
        0,
        replace(first, address=last.address, length=last.length).having(
            flags=last.flags & WRITE, without=WRITE if not last.flags & WRITE else 0
        ),
    )
    changed = replace(last, address=first.address, length=first.length)
    draft.put(
        len(draft.elements) - 1,
        changed.having(without=WRITE | keep) if not first.flags & WRITE else changed,
    )


# How long a buffer is.


@spoil("length-zero")
def _length_zero(draft: Draft, ring: Ring, where: Where) -> None:
    _change(draft, where, length=0)


@spoil("length-one-less")
def _length_one_less(draft: Draft, ring: Ring, where: Where) -> None:
    at = position(draft, where)
    _change(draft, where, length=max(draft.elements[at].length - 1, 0))


@spoil("length-greatest")
def _length_greatest(draft: Draft, ring: Ring, where: Where) -> None:
    _change(draft, where, length=0xFFFFFFFF)


@spoil("length-past-end")
def _length_past_end(draft: Draft, ring: Ring, where: Where) -> None:
    """Let a buffer begin in guest memory and end behind it."""
    length = draft.elements[position(draft, where)].length
    end = ring.memory.base + ring.memory.size
    _change(draft, where, address=end - max(length // 2, 1), length=max(length, 2))


# Where a buffer is.


@spoil("address-zero")
def _address_zero(draft: Draft, ring: Ring, where: Where) -> None:
    _change(draft, where, address=0)


@spoil("address-before")
def _address_before(draft: Draft, ring: Ring, where: Where) -> None:
    _change(draft, where, address=ring.memory.base - 8)


@spoil("address-behind")
def _address_behind(draft: Draft, ring: Ring, where: Where) -> None:
    _change(draft, where, address=ring.memory.base + ring.memory.size)


@spoil("address-greatest")
def _address_greatest(draft: Draft, ring: Ring, where: Where) -> None:
    _change(draft, where, address=(1 << 64) - 1)


@spoil("address-wraps")
def _address_wraps(draft: Draft, ring: Ring, where: Where) -> None:
    length = draft.elements[position(draft, where)].length
    _change(draft, where, address=(1 << 64) - max(length // 2, 1))


@spoil("address-high-half")
def _address_high_half(draft: Draft, ring: Ring, where: Where) -> None:
    at = position(draft, where)
    _change(draft, where, address=draft.elements[at].address | 1 << 63)


@spoil("address-of-descriptors")
def _address_of_descriptors(draft: Draft, ring: Ring, where: Where) -> None:
    _change(draft, where, address=ring.desc)


@spoil("address-of-driver-area")
def _address_of_driver_area(draft: Draft, ring: Ring, where: Where) -> None:
    _change(draft, where, address=ring.driver)


@spoil("address-of-device-area")
def _address_of_device_area(draft: Draft, ring: Ring, where: Where) -> None:
    _change(draft, where, address=ring.device)


# Indirect tables.


def _outer(draft: Draft, **fields: int) -> None:
    if not draft.table:
        raise UsageError("a chain without an indirect table cannot be spoilt there")
    slot, descriptor = draft.slots[-1]
    draft.slots[-1] = (slot, replace(descriptor, **fields))


@spoil("table-length-zero")
def _table_length_zero(draft: Draft, ring: Ring, where: Where) -> None:
    _outer(draft, length=0)


@spoil("table-length-odd")
def _table_length_odd(draft: Draft, ring: Ring, where: Where) -> None:
    _outer(draft, length=draft.table_bytes - DESC_BYTES // 2)


@spoil("table-length-short")
def _table_length_short(draft: Draft, ring: Ring, where: Where) -> None:
    _outer(draft, length=draft.table_bytes - DESC_BYTES)


@spoil("table-length-greatest")
def _table_length_greatest(draft: Draft, ring: Ring, where: Where) -> None:
    _outer(draft, length=0xFFFFFFF0)


@spoil("table-past-end")
def _table_past_end(draft: Draft, ring: Ring, where: Where) -> None:
    _outer(draft, address=ring.memory.base + ring.memory.size - DESC_BYTES)


@spoil("table-outside")
def _table_outside(draft: Draft, ring: Ring, where: Where) -> None:
    _outer(draft, address=ring.memory.base + ring.memory.size + (1 << 40))


@spoil("table-address-wraps")
def _table_address_wraps(draft: Draft, ring: Ring, where: Where) -> None:
    _outer(draft, address=(1 << 64) - DESC_BYTES)


@spoil("table-not-aligned")
def _table_not_aligned(draft: Draft, ring: Ring, where: Where) -> None:
    """Move the table by one byte; nothing in the specification wants it aligned."""
    draft.table_at += 1
    _outer(draft, address=draft.table_at)


@spoil("table-in-chain")
def _table_in_chain(draft: Draft, ring: Ring, where: Where) -> None:
    flags = draft.slots[-1][1].flags
    _outer(draft, flags=flags | NEXT, next=ring.size - 1)


@spoil("table-writable")
def _table_writable(draft: Draft, ring: Ring, where: Where) -> None:
    """Set WRITE beside INDIRECT: the device has to ignore it (section 2.7.5.3)."""
    _outer(draft, flags=draft.slots[-1][1].flags | WRITE)


@spoil("table-in-table")
def _table_in_table(draft: Draft, ring: Ring, where: Where) -> None:
    if not draft.table:
        raise UsageError("the chain has no table")
    at = position(draft, where)
    inner = RingDescriptor(
        draft.table_at, draft.table_bytes, INDIRECT | draft.table[at].flags & NEXT
    )
    draft.put(at, replace(inner, next=draft.table[at].next))


# The available ring, and the buffer id.


@spoil("head-just-outside")
def _head_just_outside(draft: Draft, ring: Ring, where: Where) -> None:
    draft.head = ring.size


@spoil("head-far-outside")
def _head_far_outside(draft: Draft, ring: Ring, where: Where) -> None:
    draft.head = 0xFFFF


@spoil("head-unused")
def _head_unused(draft: Draft, ring: Ring, where: Where) -> None:
    draft.head = ring.size - 1


@spoil("head-of-middle")
def _head_of_middle(draft: Draft, ring: Ring, where: Where) -> None:
    draft.head = draft.slots[len(draft.slots) // 2][0]


@spoil("index-not-moved")
def _index_not_moved(draft: Draft, ring: Ring, where: Where) -> None:
    draft.step = 0


@spoil("index-two-further")
def _index_two_further(draft: Draft, ring: Ring, where: Where) -> None:
    draft.step = 2


@spoil("index-beyond-queue")
def _index_beyond_queue(draft: Draft, ring: Ring, where: Where) -> None:
    draft.step = ring.size + 1


@spoil("index-half-way-round")
def _index_half_way_round(draft: Draft, ring: Ring, where: Where) -> None:
    draft.step = 1 << 15


@spoil("index-backward")
def _index_backward(draft: Draft, ring: Ring, where: Where) -> None:
    draft.step = -1


# Packed rings alone.


@spoil("element-unready")
def _element_unready(draft: Draft, ring: Ring, where: Where) -> None:
    """Leave an element of the list with the flags of the lap before."""
    draft.unready.add(position(draft, where))


@spoil("id-just-outside")
def _id_just_outside(draft: Draft, ring: Ring, where: Where) -> None:
    _change_id(draft, ring.size)


@spoil("id-greatest")
def _id_greatest(draft: Draft, ring: Ring, where: Where) -> None:
    _change_id(draft, 0xFFFF)


def _change_id(draft: Draft, number: int) -> None:
    slot, descriptor = draft.slots[-1]
    draft.slots[-1] = (slot, replace(descriptor, next=number))
    draft.head = number
