# SPDX-License-Identifier: GPL-2.0-only
"""Packed virtqueues: the order of the driver's stores (sections 2.8.6, 2.8.10, 2.8.13).

The access tracer has each access to the descriptor ring in program order. One use of a slot::

    addr, len, id, flags   ...   flags of the list's head   ...   a used descriptor is read
    '---- the body ----'         the list is available:           the slot may be free again
                                 hands off

- A slot becomes available with the store to its own flags or with the one to its list's head,
  whichever is later. Linux writes flags of other descriptors than the head before their bodies.
- Which slots are a list is read from NEXT in the flags that were stored, slot by slot.
- A slot may be written again once the driver has read any descriptor that the device has used
  since: AVAIL and USED both as AVAIL was when the slot was last made available. That this
  descriptor returns the very list is not asked for: its buffer id may be that of another.
- Values are read from memory right after the access. So the flags of a head may be those of the
  device, which are not judged.
- A store of eight zero bytes clears the ring: a queue was reset by itself, and begins anew.
- Accesses of the kit's own modules are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from pykit.spec import bits
from pykit.spec.arrays import Bools, Ints, count_before, first_of, ints, key_of, last_before, within
from pykit.spec.model import Result, rule
from pykit.spec.packed import AVAIL_BIT, USED_BIT
from pykit.spec.rows import Row, Rows
from pykit.spec.view import View

#: Bytes of a descriptor, and where its flags are.
DESC, FLAGS_AT = 16, 14
SLOTS = 1 << 16
OWN = "pykit_"
NO_PACKED = "the access tracer saw no packed virtqueue"


@dataclass(frozen=True)
class Stores:
    """The driver's stores to descriptors of packed rings, by queue in program order.

    Attributes:
        row, slot: of the access.
        at: its place among all accesses, queue by queue.
        q: number of the queue, another one when it begins anew.
        flags: the value of flags, -1 for a store that leaves them alone.
        free: the driver has read a used descriptor since the slot last became available.
        head: by store to flags: place of the store to the flags of the list's head; else -1.
        name: number of the queue among those that the tracer saw.
    """

    row: Ints
    slot: Ints
    at: Ints
    q: Ints
    flags: Ints
    free: Bools
    head: Ints
    name: Ints


def stores(view: View) -> Stores:
    """Return all stores to descriptors of packed rings."""
    return view.keep("packed stores", _read)


def _packed_lives(view: View) -> set[tuple[int, int]]:
    return {place for place, life in view.lives.items() if life.has(bits.RING_PACKED)}


def _accesses(view: View) -> pl.DataFrame:
    """Return accesses of the guest's own code to descriptors of packed rings, by queue."""
    return view.keep("packed accesses", _read_accesses)


def _read_accesses(view: View) -> pl.DataFrame:
    lives = _packed_lives(view)
    frame = view.of("acc_ring").filter(
        (pl.col("area") == "desc")
        & pl.all_horizontal(pl.col(name).is_not_null() for name in ("vq", "life", "value"))
    )
    if not lives or not frame.height:
        return frame.clear()
    names = pl.DataFrame(
        list(lives), schema={"dev": frame.schema["dev"], "life": frame.schema["life"]}, orient="row"
    )
    frame = frame.join(names, on=("dev", "life"), how="semi", maintain_order="left")
    ours = pl.col("symbol").cast(pl.String).str.starts_with(OWN).fill_null(False)
    return frame.filter(~ours).sort("dev", "life", "vq", "row")


