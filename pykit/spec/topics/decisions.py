# SPDX-License-Identifier: GPL-2.0-only
"""What a driver looks at before it notifies, and what the notification says of a packed ring.

The access tracer has stores to a ring, reads of what suppresses notifications, and notifications in
one order, the program's. A barrier leaves no event. But one between the store that exposes a chain
and the read of the suppression orders nothing where the program reads first.

Once queues are at work the order alone does not show which exposure a read belongs to: another
thread may expose a chain between a read and its notification. Before the first exposure of a queue
there is nothing that a read could belong to, so that rules judge each queue's first notification.
"""

from __future__ import annotations

import polars as pl

from pykit.spec import bits
from pykit.spec.lives import Life
from pykit.spec.model import Result, rule
from pykit.spec.packed import AVAIL_BIT
from pykit.spec.rows import Tally
from pykit.spec.topics.packed_order import Stores, queue_names, stores
from pykit.spec.used_ring import OWN
from pykit.spec.view import View

_NEEDS = ("access:acc_ring", "access:acc_register")
_DOUBT = "whether EVENT_IDX is negotiated, or where the queue begins, is not known"
_COLUMNS = ("row", "cpu", "area", "field", "slot", "write", "value", "symbol")
#: A notification's data: where the next descriptor goes, and the wrap counter there.
_OFFSET = 0x7FFF
_NOTIFIES = pl.lit("notify").alias("area")


def _queues(view: View, *, packed: bool) -> list[tuple[Life, int, pl.DataFrame]]:
    """Return the queues of a layout that the tracer saw notified: accesses of the driver's code."""
    found = view.keep("notified queues", _notified)
    return [queue for queue in found if queue[0].has(bits.RING_PACKED) is packed]


def _notified(view: View) -> list[tuple[Life, int, pl.DataFrame]]:
    """Return life, number and accesses of each queue of either layout, by row."""
    ring = view.of("acc_ring").with_columns(pl.col("area", "field").cast(pl.String))
    ring = ring.filter(~OWN).select("dev", "life", "vq", *_COLUMNS)
    notified = view.of("acc_register").filter(
        (pl.col("register") == "queue_notify") & (pl.col("write") == 1)
    )
    notified = notified.with_columns(
        _NOTIFIES, field=pl.lit(""), slot=pl.lit(None, ring.schema["slot"])
    ).select("dev", "life", "vq", *_COLUMNS)
    every = pl.concat([ring, notified], how="vertical_relaxed").sort("row")
    every = every.drop_nulls(["dev", "life", "vq"])
    found = []
    for (dev, number, vq), rows in every.group_by("dev", "life", "vq", maintain_order=True):
        if "notify" in rows["area"]:
            found.append((view.life(int(str(dev)), int(str(number))), int(str(vq)), rows))
    return found


def _looks_first(view: View, *, packed: bool) -> Result:
    """Check that each queue's first notification is decided on after the first exposure."""
    layout = "packed" if packed else "split"
    tally = Tally(none=f"no notification of a {layout} virtqueue that looks was seen", doubt=_DOUBT)
    for life, vq, rows in _queues(view, packed=packed):
        event_idx = life.has(bits.EVENT_IDX)
        if packed:
            stored = (pl.col("area") == "desc") & (pl.col("field") == "flags")
            stored &= (pl.col("slot") == 0) & (pl.col("value") != 0)
            begins = pl.col("value") // (1 << AVAIL_BIT) % 2 == 1
            looks = (pl.col("area") == "used") & (pl.col("write") == 0)
        else:
            stored = (pl.col("area") == "avail") & (pl.col("field") == "idx")
            stored &= pl.col("value") != 0
            begins = pl.col("value") == 1
            field = "event" if event_idx else "flags"
            looks = (pl.col("area") == "used") & (pl.col("write") == 0) & (pl.col("field") == field)
        exposed = rows.filter(stored & (pl.col("write") == 1)).head(1)
        if event_idx is None or not exposed.filter(begins).height:
            tally.undecided()
            continue
        at = int(exposed["row"][0])
        after = rows.filter((pl.col("area") == "notify") & (pl.col("row") > at))["row"]
        if not len(after):
            continue
        read = rows.filter(looks & (pl.col("row") < int(after[0])))["row"]
        if len(read):
            said = "what suppresses notifications is read before the first chain is there"
            text = f"{life.name}, queue {vq}: {said}"
            tally.check(int(read[-1]) > at, (int(read[-1]), at, int(after[0])), text)
    return tally.result()


