# SPDX-License-Identifier: GPL-2.0-only
"""Which requests a zoned device must refuse, and with which statuses (section 5.2.6.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pykit.spec import bits

if TYPE_CHECKING:
    from pykit.spec.zones import Characteristics, Request, States, Zone

_INVALID: States = frozenset({bits.S_INVALID_CMD})
_UNALIGNED: States = frozenset({bits.S_UNALIGNED_WP})
_RESOURCE: States = frozenset({bits.S_OPEN_RESOURCE, bits.S_ACTIVE_RESOURCE})
_UNSUPPORTED: States = frozenset({bits.S_UNSUPP})

_READ_ONLY: States = frozenset({bits.ZS_READ_ONLY})
_OFFLINE: States = frozenset({bits.ZS_OFFLINE})
_LOST: States = _READ_ONLY | _OFFLINE
_FULL: States = frozenset({bits.ZS_FULL})
_EMPTY: States = frozenset({bits.ZS_EMPTY})
_WRITABLE: States = frozenset({bits.ZS_EMPTY, bits.ZS_IOPEN, bits.ZS_EOPEN, bits.ZS_CLOSED})
_INACTIVE: States = frozenset({bits.ZS_EMPTY, bits.ZS_CLOSED})

#: Requests that manage a zone: the clause, and the states from which there is no transition.
#: Finishing a zone that is empty or closed is left undecided: the list of transitions does not
#: have it, and the standards of zoned disks that it follows have.
_TRANSITIONS: dict[int, tuple[str, States]] = {
    bits.T_ZONE_OPEN: ("BO-DE-21", _FULL | _LOST),
    bits.T_ZONE_CLOSE: ("BO-DE-23", _EMPTY | _FULL | _LOST),
    bits.T_ZONE_FINISH: ("BO-DE-24", _LOST),
    bits.T_ZONE_RESET: ("BO-DE-25", _LOST),
}


def illegal(request: Request, limits: Characteristics) -> dict[str, States]:
    """Return the clauses that demand an error, each with the statuses that it takes.

    Only what is certain counts: a zone's type and state as far as they are known.
    """
    zone, size = request.zone, limits.zone_sectors
    if zone is None or not size:
        return {}
    found: dict[str, States] = {}
    if request.type in bits.ZONE_MANAGING:
        if request.sector == zone.start:
            _managing(request, zone, limits, found)
    elif request.type == bits.T_ZONE_APPEND:
        _appending(request, zone, limits, found)
    elif request.type in (bits.T_IN, bits.T_OUT) and zone.kind == bits.ZT_SEQUENTIAL_REQUIRED:
        if request.sector + request.sectors > zone.start + size:
            found["BO-DE-32"] = _INVALID
        if request.type == bits.T_OUT:
            _writing(request, zone, limits, found)
    managed = request.type in (bits.T_IN, bits.T_OUT, bits.T_ZONE_APPEND, *bits.ZONE_MANAGING)
    if managed and zone.surely(_OFFLINE):
        found["BO-DE-36"] = _INVALID
    return found


def short_of_resources(request: Request, zone: Zone, limits: Characteristics) -> bool:
    """Return whether opening a zone would certainly exceed a limit.

    Only zones that are open explicitly count as open: the device may close the others.
    """
    if request.open is None or request.active is None or not zone.surely(_INACTIVE):
        return False
    if limits.max_open and request.open[0] >= limits.max_open:
        return True
    needs = zone.surely(_EMPTY)
    return bool(limits.max_active) and needs and request.active[0] >= (limits.max_active or 0)


def _managing(
    request: Request, zone: Zone, limits: Characteristics, found: dict[str, States]
) -> None:
    if zone.kind == bits.ZT_CONVENTIONAL:
        found["BO-DE-19"] = _INVALID
        return
    clause, states = _TRANSITIONS[request.type]
    if zone.surely(states):
        found[clause] = _INVALID
    elif request.type == bits.T_ZONE_OPEN and short_of_resources(request, zone, limits):
        found["BO-DE-22"] = _RESOURCE


def _appending(
    request: Request, zone: Zone, limits: Characteristics, found: dict[str, States]
) -> None:
    if zone.kind is not None and zone.kind != bits.ZT_SEQUENTIAL_REQUIRED:
        found["BO-DE-20"] = _INVALID
        return
    if request.sector != zone.start:
        found["BO-DE-27"] = _INVALID
    if limits.max_append is not None and request.sectors > limits.max_append:
        clause = "BO-DE-31" if limits.max_append else "BO-DE-30"
        found[clause] = _INVALID if limits.max_append else _UNSUPPORTED
    _storing(request, zone, limits, found)
    if exceeds(zone, zone.wp, request.sectors):
        found["BO-DE-28"] = _INVALID


def _writing(
    request: Request, zone: Zone, limits: Characteristics, found: dict[str, States]
) -> None:
    _storing(request, zone, limits, found)
    if zone.surely(_FULL):
        # Its write pointer is not defined: a device may say that it is not there.
        found["BO-DE-28"] = _INVALID | _UNALIGNED
    elif zone.wp is not None and zone.surely(_WRITABLE):
        if request.sector != zone.wp:
            found["BO-DE-33"] = _UNALIGNED
        elif exceeds(zone, request.sector, request.sectors):
            found["BO-DE-28"] = _INVALID


def _storing(
    request: Request, zone: Zone, limits: Characteristics, found: dict[str, States]
) -> None:
    """Add what writes and appends have in common."""
    if zone.surely(_READ_ONLY):
        found["BO-DE-35"] = _INVALID
    if short_of_resources(request, zone, limits):
        found["BO-DE-26"] = _RESOURCE


def exceeds(zone: Zone, at: int | None, sectors: int) -> bool:
    """Return whether data at a sector certainly exceeds what is left of a zone."""
    if zone.surely(_FULL):
        return True
    if at is None or zone.capacity is None:
        return False
    return at + sectors > zone.start + zone.capacity