def _read(view: View) -> Stores:
    frame = _accesses(view)
    row, slot, value = (ints(frame, name) for name in ("row", "slot", "value"))
    start, size = ints(frame, "offset") % DESC, ints(frame, "size")
    write = ints(frame, "write") == 1
    name = frame.select(pl.struct("dev", "life", "vq").rle_id()).to_series().to_numpy()
    covers = (start <= FLAGS_AT) & (start + size > FLAGS_AT)
    shift = np.where(covers, 8 * (FLAGS_AT - start), 0)
    flags = np.where(covers, value >> shift & 0xFFFF, -1)
    clears = write & covers & (size >= 8) & (value == 0)
    # A cleared slot begins anew, and so do all others of the ring with the first of them.
    epoch = np.cumsum(clears & (slot == 0)) if len(row) else row
    q = key_of(name.astype(np.int64), epoch, 1 << 32)
    q = np.unique(q, return_inverse=True)[1].astype(np.int64)
    at = np.arange(len(row))
    stored = np.flatnonzero(write & ~clears)
    marks = stored[flags[stored] >= 0]
    used = _used_reads(q, slot, at, flags, write, marks)
    fresh = _uses(q, slot, marks, used)
    key = key_of(q, slot, SLOTS)
    head, exposed_at = _heads(q, slot, flags, marks, fresh)
    order = np.lexsort((exposed_at, key[marks]))
    # Of each store: the last time before it that its slot became available.
    last = last_before(key[marks][order], exposed_at[order], key[stored], stored)
    before = exposed_at[order][np.maximum(last, 0)] if len(order) else last
    read = count_before(q[used], used, q[stored], stored)
    earlier = count_before(q[used], used, q[stored], before)
    head_of = np.full(len(row), -1, dtype=np.int64)
    head_of[marks] = head
    return Stores(
        row=row[stored],
        slot=slot[stored],
        at=stored,
        q=q[stored],
        flags=flags[stored],
        free=(last < 0) | (read > earlier),
        head=head_of[stored],
        name=name[stored].astype(np.int64),
    )


def _used_reads(q: Ints, slot: Ints, at: Ints, flags: Ints, write: Bools, marks: Ints) -> Ints:
    """Reads of flags that show a used descriptor: both bits as AVAIL was stored there last."""
    reads = np.flatnonzero(~write & (flags >= 0))
    key = key_of(q, slot, SLOTS)
    last = last_before(key[marks], at[marks], key[reads], at[reads])
    stored = flags[marks[np.maximum(last, 0)]] if len(marks) else reads
    avail, used = flags[reads] >> AVAIL_BIT & 1, flags[reads] >> USED_BIT & 1
    found: Ints = reads[(last >= 0) & (avail == used) & (avail == stored >> AVAIL_BIT & 1)]
    return found


def _uses(q: Ints, slot: Ints, marks: Ints, used: Ints) -> Bools:
    """By store to flags: a used descriptor was read since the one before it to the same slot."""
    key = key_of(q, slot, SLOTS)[marks]
    order = np.lexsort((marks, key))
    mine = marks[order]
    upto = count_before(q[used], used, q[mine], mine)
    before = np.zeros_like(upto)
    before[1:] = upto[:-1]
    fresh = np.empty(len(marks), dtype=np.bool_)
    fresh[order] = first_of(key[order]) | (upto > before)
    return fresh


def _heads(q: Ints, slot: Ints, flags: Ints, marks: Ints, fresh: Bools) -> tuple[Ints, Ints]:
    """By store to flags: where its list's head was stored, -1 if unknown; when it was available.

    The n-th use of slot s stands at place s + n N of a ring with N slots; a list begins behind a
    descriptor without NEXT.
    """
    head = np.full(len(marks), -1, dtype=np.int64)
    available = marks.copy()
    pick = np.flatnonzero(fresh)
    if not len(pick):
        return head, available
    mine = marks[pick]
    rings = np.zeros(int(q.max()) + 1, dtype=np.int64)
    np.maximum.at(rings, q, slot + 1)
    key = key_of(q, slot, SLOTS)[mine]
    by_slot = np.lexsort((mine, key))
    number = np.empty(len(mine), dtype=np.int64)
    number[by_slot] = within(key[by_slot])
    place = slot[mine] + number * rings[q[mine]]
    order = np.lexsort((place, q[mine]))
    line, where = mine[order], place[order]
    starts = first_of(q[line])
    starts[1:] |= (flags[line[:-1]] & bits.NEXT == 0) | (where[1:] != where[:-1] + 1)
    first = np.maximum.accumulate(np.where(starts, np.arange(len(line)), 0))
    head[pick[order]] = line[first]
    available[pick[order]] = np.maximum(line, line[first])
    return head, available


