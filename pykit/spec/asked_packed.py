# SPDX-License-Identifier: GPL-2.0-only
"""A packed ring that does not move, by what both sides wrote to it (section 2.8).

The driver names the descriptor that it waits for, the device the one that it looks at next. The
flags of those two show whether they are available, used, or neither, in the round that was named.
Where QEMU is the device, its own positions are known as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pykit.spec.packed import AT_DESC, AVAIL_BIT, DISABLE, USED_BIT, WRAP_BIT
from pykit.spec.standstill import Undecided

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pykit.spec.standstill import Standing

#: The part of an event offset that is a place.
_OFFSET = WRAP_BIT - 1


def packed_standing(at: Mapping[str, int], size: int) -> Standing | Undecided | None:
    """Return where the first chain of a packed queue waits; None where none does.

    ``at`` has the numbers of ``asked.AskedQueue``, of a queue whose device holds no chain that it
    counts.
    """
    taken = at.get("last-avail-idx")
    wanted = _place(at, "device")
    if taken is not None and wanted == taken and _state(at, "device") == "available":
        words = "the device asked for a notification of the descriptor, and none reached it"
        return "published", "driver", 1, taken, words
    if at["driver-flags"] == DISABLE:
        words = "the driver disabled interrupts: whether it has taken what is back does not show"
        return Undecided(words)
    place = _place(at, "driver")
    if place is None or "driver-place-flags" not in at:
        if place is not None and place >= size:
            words = f"the driver waits for an interrupt of place {place}, which the ring has not"
            return Undecided(words, "driver")
        return Undecided("which entries wait does not show in its event suppression")
    state = _state(at, "driver")
    if state == "used":
        return _back(at, size, place)
    if state == "available" and place == at.get("used-idx", place):
        return _unreturned(at, place, wanted)
    if taken is not None and wanted != taken:
        return Undecided("which entries wait does not show in its event suppression")
    expected = at.get("used-idx", wanted)
    if expected is None or expected == place:
        return None
    return Undecided(
        f"the driver waits for an interrupt of place {place} only, and the device is at "
        f"{expected}: whether it has taken what is back does not show",
        "driver",
    )


def used_is_there(at: Mapping[str, int]) -> bool:
    """Return whether the driver asked for an interrupt of a used descriptor that is there."""
    return _place(at, "driver") is not None and _state(at, "driver") == "used"


def _back(at: Mapping[str, int], size: int, place: int) -> Standing:
    """Judge a queue that has the used descriptor that the driver waits for."""
    used, decided = at.get("used-idx"), at.get("signalled-used")
    words = f"the used descriptor at place {place} is there, which the driver waits for"
    if used is None:
        words = f"{words}: no interrupt of it reached the driver, or it did not look"
        return "uncollected", "unknown", 1, place, words
    back = (used - place) % size or size
    if decided is not None and decided != used:
        words = f"it returned up to {used}, and decided on no interrupt since {decided}"
        return "unsignalled", "device", back, place, words
    if decided is None:
        return "uncollected", "unknown", back, place, words
    return "uncollected", "driver", back, place, words


def _unreturned(at: Mapping[str, int], place: int, wanted: int | None) -> Standing:
    """Judge a queue whose device has not returned what the driver waits for."""
    if at["device-flags"] == DISABLE:
        return "held", "device", 1, place, "it asked for no notification of the entry"
    if wanted is None:
        words = "the device was not notified of the entry, or did not return it"
        return "untaken", "unknown", 1, place, words
    if at["device-event"] == at["driver-event"]:
        words = f"the device asked for a notification of place {place}, and none reached it"
        return "published", "driver", 1, place, words
    asked = f"place {wanted}" + " in the other round" * (wanted == place)
    words = f"it asked for a notification of {asked} only: it holds the chain, or names a wrong one"
    return "held", "device", 1, place, words


def _place(at: Mapping[str, int], side: str) -> int | None:
    """Return the place that a side asks to be notified of, where it names one."""
    return at[f"{side}-event"] & _OFFSET if at.get(f"{side}-flags") == AT_DESC else None


def _state(at: Mapping[str, int], side: str) -> Literal["available", "used", "neither"]:
    """Return what the descriptor is that a side names, in the round that it names (2.8.1)."""
    wrap = bool(at[f"{side}-event"] & WRAP_BIT)
    flags = at.get(f"{side}-place-flags")
    if flags is None:
        return "neither"
    found = bool(flags >> AVAIL_BIT & 1), bool(flags >> USED_BIT & 1)
    if found == (wrap, wrap):
        return "used"
    return "available" if found == (wrap, not wrap) else "neither"
