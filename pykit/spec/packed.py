# SPDX-License-Identifier: GPL-2.0-only
"""Packed virtqueues (section 2.8): what the driver's events show honestly.

The device overwrites descriptors as soon as it has used them, so flags that say whose turn
it is cannot be read back reliably: the rules on wrap counters need another observer.
"""

from __future__ import annotations

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import ints
from pykit.spec.framing import misplaced
from pykit.spec.indirect import not_negotiated, too_long
from pykit.spec.model import Result, breaches, rule
from pykit.spec.rings import PACKED
from pykit.spec.split import returned
from pykit.spec.view import View

NOTHING = "no packed virtqueue was used"


@rule("PV-DR-01", "driver:queue", local=True)
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


@rule("PS-DR-02", "driver:desc", "driver:queue")
def list_fits_queue(view: View) -> Result:
    return too_long(view, PACKED)


@rule("PS-DR-03", "driver:desc")
def readable_before_writable(view: View) -> Result:
    return misplaced(view, PACKED)


@rule("PI-DR-01", "driver:desc")
def indirect_only_if_negotiated(view: View) -> Result:
    return not_negotiated(view, PACKED)


@rule("PI-DR-04", "driver:desc", local=True)
def indirect_is_not_in_a_list(view: View) -> Result:
    rings, chains = view.rings, view.chains
    judged = (rings.layout[chains.q] == PACKED) & ~chains.element
    found = breaches(
        judged & (chains.flags & bits.NEXT != 0),
        lambda i: f"{rings.name(chains.q[i])}: slot {chains.slot[i]} has INDIRECT and NEXT",
        chains.row,
    )
    return Result(int(judged.sum()), found, why="no indirect descriptor in a packed ring")


@rule("DX-09", "driver:add", "driver:used")
def used_id_is_outstanding(view: View) -> Result:
    return returned(view, PACKED, again=False)
