# SPDX-License-Identifier: GPL-2.0-only
"""What both layouts show: flags in words, the state of a chain, notifications, indices."""

from __future__ import annotations

from typing import Any

import numpy as np

from pykit.analysis.ring.moment import Moment
from pykit.analysis.ring.panels import Owner, Panel, PanelRow
from pykit.spec import bits
from pykit.spec.arrays import WRAP
from pykit.spec.packed import AT_DESC, WRAP_BIT

#: Rows of a panel at most, and those of one chain among them.
ROWS, OF_CHAIN = 14, 9
#: Entries of an avail or used ring that are listed: the last ones.
ENTRIES = 7

_FLAGS = ((bits.NEXT, "NEXT"), (bits.WRITE, "WRITE"), (bits.INDIRECT, "INDIRECT"))
_SUPPRESSION = {0: "all", 1: "none", AT_DESC: "at a descriptor"}


def flags_of(value: int, known: int = 7) -> str:
    """Return descriptor flags by name, those that have none as a number."""
    names = [name for bit, name in _FLAGS if value & bit]
    rest = value & ~known
    return " ".join([*names, *([f"{rest:#x}"] if rest else [])]) or "0"


def address(value: Any) -> str:
    """Return a bus address, which columns hold as a signed number."""
    return f"{int(value) & (1 << 64) - 1:#x}"


def state_of(moment: Moment, chain: int) -> tuple[str, Owner]:
    """Return what has become of a chain by then, and whose it is."""
    view = moment.view
    entry = int(view.pairs.used_of[chain])
    if entry >= 0 and view.used.at[entry] <= moment.at:
        return "back at the driver", "driver"
    if moment.taken < 0:
        return "available", "device"
    # A device that returns chains in another order leaves open which one it was.
    if view.adds.number[chain] < moment.taken:
        return "taken", "device"
    return "available", "device"


def position(value: int) -> str:
    """Return an offset with its wrap counter in words."""
    return f"slot {value & (WRAP_BIT - 1)}, wrap {value >> 15}"


def suppression(flags: int, event: int) -> str:
    """Return an event suppression structure of a packed ring in words."""
    wish = _SUPPRESSION.get(flags, f"flags {flags:#x} (reserved)")
    return f"{wish}: {position(event)}" if flags == AT_DESC else wish


def notifications(moment: Moment, *, packed: bool) -> Panel:
    """Return what each side asked of the other, and what the driver decided last."""
    rows = [*_of_device(moment, packed), *_of_driver(moment, packed)]
    return Panel("Notifications", ("what", "value"), tuple(rows))


def _of_device(moment: Moment, packed: bool) -> list[PanelRow]:
    kick = moment.last("kick", "add_failed")
    rows = []
    if kick:
        if packed:
            wish = suppression(kick["flags"], kick["event"])
        elif kick["event_idx"]:
            wish = f"avail_event {kick['event']}"
        else:
            wish = f"used.flags {kick['flags']:#x}"
        marked = kick["row"] in moment.rows
        rows.append(PanelRow(("device asks for", wish), "device", marked))
        span = (
            f"{position(kick['old'])} to {position(kick['new'])}"
            if packed
            else f"idx {kick['old']} to {kick['new']}"
        )
        rows.append(PanelRow(("last decision", span), "driver", marked))
        if "needed" in kick:
            needed = "notify" if kick["needed"] else "do not notify"
            rows.append(PanelRow(("  it was", needed), "driver", marked))
        rows.append(PanelRow(("  notification", _notified(moment, kick)), "driver", marked))
    return rows


def _notified(moment: Moment, kick: dict[str, Any]) -> str:
    """Return how long after a decision a notification followed, if one did before the next."""
    rings = moment.view.rings
    later = rings.of("kick", "add_failed", "notify").of_queue(moment.q)
    next_ = int(np.flatnonzero(later["row"] == kick["row"])[0]) + 1
    if next_ == len(later) or later.kinds[later.kind[next_]] != "notify":
        return "none followed"
    ns = int(rings.base_of(later, "ts")[next_]) - int(kick["ts"])
    return f"sent {ns / 1000:,.1f} µs later"


def _of_driver(moment: Moment, packed: bool) -> list[PanelRow]:
    # A used entry that is taken moves used_event on.
    wish = moment.last("callback", "queue", "used")
    rows = []
    if wish:
        flags = wish.get("avail_flags", wish.get("event_flags", 0))
        event = wish.get("used_event", wish.get("event", 0))
        if packed:
            text = suppression(flags, event)
        else:
            text = f"avail.flags {flags:#x}, used_event {event}"
        marked = (
            wish["row"] in moment.rows
            and wish["kind"] != "used"
            and (packed or not index_is_wrong(moment, wish))
        )
        rows.append(PanelRow(("driver asks for", text), "driver", marked))
    interrupt = moment.last("interrupt")
    if interrupt:
        text = f"used idx {interrupt['used_idx']}, driver at {interrupt['last_used']}"
        if packed:
            text = f"driver at {position(interrupt['last_used'])}"
        marked = interrupt["row"] in moment.rows
        rows.append(PanelRow(("last interrupt", text), "device", marked))
    return rows


def index_is_wrong(moment: Moment, event: dict[str, Any]) -> bool:
    """Return whether a violation is about used.idx as this event read it: no entry can be there."""
    if event.get("row") not in moment.rows or "last_used" not in event:
        return False
    ahead = (int(event["used_idx"]) - int(event["last_used"])) % WRAP
    return ahead > moment.size


def account(moment: Moment) -> tuple[str, ...]:
    """Return a note about what the device had done, as its own observer has it."""
    if moment.taken < 0:
        return ()
    return (f"by the device's log: {moment.taken:,} taken, {moment.returned:,} returned",)


def field(event: dict[str, Any], name: str) -> str:
    """Return a field of an event as text, a question mark where it was not seen."""
    return str(event.get(name, "?"))
