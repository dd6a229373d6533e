# SPDX-License-Identifier: GPL-2.0-only
"""Packed virtqueues: notifications of the device (sections 2.8.10, 2.8.21).

Decisions are those of ``notify.py``, whose words are used here. The device's event suppression
structure has flags (0: notify of all, 1: of none, 2: of the descriptor at the given place) and a
place: an offset with the wrap counter of its round.
"""

from __future__ import annotations

import numpy as np

from pykit.spec.model import Result, rule
from pykit.spec.packed import AT_DESC, is_packed, slot_of, traced
from pykit.spec.rows import Rows
from pykit.spec.topics.doorbells import superfluous_doorbells
from pykit.spec.topics.notify import decisions, must_notify, should_not_notify
from pykit.spec.view import View

NO_PLACE = "no packed queue requested an event of one descriptor"
UNREAD = "the driver's tracepoints do not read these flags"


def _unread(view: View) -> Result | None:
    """Return the result of a capture whose kicks lack the flags, None otherwise."""
    if traced(view, "kick", "flags", "flags_after"):
        return None
    kicks = view.events_of("kick")
    return Result(0, undecided=int(is_packed(view, kicks["q"]).sum()), why=UNREAD, doubt=UNREAD)


@rule("DX-62", needs=("driver:kick", "driver:queue", "driver:notify"))
def notifies_where_requested(view: View) -> Result:
    """Section 2.8.10: the driver notifies of new descriptors of which the device wants to know.

    Checked: each decision on a packed queue whose new descriptors include the one that the
    device's event suppression structure names (flags 2), or at which it names all (flags 0).

    Undecided and left out: as for NA-DR-06 and NA-DR-04; also where the structure's values are not
    defined.
    """
    return _unread(view) or must_notify(view, decisions(view).packed)


@rule("DX-63", needs=("driver:kick", "driver:queue", "driver:notify"))
def silent_where_suppressed(view: View) -> Result:
    """Section 2.8.10: the driver does not notify of descriptors for which the device suppressed it.

    Checked: each decision on a packed queue about new descriptors, none of which the device's
    event suppression structure names, or at which it suppresses all (flags 1); and with EVENT_IDX
    each decided notification, as for NA-DR-07. Decisions without new descriptors are left out: a
    driver may notify more often.

    Undecided: as for NA-DR-07 and NA-DR-03.
    """
    if unread := _unread(view):
        return unread
    own = should_not_notify(view, decisions(view).packed)
    return own + superfluous_doorbells(view, packed=True)


@rule("DX-69", needs=("driver:callback", "driver:queue"))
def driver_event_offset(view: View) -> Result:
    """Section 2.8.10: the place of which the driver wants to be interrupted is in the ring.

    Checked: each time that the driver switches callbacks of a packed queue while its event
    suppression structure has flags 2: the offset is below the queue size.
    """
    events = view.events_of("callback")
    return _inside(view, events.plus(flag=events["avail_flags"], place=events["used_event"]))


@rule("DX-70", needs=("driver:kick", "driver:queue"))
def device_event_offset(view: View) -> Result:
    """Section 2.8.10: the place of which the device wants to be notified is in the ring.

    Checked: each decision to notify on a packed queue at which the device's event suppression
    structure has flags 2 at both readings: the offset is below the queue size.
    """
    if unread := _unread(view):
        return unread
    kicks = view.events_of("kick")
    both = np.where(kicks["flags"] == kicks["flags_after"], kicks["flags"], 0)
    return _inside(view, kicks.plus(flag=both, place=kicks["event_after"]))


def _inside(view: View, events: Rows) -> Result:
    """Check offsets (``place``) of suppression structures with flags 2 (``flag``)."""
    q = events["q"]
    events = events.plus(offset=slot_of(events["place"]), size=view.rings.size[q])
    events = events.where(is_packed(view, q) & (events["flag"] == AT_DESC))
    return events.check(
        events["offset"] < events["size"],
        "{queue}: an event of descriptor {offset} in a ring of {size}",
        none=NO_PLACE,
    )
