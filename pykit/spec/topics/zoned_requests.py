# SPDX-License-Identifier: GPL-2.0-only
"""Requests that a driver makes of a zoned block device (section 5.2.6.1).

Limits are those that the driver read in the same life. A request of a life in which it did not
read the limit is undecided.
"""

from __future__ import annotations

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import Bools
from pykit.spec.model import Result, rule
from pykit.spec.rows import Rows, Tally
from pykit.spec.topics.block import NO_LIMIT, limits, requests_of
from pykit.spec.view import View
from pykit.spec.zone_limits import exceeds
from pykit.spec.zones import Characteristics, History, Request, histories

#: What the type and the state of zones are known from.
_KNOWN = (
    *("driver:blk_start", "driver:blk_done", "driver:add", "driver:used", "driver:features"),
    *("driver:config", "driver:blk_zone", "driver:blk_range"),
)
_UNREAD = "the driver did not read the limit"
_NONE = "no such request to a zoned device was made"


def _zoned(view: View, *types: int) -> Rows:
    """Requests of these types in lives with ZONED, with the limits that the driver read.

    Columns: ``size`` of a zone, ``granularity`` and ``most`` (to append), NO_LIMIT where the
    driver did not read them.
    """
    requests = requests_of(view, *types)
    requests = requests.where(view.rings.feature(bits.BLK_ZONED)[requests["q"]] == 1)
    read = [Characteristics.of(view.life(dev, life)) for dev, life, _ in view.rings.queue]

    def column(name: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        values = [getattr(found, name) for found in read]
        known = np.array([NO_LIMIT if v is None else v for v in values], dtype=np.int64)
        return known[requests["q"]]

    return requests.plus(
        size=column("zone_sectors"),
        granularity=column("granularity"),
        most=column("max_append"),
    )


def _against(requests: Rows, limit: str, holds: Bools, message: str) -> Result:
    """Check the requests whose limit is known, and leave the others undecided."""
    known = (requests[limit] != NO_LIMIT) & (requests[limit] > 0)
    decided = requests.plus(holds=holds).where(known)
    return decided.check(
        decided["holds"],
        message,
        none=_NONE,
        undecided=len(requests) - len(decided),
        doubt=_UNREAD,
    )


@rule("BO-DR-18", needs=("driver:blk_start", "driver:features", "driver:config"), contents=True)
def report_begins_on_the_disk(view: View) -> Result:
    """Section 5.2.6.1: the sector of a zone report lies in the first zone that is wanted.

    Checked: each ZONE_REPORT request of a device whose capacity the driver read: its sector is
    one of the disk's. Which zone the driver wants is not visible.
    """
    requests = _zoned(view, bits.T_ZONE_REPORT)
    requests = requests.plus(capacity=limits(view, requests["q"]))
    inside = (requests["sector"] >= 0) & (requests["sector"] < requests["capacity"])
    text = "{queue}: zones are to be reported from sector {sector} on, there are {capacity}"
    return _against(requests, "capacity", inside, text)


@rule("BO-DR-20", needs=("driver:blk_start", "driver:features", "driver:config"), contents=True)
def zones_are_named_by_their_start(view: View) -> Result:
    """Section 5.2.6.1: requests that manage a zone name its first sector.

    Checked: each ZONE_OPEN, ZONE_CLOSE, ZONE_FINISH and ZONE_RESET request of a device whose
    zone_sectors the driver read: its sector is a multiple of it.
    """
    requests = _zoned(view, *bits.ZONE_MANAGING)
    holds = requests["sector"] % np.maximum(requests["size"], 1) == 0
    text = "{queue}: {kind} request for sector {sector}, zones begin every {size}"
    return _against(requests, "size", holds, text)


@rule("BO-DR-21", needs=("driver:blk_start", "driver:features"), local=True, contents=True)
def reset_all_has_sector_zero(view: View) -> Result:
    """Section 5.2.6.1: the sector of a ZONE_RESET_ALL request is 0.

    Checked: each ZONE_RESET_ALL request.
    """
    requests = _zoned(view, bits.T_ZONE_RESET_ALL)
    text = "{queue}: {kind} request with sector {sector}"
    return requests.check(requests["sector"] == 0, text, none=_NONE)


@rule("BO-DR-22", needs=("driver:blk_start", "driver:features", "driver:config"), contents=True)
def appends_name_the_zones_start(view: View) -> Result:
    """Section 5.2.6.1: the sector of a zone append is the first one of its zone.

    Checked: each ZONE_APPEND request of a device whose zone_sectors the driver read.
    """
    requests = _zoned(view, bits.T_ZONE_APPEND)
    holds = requests["sector"] % np.maximum(requests["size"], 1) == 0
    text = "{queue}: {kind} request for sector {sector}, zones begin every {size}"
    return _against(requests, "size", holds, text)


@rule("BO-DR-23", needs=("driver:blk_start", "driver:features", "driver:config"), contents=True)
def appends_have_the_granularity(view: View) -> Result:
    """Section 5.2.6.1: the data of a zone append is a multiple of write_granularity bytes.

    Checked: each ZONE_APPEND request of a device whose write_granularity the driver read.
    """
    requests = _zoned(view, bits.T_ZONE_APPEND)
    holds = requests["bytes"] % np.maximum(requests["granularity"], 1) == 0
    text = "{queue}: {kind} request of {bytes} bytes, not a multiple of {granularity}"
    return _against(requests, "granularity", holds, text)


@rule("BO-DR-24", needs=("driver:blk_start", "driver:features", "driver:config"), contents=True)
def appends_are_within_the_limit(view: View) -> Result:
    """Section 5.2.6.1: the data of a zone append is at most max_append_sectors.

    Checked: each ZONE_APPEND request of a device whose max_append_sectors the driver read, be it
    0: then no append is within it.
    """
    requests = _zoned(view, bits.T_ZONE_APPEND)
    known = requests.where(requests["most"] != NO_LIMIT)
    return known.check(
        known["bytes"] <= known["most"] * bits.SECTOR,
        "{queue}: {kind} request of {bytes} bytes, the device takes {most} sectors",
        none=_NONE,
        undecided=len(requests) - len(known),
        doubt=_UNREAD,
    )


def _sequential(view: View) -> list[tuple[History, Request]]:
    """Writes and appends to zones of which a report has said that they are sequential."""
    sequential = (bits.ZT_SEQUENTIAL_REQUIRED, bits.ZT_SEQUENTIAL_PREFERRED)
    return [
        (history, request)
        for history in histories(view)
        for request in history.requests
        if request.type in (bits.T_OUT, bits.T_ZONE_APPEND)
        and request.zone
        and request.zone.kind in sequential
    ]


@rule("BO-DR-26", needs=_KNOWN, contents=True)
def writes_have_the_granularity(view: View) -> Result:
    """Section 5.2.6.1: data for a sequential zone is a multiple of write_granularity bytes.

    Checked: each write and append that ended, to a zone that a report has called sequential, of
    a device whose write_granularity the driver read.
    """
    tally = Tally(none="nothing was written to a sequential zone", doubt=_UNREAD)
    for history, request in _sequential(view):
        unit = history.limits.granularity
        if not unit:
            tally.undecided()
            continue
        text = f"{history.name}: {request.bytes} bytes for a sequential zone, not whole {unit}"
        tally.check(request.bytes % unit == 0, request.row, text)
    return tally.result()


@rule("BO-DR-27", needs=_KNOWN, contents=True)
def writes_are_aligned(view: View) -> Result:
    """Section 5.2.6.1: writes to a sequential zone begin at a multiple of write_granularity.

    Checked: as for BO-DR-26. The sector is compared in bytes, as the granularity has it.
    """
    tally = Tally(none="nothing was written to a sequential zone", doubt=_UNREAD)
    for history, request in _sequential(view):
        unit = history.limits.granularity
        if not unit:
            tally.undecided()
            continue
        text = f"{history.name}: a write at sector {request.sector} is not aligned to {unit} bytes"
        tally.check(request.sector * bits.SECTOR % unit == 0, request.row, text)
    return tally.result()


@rule("BO-DR-28", needs=_KNOWN, contents=True)
def writes_fit_into_their_zone(view: View) -> Result:
    """Section 5.2.6.1: data for a sequential zone fits between write pointer and capacity.

    Checked: each write and append that ended, to a zone that a report has called sequential and
    whose write pointer is known. The pointer is known from the last report of the zone and the
    requests that succeeded since; where requests of the zone overlap it is undecided. A zone
    that is full has no room.
    """
    tally = Tally(none="nothing was written to a sequential zone", doubt="requests overlap")
    for history, request in _sequential(view):
        zone = request.zone
        if not zone or (zone.wp is None and not zone.surely(frozenset({bits.ZS_FULL}))):
            tally.undecided()
            continue
        text = (
            f"{history.name}: {request.sectors} sectors for the zone at {zone.start}, which has"
            f" less room behind its write pointer"
        )
        tally.check(not exceeds(zone, zone.wp, request.sectors), request.row, text)
    return tally.result()
