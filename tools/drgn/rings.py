# SPDX-License-Identifier: GPL-2.0-only
"""What a virtqueue holds: as its driver remembers it, and as it stands in memory.

Source: struct vring_virtqueue of drivers/virtio/virtio_ring.c, Linux 6.1 to 7.2, and the
specification's sections on the split and the packed virtqueue.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from drgn import FaultError, Object, Program

NEXT, WRITE, INDIRECT = 1, 2, 4
AVAIL, USED = 1 << 7, 1 << 15
_FLAGS = {NEXT: "next", WRITE: "write", INDIRECT: "indirect"}
_EVENTS = ("enable", "disable", "descriptor")
_WRAP = 15
_ENTRY = struct.calcsize("<QIHH")
#: Entries that a table of indirect descriptors can have: its indices are of 16 bits.
_TABLE = 1 << 16


@dataclass(frozen=True)
class Descriptor:
    """One buffer: guest-physical (or IOMMU) address, bytes, names of its flags."""

    address: int
    length: int
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Chain:
    """A buffer that the driver waits for.

    Attributes:
        head: its first descriptor's index (split), or its buffer id (packed).
        at: where in the ring it is; the same as ``head`` in a split one. None where used
            descriptors have been written over it.
        token: what the driver knows it by.
        table: address of its indirect descriptors.
        used: bytes written, where the device has used it and the driver not yet taken it;
            not known for rings whose buffers are used in order, of which the last stands for all.
        note: what is wrong with it, or not to be seen.
    """

    head: int
    at: int | None
    token: int
    table: int | None
    used: int | None
    descriptors: tuple[Descriptor, ...]
    note: str = ""


@dataclass
class Ring:
    """A virtqueue's ring. ``driver`` is what the driver remembers, ``memory`` what is there."""

    layout: str
    size: int
    address: int
    driver: dict[str, int] = field(default_factory=dict)
    memory: dict[str, int | str] = field(default_factory=dict)
    chains: list[Chain] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class _Entry(NamedTuple):
    """A descriptor's four fields; the last two are flags and next, or id and flags."""

    address: int
    length: int
    third: int
    fourth: int


def read_ring(queue: Object) -> Ring:
    """The ring of a ``struct vring_virtqueue *``."""
    name = _layout(queue)
    return (_packed if name.startswith("packed") else _split)(queue, name)


def _layout(queue: Object) -> str:
    """split, packed, and from Linux 7.0 on those with used buffers in order."""
    try:
        return "packed" if queue.packed_ring else "split"
    except AttributeError:
        name = queue.layout.format_(type_name=False)
        return str(name).removeprefix("VQ_LAYOUT_").lower().replace("_", " ")


def _split(queue: Object, layout: str) -> Ring:
    own, vring = queue.split, queue.split.vring
    size = vring.num.value_()
    avail, used = vring.avail, vring.used
    ring = Ring(layout, size, own.queue_dma_addr.value_())
    ring.driver = {
        "avail": own.avail_idx_shadow.value_(),
        "used": queue.last_used_idx.value_(),
        "flags": own.avail_flags_shadow.value_(),
        "unkicked": queue.num_added.value_(),
    }
    prog = queue.prog_
    ring.memory = {
        "avail": avail.idx.value_(),
        "avail flags": avail.flags.value_(),
        "used": used.idx.value_(),
        "used flags": used.flags.value_(),
    }
    if queue.event:
        ring.memory["used event"] = avail.ring[size].value_()
        ring.memory["avail event"] = prog.read_u16(used.ring[size].address_of_().value_())
    if ring.driver["avail"] != ring.memory["avail"]:
        ring.notes.append("the driver did not write the available index that is in memory")
    done = {} if "order" in layout else _split_done(ring, used)
    table = _entries(prog, vring.desc.value_(), size)
    for head in range(size):
        token = own.desc_state[head].data.value_()
        if token:
            ring.chains.append(_split_chain(queue, table, head, token, done.get(head)))
    return ring


def _split_done(ring: Ring, used: Object) -> dict[int, int]:
    """Bytes written, by the head of each chain that is used and not yet taken."""
    ahead = (used.idx.value_() - ring.driver["used"]) & 0xFFFF
    if ahead > ring.size:
        ring.notes.append(f"the device's used index is {ahead} ahead, more than the ring holds")
        return {}
    done = {}
    for index in range(ring.driver["used"], ring.driver["used"] + ahead):
        element = used.ring[index % ring.size]
        done[element.id.value_()] = element.len.value_()
    return done