@rule("SN-DR-01", needs=_NEEDS)
def looks_behind_the_index(view: View) -> Result:
    """Section 2.7.13.4: the driver reads flags or avail_event after it has stored the available
    index, with a barrier between the two.

    Checked: the first notification of each split queue of a driver that reads them before it: a
    read comes after the store of the available index that exposes the first chain. Of the two
    fields it is avail_event with EVENT_IDX, else flags. Drivers that notify without a look are
    left out. This is the program's order; whether there is a barrier leaves no event.

    Undecided: a queue whose first store of the index was not seen, or has no value.
    """
    return _looks_first(view, packed=False)


@rule("PN-DR-01", needs=_NEEDS)
def looks_behind_the_flags(view: View) -> Result:
    """Section 2.8.21: the driver reads the device's event suppression structure after it has
    stored the flags that make a list available, with a barrier between the two.

    Checked: the first notification of each packed queue of a driver that reads the structure before
    it: a read comes after the store of flags to the ring's first slot. Drivers that notify without
    a look are left out. This is the program's order; whether there is a barrier leaves no event.

    Undecided: a queue whose first store to the flags was not seen, or has no value.
    """
    return _looks_first(view, packed=True)


@rule("PD-DR-03", needs=_NEEDS)
def data_is_the_next_place(view: View) -> Result:
    """Section 2.9: with NOTIFICATION_DATA, the notification of a packed queue has the ring's place
    behind the last list that is available, and the wrap counter there.

    Checked: the upper 16 bits of each notification whose value the access tracer has, by the list
    that the driver's own stores made available last: next_off and next_wrap are those behind it.

    Undecided: a queue whose size is not known; a notification without a value, or before the first
    list; and one that does not fit where several CPUs used the queue since the one before: a thread
    may notify of what was there before the other came.
    """
    tally = Tally(
        none="no packed queue with NOTIFICATION_DATA was notified",
        doubt="values are not recorded, or several CPUs used the queue at once",
    )
    known = stores(view)
    names = queue_names(view)
    sizes = {name: int(view.rings.size[q]) for q, name in enumerate(view.rings.queue)}
    for life, vq, rows in _queues(view, packed=True):
        if life.has(bits.NOTIFICATION_DATA) is not True:
            continue
        place = (life.dev, life.number, vq)
        size = sizes.get(place, 0)
        heads = _lists(known, names.index(place)) if place in names and size else []
        before = -1
        for row, value in (
            rows.filter(pl.col("area") == "notify").select("row", "value").iter_rows()
        ):
            exposed = [entry for entry in heads if entry[0] < row]
            window = rows.filter(pl.col("row").is_between(before, row))
            before = row
            if not exposed or value is None:
                tally.undecided()
                continue
            at, slot, count, wrap = exposed[-1]
            wanted = (slot + count) % size | (wrap ^ (slot + count >= size)) << 15
            if value >> 16 != wanted and window["cpu"].n_unique() > 1:
                tally.undecided()
                continue
            said = f"notified with {_words(value >> 16)}; it is {_words(wanted)}"
            text = f"{life.name}, queue {vq}: {said}"
            tally.check(value >> 16 == wanted, (at, row), text)
    return tally.result()


def _words(data: int) -> str:
    return f"next_off {data & _OFFSET}, next_wrap {data >> 15}"


def _lists(known: Stores, name: int) -> list[tuple[int, int, int, int]]:
    """Return a queue's lists: row of the store that made it available, slot, length, wrap counter.

    One that is stored to before the driver may is not counted again.
    """
    mine = (known.name == name) & (known.head >= 0) & known.free
    heads = mine & (known.at == known.head)
    lengths: dict[int, int] = {}
    for head in known.head[mine].tolist():
        lengths[head] = lengths.get(head, 0) + 1
    columns = (known.row, known.slot, known.at, known.flags)
    rows = zip(*(column[heads].tolist() for column in columns), strict=True)
    return [(row, slot, lengths[at], flags >> AVAIL_BIT & 1) for row, slot, at, flags in rows]
