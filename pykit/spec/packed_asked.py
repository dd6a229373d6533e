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
    """Last value of a queue's structure; ``there``: a used descriptor was there by then."""

    flags: int
    event: int
    there: bool


def _wish(view: View, q: int) -> _Wish | None:
    frame = view.rings.of("callback", "used").of_queue(q)
    if not len(frame) or not readable(view):
        return None
    last = frame.take(slice(len(frame) - 1, len(frame)))
    if are(last, "used")[0]:
        return _Wish(int(ints(last, "event_flags")[0]), int(ints(last, "event")[0]), there=False)
    there = bool(ints(last, "used_idx")[0] != ints(last, "last_used")[0])
    return _Wish(int(ints(last, "avail_flags")[0]), int(ints(last, "used_event")[0]), there)


def suppressed(view: View, q: int) -> bool:
    """Return whether the driver of a packed queue left interrupts disabled, at the last."""
    wish = _wish(view, q)
    return wish is not None and wish.flags == DISABLE


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
