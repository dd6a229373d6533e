# SPDX-License-Identifier: GPL-2.0-only
"""Packed rings that the driver broke: what a device does with one after that proves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import NEVER, Bools, Ints, ints
from pykit.spec.packed import (
    AT_DESC,
    AVAIL_BIT,
    DISABLE,
    UNKNOWN_ID,
    entries,
    is_packed,
    lists,
    one_by_one,
    overwritten,
    slots,
)

if TYPE_CHECKING:
    from pykit.spec.view import View


def ids_again(view: View) -> tuple[Bools, Bools]:
    """By list: it has the id of one that is outstanding; and that may be, or not.

    An id that the device wrote there is no evidence: where the used descriptor at that place has
    the same id and len, it is doubtful.
    """
    found, taken, memory = lists(view), entries(view), slots(view)
    there, settled = overwritten(view)
    twice, doubtful = (np.zeros(len(found.q), dtype=np.bool_) for _ in range(2))
    # The observer keeps the ids that are outstanding: it gives no head to a list with one of them.
    suspect = view.adds.head[found.add] == UNKNOWN_ID
    mine = np.flatnonzero(memory.last & suspect[memory.list])
    other = there[mine]
    same = np.zeros(len(mine), dtype=np.bool_)
    if len(taken.q):
        same = (other >= 0) & (taken.id[other] == memory.id[mine])
        same &= taken.len[other] == memory.len[mine]
    clear = memory.mine[mine] & settled[mine] & ~same
    size = view.rings.size[memory.q[mine]]
    twice[memory.list[mine[clear & (memory.id[mine] < size)]]] = True
    doubtful[memory.list[mine[~clear]]] = True
    return twice, doubtful


def outstanding_slots(view: View) -> tuple[Ints, Bools]:
    """By list: descriptors outstanding with it; and whether all that were freed are known."""
    found, taken = lists(view), entries(view)
    freed = np.where(taken.list >= 0, found.slots[taken.list], 0) if len(found.q) else taken.id
    freed = np.where(taken.accepted, freed, 0)
    total = np.concatenate([[0], np.cumsum(freed)])
    stray = np.concatenate([[0], np.cumsum(taken.accepted & (taken.list < 0))])
    begin = np.searchsorted(taken.q, found.q)
    upto = np.maximum(np.searchsorted(taken.at, found.at), begin)
    base = found.base[found.q] if len(found.q) else found.q
    outstanding = found.end - base - (total[upto] - total[begin])
    return outstanding, (stray[upto] == stray[begin]) & one_by_one(view, found.q)


def broken_by_driver(view: View) -> Ints:
    """By queue: where the driver first wrote what it must not into a packed ring; NEVER if not.

    These are flags that do not fit the wrap counter or the list, an id that is outstanding already,
    more descriptors than the ring has, a used descriptor that the driver refuses though its id is
    that of a list which is outstanding, and event suppression flags that are not defined.
    """
    return view.keep("packed broken", _broken_by_driver)


def _broken_by_driver(view: View) -> Ints:
    broken = np.full(len(view.rings.queue), NEVER)
    memory, taken = slots(view), entries(view)
    size = np.maximum(view.rings.size[memory.q], 1) if len(memory.q) else memory.q
    wrap = 1 - memory.place // size % 2
    wrong = memory.mine & (memory.flags >> AVAIL_BIT & 1 != wrap)
    wrong |= memory.mine & ((memory.flags & bits.NEXT != 0) == memory.last)
    there, settled = overwritten(view)
    wrong |= ~memory.mine & settled & (there < 0)
    np.minimum.at(broken, memory.q[wrong], memory.at[wrong])
    found = lists(view)
    outstanding, clear = outstanding_slots(view)
    wrong = ids_again(view)[0] & one_by_one(view, found.q)
    if len(found.q):
        wrong |= clear & (outstanding > view.rings.size[found.q])
    np.minimum.at(broken, found.q[wrong], found.at[wrong])
    disowned = taken.refused & (taken.list >= 0)
    np.minimum.at(broken, taken.q[disowned], taken.at[disowned])
    calls = view.rings.of("callback")
    q = ints(calls, "q")
    most = np.where(view.rings.event_idx(q, ints(calls, "event_idx")), AT_DESC, DISABLE)
    undefined = is_packed(view, q) & (ints(calls, "avail_flags") > most)
    np.minimum.at(broken, q[undefined], ints(calls, "at")[undefined])
    return broken
