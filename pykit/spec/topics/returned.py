# SPDX-License-Identifier: GPL-2.0-only
"""Used entries and descriptors, read again by the driver (sections 2.7.5, 2.7.8 and 2.8.5).

``pykit drive`` reads each used entry twice: when it takes it, and before it exposes the next chain
or ends the life, while the entry is not the device's to write. It also compares the descriptors of
a chain that came back with those that it wrote.
"""

from __future__ import annotations

from pykit.spec.arrays import key_of, last_before
from pykit.spec.model import Result, rule
from pykit.spec.rings import PACKED, SPLIT
from pykit.spec.rows import Rows
from pykit.spec.view import View

_NEEDS = ("driver:add", "driver:used")
_NONE = "no used entry was read a second time: `pykit drive` does that"
_INDEX_SPAN = 1 << 16


def _returned(view: View, layout: int) -> Rows:
    """Entries that were read twice: ``then_id`` and ``then_len`` as they were at first."""
    again, used = Rows.of(view.rings, view.rings.of("returned")), view.used
    if len(again):
        again = again.where(view.rings.layout[again["q"]] == layout)
    entry = last_before(
        key_of(used.q, used.index, _INDEX_SPAN),
        used.at,
        key_of(again["q"], again["index"], _INDEX_SPAN),
        again["at"],
    )
    again = again.plus(entry=entry).where(entry >= 0)
    entry = again["entry"]
    return again.plus(then_id=used.id[entry], then_len=used.len[entry], used=used.row[entry])


def _stays(view: View, layout: int) -> Result:
    rows = _returned(view, layout)
    return rows.check(
        (rows["id"] == rows["then_id"]) & (rows["len"] == rows["then_len"]),
        "{queue}: the used entry at {index} was id {then_id}, len {then_len}; it became id {id},"
        " len {len}",
        none=_NONE,
        shown=("used", "row"),
        unless=view.contested_queues[rows["q"]],
    )


@rule("SU-DE-01", needs=_NEEDS)
def entry_is_complete_before_the_index(view: View) -> Result:
    """Section 2.7.8.1: the device sets a used entry's length before it moves the used index.

    Checked: each entry of a split ring that our driver read twice, first as soon as it saw the
    index move: it had the same id and length both times. A store that is late by less than the
    driver takes to look does not show, nor does a barrier that is missing.
    """
    return _stays(view, SPLIT)


@rule("PD-DE-04", needs=_NEEDS)
def used_descriptor_stays(view: View) -> Result:
    """Section 2.8.5.1: the device does not change a descriptor that it has marked as used.

    Checked: each used descriptor of a packed ring that our driver read twice: id and length are
    the same.
    """
    return _stays(view, PACKED)


@rule("SD-DE-04", needs=_NEEDS)
def descriptors_are_the_drivers(view: View) -> Result:
    """Section 2.7.5.1: the device does not write to the descriptor table.

    Checked: each chain of a split ring that came back to our driver: its descriptors, in the ring
    and in its table, are as they were written.
    """
    rows = _returned(view, SPLIT)
    return rows.check(
        rows["changed"] == 0,
        "{queue}: {changed} descriptors of head {head} were altered",
        none=_NONE,
        unless=view.contested_queues[rows["q"]],
    )