def queue_names(view: View) -> list[tuple[int, int, int]]:
    """Return the packed queues whose stores were seen, by ``Stores.name``: dev, life, vq."""
    return _accesses(view).select("dev", "life", "vq").unique(maintain_order=True).rows()


def _table(view: View) -> Rows:
    found = stores(view)
    names = queue_names(view)

    def queue(row: Row) -> str:
        dev, life, vq = names[row["name"]]
        return f"device {dev}, life {life}, queue {vq}"

    return Rows(lambda name: np.asarray(getattr(found, name)), len(found.row), {"queue": queue})


def wrap_counters(view: View) -> Result:
    """Check that AVAIL of a slot is 1 at its first use, and another one at each later use.

    Checked: each store to the flags of a slot that may be written, if AVAIL and USED differ.
    """
    if "access" not in view.sources:
        return Result(0)
    table = _table(view)
    table = table.where((table["flags"] >= 0) & table["free"])
    table = table.take(np.lexsort((table["at"], table["slot"], table["q"])))
    avail, used = table["flags"] >> AVAIL_BIT & 1, table["flags"] >> USED_BIT & 1
    first = first_of(key_of(table["q"], table["slot"], SLOTS))
    before = np.zeros_like(avail)
    before[1:] = avail[:-1]
    before[first] = 0
    table = table.plus(right=avail != before, wrap=1 - before)
    table = table.where(avail != used)
    return table.check(
        table["right"],
        "{queue}: slot {slot} gets flags {flags:#x} when the wrap counter is {wrap}",
        none=NO_PACKED,
    )


@rule("PS-DR-06", needs="access:acc_ring")
def head_is_stored_last(view: View) -> Result:
    """Section 2.8.6: the head of a list becomes available after all other descriptors of it.

    Checked: each store to the flags of a descriptor that is not its list's head: it comes before
    the store to the head's flags.
    """
    table = _table(view)
    table = table.where((table["head"] >= 0) & (table["head"] != table["at"]))
    return table.check(
        table["at"] < table["head"],
        "{queue}: slot {slot} is made available after the head of its list",
        none="no list had more than one descriptor",
    )


@rule("PF-DR-01", needs="access:acc_ring")
def body_before_flags(view: View) -> Result:
    """Section 2.8.13.1: a descriptor is written before the flags that make it available.

    Checked: each store to the address, the length or the id of a descriptor: the slot is not
    available then, or the driver has read a used descriptor since. This is the order of the
    program; what a CPU without a barrier makes of it leaves no event.
    """
    table = _table(view)
    table = table.where(table["flags"] < 0)
    return table.check(
        table["free"],
        "{queue}: slot {slot} is written after it was made available",
        none=NO_PACKED,
    )


@rule("PD-DR-02", needs="access:acc_ring", also=("PD-DR-01",))
def hands_off_available_descriptors(view: View) -> Result:
    """Section 2.8.10: the driver changes no descriptor that is available until it was used.

    Checked: each store to a descriptor, flags or others: the driver has read a used descriptor
    since the slot became available. Any used descriptor is enough, see the topic.
    """
    table = _table(view)
    return table.check(
        table["free"],
        "{queue}: slot {slot} is changed while it is available",
        none=NO_PACKED,
    )


@rule("DX-71", needs="access:acc_ring")
def device_area_is_only_read(view: View) -> Result:
    """Section 2.8.10: the driver does not write to the device event suppression structure.

    Checked: each access to it of a packed queue, after the status was written. Zeros written to
    all of it clear it before the queue is set up again.
    """
    lives = _packed_lives(view)
    frame = view.of("acc_ring").filter((pl.col("area") == "used") & pl.col("life").is_not_null())
    places = zip(ints(frame, "dev").tolist(), ints(frame, "life").tolist(), strict=True)
    mine = np.array([place in lives for place in places], dtype=np.bool_)
    table = Rows.of_frame(
        frame, lambda row: f"device {row['dev']}, life {row['life']}, queue {row['vq']}"
    ).where(mine)
    clears = (table["size"] >= 4) & (table["value"] == 0)
    return table.check(
        (table["write"] == 0) | clears,
        "{queue}: the driver writes {value:#x} to the device's event suppression structure",
        none=NO_PACKED,
    )
