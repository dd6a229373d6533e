# SPDX-License-Identifier: GPL-2.0-only
"""What a driver of a packed ring asks for when it stops (section 2.8.10), by its ring memory.

The last value of the driver event suppression structure counts: that of the last time that it
switched callbacks, or that it took a used descriptor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from pykit.spec.arrays import are, ints
from pykit.spec.packed import (
    AT_DESC,
    DISABLE,
    PLACES,
    WRAP_BIT,
    completed,
    cycle,
    entries,
    lists,
    slot_of,
)
from pykit.spec.packed_suppression import readable

if TYPE_CHECKING:
    from pykit.spec.view import View

#: Used descriptors that the driver has to take, others that are available, or neither.
Asked = Literal["used", "available", "none"]


class _Wish(NamedTuple):
    """Last value of a queue's structure.

    Attributes:
        place: the driver's next one then, None where the event does not have it.
        there: a used descriptor stood there by then.
    """

    flags: int
    event: int
    place: int | None = None
    there: bool = False


def _wish(view: View, q: int) -> _Wish | None:
    frame = view.rings.of("callback", "used").of_queue(q)
    if not len(frame) or not readable(view):
        return None
    last = frame.take(slice(len(frame) - 1, len(frame)))
    if are(last, "used")[0]:
        event = int(ints(last, "event")[0])
        return _Wish(int(ints(last, "event_flags")[0]), event, _behind(view, q))
    event, place = int(ints(last, "used_event")[0]), int(ints(last, "last_used")[0])
    there = int(ints(last, "used_idx")[0]) != place
    return _Wish(int(ints(last, "avail_flags")[0]), event, place, there)


def _behind(view: View, q: int) -> int | None:
    """Return the place behind the last list that the driver took; None if that is not known."""
    last = np.flatnonzero(view.used.q == q)[-1]
    chain = int(view.pairs.add_of[last])
    if chain < 0:
        return None
    index = int(view.used.index[last])
    slot = (index & ~WRAP_BIT) + int(ints(view.rings.of("add"), "slots")[chain])
    size = int(view.rings.size[q])
    wrap = index & WRAP_BIT
    return slot | wrap if slot < size else slot - size | wrap ^ WRAP_BIT


def suppressed(view: View, q: int) -> bool:
    """Return whether the driver of a packed queue left interrupts disabled, at the last."""
    wish = _wish(view, q)
    return wish is not None and wish.flags == DISABLE


def asked_too_late(view: View, q: int) -> bool:
    """Return whether the last place that the driver named was filled by then, and is its next.

    The device may have looked before, and interrupts for no other place.
    """
    wish = _wish(view, q)
    return wish is not None and wish.flags == AT_DESC and wish.there and wish.event == wish.place


def asked_of_next(view: View, q: int) -> Asked | None:
    """As `asked_for`, of a queue at whose next place a used descriptor is known to stand.

    None where the driver named a place that is available and may be used, too. Where its own next
    place is not known it is taken to have named that.
    """
    wish, newest = _wish(view, q), int(np.searchsorted(view.adds.q, q, side="right")) - 1
    if wish is None or wish.flags != AT_DESC or newest < 0:
        return None
    if wish.place is None:
        return "used"
    size = int(view.rings.size[q])
    if slot_of(np.array([wish.event]))[0] >= size:
        return "none"
    places = np.array([wish.event, wish.place, int(view.adds.avail_idx[newest])])
    event, place, behind = cycle(places, np.full(3, size)).tolist()
    if event == place:
        return "used"
    # A ring that is full ends where it begins.
    available = (behind - place) % (2 * size)
    return "none" if (event - place) % (2 * size) >= available else None


def asked_for(view: View, q: int) -> Asked | None:
    """Return which descriptors the place is at that the driver of a packed queue names.

    Used ones are those that the device used by QEMU's log and the driver did not take.
    None where they are not known; or where one was there when the driver named the place, so that
    the device may have looked before.
    """
    wish = _wish(view, q)
    if wish is None or wish.flags != AT_DESC or wish.there or not view.rings.whole[q]:
        return None
    found, filled, taken = lists(view), completed(view), entries(view)
    low, high = np.searchsorted(filled.key, [q * PLACES, (q + 1) * PLACES])
    used = filled.list[low:high]
    first, behind = np.searchsorted(found.q, [q, q + 1])
    collected = int(np.count_nonzero(taken.fresh & (taken.q == q)))
    if collected >= len(used) or (used < 0).any() or first + int(used.max()) >= behind:
        return None
    size = int(view.rings.size[q])
    if slot_of(np.array([wish.event]))[0] >= size:
        return "none"
    # A used descriptor stands where the list that was used before it ended.
    ends = int(found.base[q]) + np.cumsum(found.slots[first + used])
    start = int(ends[collected] - found.slots[first + used[collected]])
    named = int(cycle(np.array([wish.event]), np.array([size]))[0])
    ahead = (named - start) % (2 * size)
    if ahead < ends[-1] - start:
        return "used"
    return "available" if ahead < found.end[behind - 1] - start else "none"
