# SPDX-License-Identifier: GPL-2.0-only
"""What a device must leave alone, read again (sections 2.7.5, 2.7.6, 2.7.8 and 2.8.5).

``pykit drive`` reads each used entry twice: when it takes it, and before it exposes the next chain
or ends the life, while the entry is not the device's to write. It also compares the descriptors of
a chain that came back with those that it wrote (event ``returned``).

Within a guest our driver and the probe do the same, and compare the driver area too (event
``compared``). There a difference does not show who made it: a driver that alters an exposed chain
looks like a device that does. It is contested, unless the access tracer has the driver's stores.
The probe can also compare the ring between the driver's operations: the virtio core writes to it
within these alone, so that what is altered between two of them was altered by the device.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from pykit.spec.arrays import Ints, ints, key_of, last_before
from pykit.spec.given import misgiven
from pykit.spec.model import Result, rule
from pykit.spec.rings import PACKED, SPLIT
from pykit.spec.rows import Row, Rows
from pykit.spec.used_ring import OWN_READ, split_queues
from pykit.spec.view import View

_TAKEN = ("driver:add", "driver:used")
_NEEDS = ("driver:add|access:acc_ring", "driver:used|access:acc_ring")
_NONE = "no used entry was read a second time"
_INDEX_SPAN = 1 << 16
#: Bytes of the fields of a descriptor and of the available ring.
_WIDTHS = {"addr": 8, "len": 4, "flags": 2, "next": 2, "idx": 2, "ring": 2}
_NUMBERS = {name: number for number, name in enumerate(_WIDTHS)}
#: What ``between`` of the event ``compared`` says: the ring was compared, and what was altered; and
#: that the used entry was altered within the operation that took it.
_LOOKED, _DESCRIPTORS, _DRIVER_AREA, _WITHIN = 1, 2, 4, 8
#: What ``driver_area`` of the event ``compared`` says.
_AREA = ("its entry of the available ring", "the available index", "what suppresses interrupts")


def _again(view: View, kind: str, layout: int) -> Rows:
    """Chains of queues of this layout that were looked at again."""
    rows = Rows.of(view.rings, view.rings.of(kind))
    return rows.where(view.rings.layout[rows["q"]] == layout) if len(rows) else rows


def _returned(view: View, kind: str, layout: int) -> Rows:
    """Entries that were read twice: ``then_id`` and ``then_len`` as they were at first."""
    again, used = _again(view, kind, layout), view.used
    entry = last_before(
        key_of(used.q, used.index, _INDEX_SPAN),
        used.at,
        key_of(again["q"], again["index"], _INDEX_SPAN),
        again["at"],
    )
    again = again.plus(entry=entry).where(entry >= 0)
    entry = again["entry"]
    return again.plus(then_id=used.id[entry], then_len=used.len[entry], used=used.row[entry])


def _between(view: View, rows: Rows, altered: int, text: str) -> Result:
    """Check that nothing was altered between the driver's operations.

    A device that was given another ring than the driver uses writes where it was let, which may be
    another queue's ring.
    """
    rows = rows.where(rows["between"] & _LOOKED != 0) if len(rows) else rows
    queues = view.rings.queue
    lives = {queues[q][:2] for q in np.flatnonzero(misgiven(view)).tolist()}
    wrong = np.array([name[:2] in lives for name in queues], dtype=np.bool_)
    return rows.check(
        rows["between"] & altered == 0, text, unless=wrong[rows["q"]] if len(rows) else False
    )


def _stays(view: View, layout: int) -> Result:
    def of(kind: str) -> Result:
        rows = _returned(view, kind, layout)
        contested = view.contested_queues[rows["q"]]
        if kind == "compared":
            # The core may have written there as well.
            contested = contested | (rows["between"] & _WITHIN != 0)
        return rows.check(
            (rows["id"] == rows["then_id"]) & (rows["len"] == rows["then_len"]),
            "{queue}: the used entry at {index} was id {then_id}, len {then_len}; it became"
            " id {id}, len {len}",
            none=_NONE,
            shown=("used", "row"),
            unless=contested,
        )

    return of("returned") + of("compared")


@rule("SU-DE-01", needs=_TAKEN)
def entry_is_complete_before_the_index(view: View) -> Result:
    """Section 2.7.8.1: the device sets a used entry's length before it moves the used index.

    Checked: each entry of a split ring that our driver or the probe read twice, first as soon as
    it saw the index move, and again before the next chain was exposed: it had the same id and
    length both times. A store that is later than that does not show, nor does a barrier that is
    missing. Contested: one that was altered while the driver took it.
    """
    return _stays(view, SPLIT)


@rule("PD-DE-04", needs=_TAKEN)
def used_descriptor_stays(view: View) -> Result:
    """Section 2.8.5.1: the device does not change a descriptor that it has marked as used.

    Checked: each used descriptor of a packed ring that our driver or the probe read twice: id and
    length are the same. Where the probe compares the ring between the driver's operations also each
    descriptor that was not available: no field of it was altered.
    """
    return _stays(view, PACKED) + _between(
        view,
        _again(view, "compared", PACKED),
        _DESCRIPTORS,
        "{queue}: descriptor {slot} was altered while it was not available",
    )


def _as_stored(view: View, area: str, fields: tuple[str, ...]) -> Result:
    """Check the kit's own reads of memory of split queues that the guest has stored to before.

    Other code may read there what is no ring any more. Queues that several CPUs access are left
    out. Wider stores than a field, which clear memory, leave open what stands there afterwards; so
    do accesses without a value.
    """
    found = Result(0, why="the access tracer saw nothing of a split ring read again")
    for _, name, frame in split_queues(view):
        # Which of two CPUs was first is not certain enough to accuse the device.
        if frame["cpu"].n_unique() == 1:
            found += _reads(name, frame.filter(pl.col("area") == area), fields)
    return found


def _reads(name: str, frame: pl.DataFrame, fields: tuple[str, ...]) -> Result:
    part = frame["field"].cast(pl.String)
    width = part.replace_strict(_WIDTHS, default=0)
    fits = (frame["size"] == width) & frame["value"].is_not_null()
    writes = frame["write"] == 1
    stores, wide = frame.filter(writes & fits), frame.filter(writes & ~fits)
    loads = frame.filter(fits & part.is_in([*fields])).filter(OWN_READ)
    at = ints(loads, "row")
    last = last_before(_place(stores), ints(stores, "row"), _place(loads), at)
    blurred = np.searchsorted(ints(wide, "row"), at) - 1
    store_at = np.append(ints(stores, "row"), -1)[last]
    parts = loads["field"].cast(pl.String).to_list()
    rows = Rows.of_frame(loads, lambda _: name).labelled(part=lambda row: parts[row["number"]])
    rows = rows.plus(
        number=np.arange(loads.height),
        stored=np.append(ints(stores, "value"), 0)[last],
        store=store_at,
    ).where((last >= 0) & (store_at > np.append(ints(wide, "row"), -1)[blurred]))
    return rows.check(
        rows["value"] == rows["stored"],
        "{queue}: the driver stored {stored} to {part} of slot {slot}, and {value} stands there",
        shown=("store", "row"),
    )


def _place(frame: pl.DataFrame) -> Ints:
    """Which field of which slot is accessed."""
    number = frame["field"].cast(pl.String).replace_strict(_NUMBERS, default=len(_NUMBERS))
    place: Ints = ints(frame, "slot") * (len(_NUMBERS) + 1) + number.cast(pl.Int64).to_numpy()
    return place


@rule("SD-DE-04", needs=_NEEDS)
def descriptors_are_the_drivers(view: View) -> Result:
    """Section 2.7.5.1: the device does not write to the descriptor table.

    Checked: each chain of a split ring that came back to our driver or to a driver under the
    probe: its descriptors, in the ring and in its table, are as they were written. With the access
    tracer also each read of a descriptor in the ring by their code: what is there is what the guest
    stored. Where the probe compares the ring between the driver's operations also that.

    Contested: another difference in a guest, where it may be the driver that altered the chain. The
    access tracer has the driver's stores to the ring.
    """
    drive, guest = _again(view, "returned", SPLIT), _again(view, "compared", SPLIT)
    message = "{queue}: {changed:descriptor} of head {head} altered"
    found = drive.check(
        drive["changed"] == 0,
        message,
        none=_NONE,
        unless=view.contested_queues[drive["q"]],
    )
    found += guest.check(
        guest["changed"] == 0,
        message,
        none=_NONE,
        unless=True,
    )
    found += _between(
        view, guest, _DESCRIPTORS, "{queue}: descriptor {slot} was altered by the device"
    )
    return found + _as_stored(view, "desc", ("addr", "len", "flags", "next"))


@rule("DX-76", needs=_NEEDS)
def driver_area_is_the_drivers(view: View) -> Result:
    """Sections 2.7.6 and 2.8.10: the device does not write to the driver area.

    Checked: each chain that came back to our driver or to a driver under the probe: its entry in
    the available ring, unless another chain has got that, and the available index stand there as
    the driver left them; of block devices what suppresses interrupts, too, which other drivers
    may change at any time. With the access tracer also each read of an entry or of the index of a
    split ring by their code: what is there is what the guest stored. Where the probe compares the
    ring between the driver's operations also that.

    Contested: a difference that neither of the two shows, as it may be the driver's.
    """
    rows = Rows.of(view.rings, view.rings.of("compared"))
    found = rows.labelled(what=_what).check(
        rows["driver_area"] == 0,
        "{queue}: when head {head} was back, {what} was not as the driver had left it",
        none=_NONE,
        unless=True,
    )
    found += _between(
        view, rows, _DRIVER_AREA, "{queue}: the driver area was altered by the device"
    )
    return found + _as_stored(view, "avail", ("idx", "ring"))


def _what(row: Row) -> str:
    return ", ".join(name for bit, name in enumerate(_AREA) if row["driver_area"] >> bit & 1)
