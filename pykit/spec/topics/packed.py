# SPDX-License-Identifier: GPL-2.0-only
"""Packed virtqueues (section 2.8): what the driver's events show honestly.

The device overwrites descriptors as soon as it has used them, so flags that say whose turn
it is cannot be read back reliably: the rules on wrap counters need another observer.
"""

from __future__ import annotations

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import ints
from pykit.spec.model import Result, breaches, rule
from pykit.spec.rings import PACKED
from pykit.spec.topics.framing import misplaced
from pykit.spec.topics.indirect import not_negotiated, too_long
from pykit.spec.topics.split import returned
from pykit.spec.view import View

NOTHING = "no packed virtqueue was used"


@rule("PV-DR-01", needs="driver:queue", local=True)
def ring_alignment(view: View) -> Result:
    frame = view.rings.of("queue")
    q = ints(frame, "q")
    wanted = (view.rings.layout[q] == PACKED) & (ints(frame, "op") == 0)
    bad = np.zeros(len(q), dtype=np.bool_)
    for name, unit in (("desc", 16), ("avail", 4), ("used", 4)):
        bad |= ints(frame, name) % unit != 0
    found = breaches(
        wanted & bad,
        lambda i: f"{view.rings.name(q[i])}: a part of the ring is not aligned (16, 4, 4)",
        ints(frame, "row"),
    )
    return Result(int(wanted.sum()), found, why=NOTHING)


@rule("PS-DR-02", needs=("driver:desc", "driver:queue"))
def list_fits_queue(view: View) -> Result:
    return too_long(view, PACKED)


@rule("PS-DR-03", needs="driver:desc")
def readable_before_writable(view: View) -> Result:
    return misplaced(view, PACKED)


@rule("PI-DR-01", needs="driver:desc")
def indirect_only_if_negotiated(view: View) -> Result:
    return not_negotiated(view, PACKED)


@rule("PI-DR-04", needs="driver:desc", local=True)
def indirect_is_not_in_a_list(view: View) -> Result:
    rings, chains = view.rings, view.chains
    judged = (rings.layout[chains.q] == PACKED) & ~chains.element
    found = breaches(
        judged & (chains.flags & bits.NEXT != 0),
        lambda i: f"{rings.name(chains.q[i])}: slot {chains.slot[i]} has INDIRECT and NEXT",
        chains.row,
    )
    return Result(int(judged.sum()), found, why="no indirect descriptor in a packed ring")


@rule("DX-09", needs=("driver:add", "driver:used"))
def used_id_is_outstanding(view: View) -> Result:
    return returned(view, PACKED, again=False)


@rule("PI-DR-02", needs="driver:desc", local=True)
def only_write_inside_a_table(view: View) -> Result:
    rings, chains = view.rings, view.chains
    judged = (rings.layout[chains.q] == PACKED) & (chains.table == 1)
    # NEXT may stem from the walk: where a table cannot be read, it is made up of the request.
    found = breaches(
        judged & (chains.flags & ~(bits.WRITE | bits.NEXT) != 0),
        lambda i: (
            f"{rings.name(chains.q[i])}: entry {chains.slot[i]} of a table has flags"
            f" {chains.flags[i]:#x}"
        ),
        chains.row,
    )
    return Result(int(judged.sum()), found, why="no indirect descriptor in a packed ring")


def _suppression(view: View, kind: str, names: tuple[str, ...]) -> Result:
    """Event suppression flags: 0 or 1, and 2 with EVENT_IDX."""
    rings = view.rings
    if not {*names} <= {*view.events.fields[kind]}:
        return Result(0, why="the driver's tracepoints do not read these flags")
    frame = rings.of(kind)
    q = ints(frame, "q")
    judged = rings.layout[q] == PACKED
    value = np.max([ints(frame, name) for name in names], axis=0)
    most = np.where(rings.event_idx(q, ints(frame, "event_idx")), 2, 1)
    found = breaches(
        judged & (value > most),
        lambda i: f"{rings.name(q[i])}: event suppression flags are {value[i]}",
        ints(frame, "row"),
    )
    return Result(int(judged.sum()), found, why=NOTHING)


@rule("DX-13", needs="driver:callback")
def driver_event_flags(view: View) -> Result:
    return _suppression(view, "callback", ("avail_flags",))


@rule("DX-14", needs="driver:kick")
def device_event_flags(view: View) -> Result:
    return _suppression(view, "kick", ("flags", "flags_after"))
