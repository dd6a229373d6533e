# SPDX-License-Identifier: GPL-2.0-only
"""Ways to spoil more than one descriptor: whole chains, entries, events, and places of others.

They are registered beside those of pykit/drive/spoil.py.
"""

from __future__ import annotations

import struct
from dataclasses import replace

from pykit.drive.chain import Draft
from pykit.drive.ring import Ring
from pykit.drive.spoil import SPOILS, Where, position, spoil
from pykit.errors import UsageError
from pykit.spec.bits import DESC_BYTES, NEXT

__all__ = ["SPOILS"]

_PAGE = 4096
#: Of a PC: where QEMU's devices have their registers here, the local APIC, the hole below 1 MiB.
_REGISTERS, _APIC, _HOLE = 0xE0000000, 0xFEE00000, 0xA0000
#: Flags that say of a packed descriptor whose it is.
_PHASE = 0x8080


def _put(draft: Draft, where: Where, **fields: int) -> None:
    at = position(draft, where)
    draft.put(at, replace(draft.elements[at], **fields))


# How long a chain is.


@spoil("chain-longer-than-queue")
def _chain_longer_than_queue(draft: Draft, ring: Ring, where: Where) -> None:
    """Have one descriptor more than the queue in a table, or all of them in a ring without end."""
    if not draft.table:
        ring.lengthen(draft)
        return
    first, last = draft.table[0], draft.table[-1]
    filling = draft.table[len(draft.table) // 2]
    count = ring.size + 1
    chain = [first, *[filling] * (count - 2)]
    draft.table = [replace(d, next=i + 1).having(flags=NEXT) for i, d in enumerate(chain)]
    draft.table.append(last)
    draft.table_at = ring.memory.allocate(draft.table_bytes)
    slot, outer = draft.slots[0]
    draft.slots[0] = (slot, replace(outer, address=draft.table_at, length=draft.table_bytes))


@spoil("table-across-pages")
def _table_across_pages(draft: Draft, ring: Ring, where: Where) -> None:
    """Have the first descriptor of a table on one page and the others on the next."""
    at = ring.memory.allocate(2 * _PAGE)
    draft.table_at = -(-at // _PAGE) * _PAGE + _PAGE - DESC_BYTES
    if draft.table_at + draft.table_bytes > at + 2 * _PAGE:
        draft.table_at -= _PAGE
    slot, outer = draft.slots[0]
    draft.slots[0] = (slot, replace(outer, address=draft.table_at))


# Where a buffer is.


@spoil("nothing-at-zero")
def _nothing_at_zero(draft: Draft, ring: Ring, where: Where) -> None:
    _put(draft, where, address=0, length=0)


@spoil("all-bits")
def _all_bits(draft: Draft, ring: Ring, where: Where) -> None:
    """Set all bits of a descriptor, but those that say whose it is in a packed ring."""
    at = position(draft, where)
    flags = draft.elements[at].flags | (0xFFFF & ~_PHASE)
    _put(draft, where, address=(1 << 64) - 1, length=0xFFFFFFFF, flags=flags, next=0xFFFF)


@spoil("address-of-registers")
def _address_of_registers(draft: Draft, ring: Ring, where: Where) -> None:
    _put(draft, where, address=_REGISTERS)


@spoil("address-of-local-apic")
def _address_of_local_apic(draft: Draft, ring: Ring, where: Where) -> None:
    _put(draft, where, address=_APIC)


@spoil("address-across-hole")
def _address_across_hole(draft: Draft, ring: Ring, where: Where) -> None:
    length = draft.elements[position(draft, where)].length
    _put(draft, where, address=_HOLE - max(length // 2, 1))


@spoil("address-wraps-and-goes-on")
def _address_wraps_and_goes_on(draft: Draft, ring: Ring, where: Where) -> None:
    """Let a buffer end behind the last address, and the next one begin where it ends."""
    at = position(draft, where)
    length = draft.elements[at].length
    _put(draft, where, address=(1 << 64) - max(length // 2, 1))
    if at + 1 < len(draft.elements):
        draft.put(at + 1, replace(draft.elements[at + 1], address=length - max(length // 2, 1)))


@spoil("buffer-in-flight")
def _buffer_in_flight(draft: Draft, ring: Ring, where: Where) -> None:
    """Use the buffer of a request that the device has."""
    other = _in_flight(ring).elements[-1]
    _put(draft, where, address=other.address, length=other.length)


@spoil("address-of-other-descriptors")
def _address_of_other_descriptors(draft: Draft, ring: Ring, where: Where) -> None:
    _put(draft, where, address=_neighbour(ring).desc)


@spoil("address-of-other-driver-area")
def _address_of_other_driver_area(draft: Draft, ring: Ring, where: Where) -> None:
    _put(draft, where, address=_neighbour(ring).driver)


@spoil("address-of-other-device-area")
def _address_of_other_device_area(draft: Draft, ring: Ring, where: Where) -> None:
    _put(draft, where, address=_neighbour(ring).device)


@spoil("table-in-other-queue")
def _table_in_other_queue(draft: Draft, ring: Ring, where: Where) -> None:
    """Let the descriptor of a table lead to the descriptors of another queue."""
    slot, outer = draft.slots[0]
    draft.slots[0] = (slot, replace(outer, address=_neighbour(ring).desc))


def _neighbour(ring: Ring) -> Ring:
    if ring.neighbour is None:
        raise UsageError("the device has one queue")
    return ring.neighbour


def _in_flight(ring: Ring) -> Draft:
    if not ring.outstanding:
        raise UsageError("nothing is in flight: the queue has no room for it")
    return next(iter(ring.outstanding.values()))


# Entries of the available ring, and buffer ids.


@spoil("head-twice")
def _head_twice(draft: Draft, ring: Ring, where: Where) -> None:
    draft.again, draft.step = 1, 2


@spoil("head-in-all-entries")
def _head_in_all_entries(draft: Draft, ring: Ring, where: Where) -> None:
    draft.again, draft.step = ring.size - 1, ring.size


@spoil("heads-all-outside")
def _heads_all_outside(draft: Draft, ring: Ring, where: Where) -> None:
    draft.again, draft.step, draft.head = ring.size - 1, ring.size, ring.size


@spoil("id-in-flight")
def _id_in_flight(draft: Draft, ring: Ring, where: Where) -> None:
    slot, descriptor = draft.slots[-1]
    draft.head = _in_flight(ring).head
    draft.slots[-1] = (slot, replace(descriptor, next=draft.head))


# Flags of a packed ring.


@spoil("element-used")
def _element_used(draft: Draft, ring: Ring, where: Where) -> None:
    draft.used.add(position(draft, where))


@spoil("first-before-the-rest")
def _first_before_the_rest(draft: Draft, ring: Ring, where: Where) -> None:
    draft.forward = True


@spoil("table-with-phases")
def _table_with_phases(draft: Draft, ring: Ring, where: Where) -> None:
    draft.table = [descriptor.having(flags=_PHASE) for descriptor in draft.table]


@spoil("table-with-links")
def _table_with_links(draft: Draft, ring: Ring, where: Where) -> None:
    draft.linked = True


@spoil("table-backward")
def _table_backward(draft: Draft, ring: Ring, where: Where) -> None:
    draft.backward = True


@spoil("slots-crossed")
def _slots_crossed(draft: Draft, ring: Ring, where: Where) -> None:
    """Let the second and the third descriptor of a chain stand in each other's place."""
    if len(draft.slots) < 3:
        return
    (first, head), (second, one), (third, other), *rest = draft.slots
    draft.slots = [
        (first, replace(head, next=third)),
        (third, replace(one, next=second)),
        (second, replace(other, next=rest[0][0] if rest else other.next)),
        *rest,
    ]


# What the driver wants to be interrupted for, and what is the device's own.


def _event(ring: Ring, offset: int, flags: int) -> None:
    ring.memory.store(ring.driver, struct.pack("<HH", offset, flags))


@spoil("event-flags-reserved")
def _event_flags_reserved(draft: Draft, ring: Ring, where: Where) -> None:
    _event(ring, 0, 3)


@spoil("event-bits-reserved")
def _event_bits_reserved(draft: Draft, ring: Ring, where: Where) -> None:
    _event(ring, 0, 0xFFFC)


@spoil("event-offset-outside")
def _event_offset_outside(draft: Draft, ring: Ring, where: Where) -> None:
    _event(ring, ring.size | ring.taken_position & 0x8000, 2)


@spoil("event-of-other-lap")
def _event_of_other_lap(draft: Draft, ring: Ring, where: Where) -> None:
    _event(ring, ring.taken_position ^ 0x8000, 2)


@spoil("events-cycled")
def _events_cycled(draft: Draft, ring: Ring, where: Where) -> None:
    """Write each value that the flags may have, and end by asking for every interrupt."""
    for flags in (1, 2, 0):
        _event(ring, ring.taken_position, flags)


@spoil("used-ring-written")
def _used_ring_written(draft: Draft, ring: Ring, where: Where) -> None:
    """Write entries of the used ring that the device has not written yet."""
    ring.memory.store(ring.device + 4, b"\xff" * 8 * ring.size)


@spoil("used-flags-written")
def _used_flags_written(draft: Draft, ring: Ring, where: Where) -> None:
    ring.memory.store(ring.device, struct.pack("<H", 0xFFFE))


@spoil("avail-event-written")
def _avail_event_written(draft: Draft, ring: Ring, where: Where) -> None:
    ring.memory.store(ring.device + 4 + 8 * ring.size, struct.pack("<H", 0xFFFF))