def _split_chain(
    queue: Object, table: list[_Entry], head: int, token: int, used: int | None
) -> Chain:
    first = table[head]
    if first.third & INDIRECT:
        at = queue.split.desc_state[head].indir_desc.value_()
        found, note = _table(queue.prog_, at, first.length)
        where: int | None = at
    else:
        found, note, where = table, "", None
    descriptors = []
    index = head if where is None else 0
    # A chain that goes on for longer than its table is a loop.
    for _ in found:
        if index >= len(found):
            note = f"descriptor {index} is none of its table"
            break
        entry = found[index]
        descriptors.append(_descriptor(entry.address, entry.length, entry.third))
        if not entry.third & NEXT:
            break
        index = entry.fourth
    else:
        note = note or "the chain has no end"
    return Chain(head, head, token, where, used, tuple(descriptors), note)


def _packed(queue: Object, layout: str) -> Ring:
    own, vring = queue.packed, queue.packed.vring
    size = vring.num.value_()
    last = queue.last_used_idx.value_()
    used, used_wrap = last & ~(1 << _WRAP), last >> _WRAP
    avail, avail_wrap = own.next_avail_idx.value_(), int(own.avail_wrap_counter.value_())
    ring = Ring(layout, size, own.ring_dma_addr.value_())
    ring.driver = {
        "avail": avail, "avail wrap": avail_wrap, "used": used, "used wrap": used_wrap,
        "flags": own.event_flags_shadow.value_(), "unkicked": queue.num_added.value_(),
    }  # fmt: skip
    ring.memory = {
        **_event("driver", vring.driver, bool(queue.event)),
        **_event("device", vring.device, bool(queue.event)),
    }
    table = _entries(queue.prog_, vring.desc.value_(), size)
    waiting = {head: token for head in range(size) if (token := own.desc_state[head].data.value_())}
    done = {} if "order" in layout else _packed_done(ring, own, table)
    places: dict[int, list[int]] = {}
    for at in _between(used, avail, size, bool(waiting)):
        # What lies ahead of the driver's place in the ring is of its last time round.
        wrap = avail_wrap if at < avail else 1 - avail_wrap
        if bool(table[at].fourth & AVAIL) == wrap and bool(table[at].fourth & USED) != wrap:
            places.setdefault(table[at].third, []).append(at)
    for head, token in waiting.items():
        state = own.desc_state[head]
        chain = _packed_chain(state, table, places.get(head, []), head, token, done.get(head))
        ring.chains.append(chain)
    return ring


def _between(used: int, avail: int, size: int, full: bool) -> Iterator[int]:
    """Places from the driver's used one to its available one; all, where they are the same
    and something is waited for."""
    count = (avail - used) % size or (size if full else 0)
    return (at % size for at in range(used, used + count))


def _packed_done(ring: Ring, own: Object, table: list[_Entry]) -> dict[int, int]:
    done: dict[int, int] = {}
    at, wrap = ring.driver["used"], ring.driver["used wrap"]
    while len(done) < ring.size:
        _, length, head, flags = table[at]
        if bool(flags & AVAIL) != wrap or bool(flags & USED) != wrap:
            break
        if head >= ring.size or not own.desc_state[head].data or head in done:
            ring.notes.append(f"the used descriptor at {at} has id {head}, which is in no use")
            break
        done[head] = length
        at += own.desc_state[head].num.value_()
        at, wrap = at % ring.size, wrap ^ (at >= ring.size)
    return done


def _packed_chain(
    state: Object, table: list[_Entry], places: list[int], head: int, token: int, used: int | None
) -> Chain:
    if len(places) != state.num.value_():
        note = "" if used is not None else "used descriptors were written over it"
        return Chain(head, None, token, None, used, (), note)
    found, note, where = [table[at] for at in places], "", None
    if found[0].fourth & INDIRECT:
        where = state.indir_desc.value_()
        found, note = _table(state.prog_, where, found[0].length)
    descriptors = tuple(_descriptor(entry.address, entry.length, entry.fourth) for entry in found)
    return Chain(head, places[0], token, where, used, descriptors, note)


def _table(prog: Program, at: int, length: int) -> tuple[list[_Entry], str]:
    """A table of indirect descriptors, or why it cannot be read."""
    count, rest = divmod(length, _ENTRY)
    if rest or not 0 < count <= _TABLE:
        return [], f"{length} bytes are no table of indirect descriptors"
    try:
        return _entries(prog, at, count), ""
    except FaultError:
        return [], "its table of indirect descriptors is not in the dump"


def _entries(prog: Program, at: int, count: int) -> list[_Entry]:
    return [_Entry(*entry) for entry in struct.iter_unpack("<QIHH", prog.read(at, count * _ENTRY))]


def _descriptor(address: int, length: int, flags: int) -> Descriptor:
    return Descriptor(address, length, tuple(name for bit, name in _FLAGS.items() if flags & bit))


def _event(side: str, event: Object, index: bool) -> dict[str, int | str]:
    """An event suppression structure."""
    flags, place = event.flags.value_() & 3, event.off_wrap.value_()
    said: dict[str, int | str] = {f"{side} event": (*_EVENTS, "reserved")[flags]}
    if index and flags == 2:
        said |= {f"{side} event at": place & 0x7FFF, f"{side} event wrap": place >> _WRAP}
    return said
