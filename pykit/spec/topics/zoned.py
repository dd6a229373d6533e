# SPDX-License-Identifier: GPL-2.0-only
"""How a zoned block device answers requests (section 5.2.6.2).

A request that a clause forbids has to end with one of that clause's statuses. Where several
clauses forbid it, the statuses of all of them are accepted. What is known of a zone comes from
the device's own reports, which BZ-DE-01 and BZ-DE-02 hold against the requests: see
``pykit/spec/zones.py``. Nothing is demanded of requests that are not forbidden: they may fail
for reasons of the storage.
"""

from __future__ import annotations

from collections.abc import Iterator

from pykit.spec import bits
from pykit.spec import blkconfig as cfg
from pykit.spec.model import Result, rule
from pykit.spec.rows import Tally
from pykit.spec.topics.answers import end_with
from pykit.spec.topics.block import requests_of
from pykit.spec.topics.canary import marks
from pykit.spec.view import View
from pykit.spec.zones import ACTIVE, OPEN, WRITABLE, Descriptor, History, Request, histories

_ENDED = ("driver:blk_start", "driver:blk_done", "driver:add", "driver:used", "driver:features")
_ENDS = (*_ENDED, "driver:config")
#: What the state of zones is known from.
_KNOWN = (*_ENDS, "driver:blk_zone", "driver:blk_range")


def _requests(view: View, *types: int) -> Iterator[tuple[History, Request]]:
    """Requests of zoned devices that ended, of these types or of all."""
    for history in histories(view):
        for request in history.requests:
            if not types or request.type in types:
                yield history, request


def _refuses(view: View, clause: str, what: str) -> Result:
    """Check the requests that a clause forbids: the status is one that it, or another, takes."""
    tally = Tally(none=f"no {what} was requested")
    for history, request in _requests(view):
        if clause not in request.reasons:
            continue
        taken = frozenset().union(*request.reasons.values())
        names = " or ".join(str(status) for status in sorted(taken))
        text = f"{history.name}: {what} ended with status {request.status}, not with {names}"
        tally.check(request.status in taken, request.shown, text)
    return tally.result()


@rule("BO-DE-18", needs=_ENDED)
def zone_requests_need_the_feature(view: View) -> Result:
    """Section 5.2.6.2: without ZONED requests for zones end with UNSUPP.

    Checked: each request of a type that ZONED brings whose end was seen, in a life that did not
    negotiate ZONED.
    """
    requests = requests_of(view, *bits.ZONE_TYPES)
    without = requests.where(view.rings.feature(bits.BLK_ZONED)[requests["q"]] == 0)
    return end_with(view, without, bits.S_UNSUPP, "without ZONED")


@rule("BO-DE-19", needs=_KNOWN)
def conventional_zones_are_not_managed(view: View) -> Result:
    """Section 5.2.6.2: managing a conventional zone ends with ZONE_INVALID_CMD.

    Checked: each ZONE_OPEN, ZONE_CLOSE, ZONE_FINISH and ZONE_RESET of a zone that a report has
    called conventional.
    """
    return _refuses(view, "BO-DE-19", "management of a conventional zone")


@rule("BO-DE-20", needs=_KNOWN)
def appends_need_a_sequential_zone(view: View) -> Result:
    """Section 5.2.6.2: an append to a zone that is not SWR ends with ZONE_INVALID_CMD.

    Checked: each ZONE_APPEND to a zone that a report has called anything else.
    """
    return _refuses(view, "BO-DE-20", "append to a zone that is not SWR")


@rule("BO-DE-21", needs=_KNOWN)
def zones_that_cannot_be_opened(view: View) -> Result:
    """Section 5.2.6.2: opening a zone that cannot be opened ends with ZONE_INVALID_CMD.

    Checked: each ZONE_OPEN of a zone that is known to be full, read-only or offline.
    """
    return _refuses(view, "BO-DE-21", "open of a full or lost zone")


@rule("BO-DE-22", needs=_KNOWN)
def opening_takes_resources(view: View) -> Result:
    """Section 5.2.6.2: opening a zone beyond the limits ends with a status for that.

    Checked: each ZONE_OPEN of an empty or closed zone while max_open_zones others are open
    explicitly, or of an empty one while max_active_zones others are active. Zones that are open
    implicitly count as closed: the device may close them to make room.
    """
    return _refuses(view, "BO-DE-22", "open beyond the limits")


@rule("BO-DE-23", needs=_KNOWN)
def zones_that_cannot_be_closed(view: View) -> Result:
    """Section 5.2.6.2: closing a zone that cannot be closed ends with ZONE_INVALID_CMD.

    Checked: each ZONE_CLOSE of a zone that is known to be empty, full, read-only or offline.
    """
    return _refuses(view, "BO-DE-23", "close of a zone that is not active")


@rule("BO-DE-24", needs=_KNOWN)
def zones_that_cannot_be_finished(view: View) -> Result:
    """Section 5.2.6.2: finishing a zone that cannot be finished ends with ZONE_INVALID_CMD.

    Checked: each ZONE_FINISH of a zone that is known to be read-only or offline. Empty and closed
    zones are left undecided: the section's list of transitions does not have them, the standards
    of zoned disks do.
    """
    return _refuses(view, "BO-DE-24", "finish of a lost zone")


@rule("BO-DE-25", needs=_KNOWN)
def zones_that_cannot_be_reset(view: View) -> Result:
    """Section 5.2.6.2: resetting a zone that cannot be reset ends with ZONE_INVALID_CMD.

    Checked: each ZONE_RESET of a zone that is known to be read-only or offline.
    """
    return _refuses(view, "BO-DE-25", "reset of a lost zone")


@rule("BO-DE-26", needs=_KNOWN)
def writing_takes_resources(view: View) -> Result:
    """Section 5.2.6.2: a write that opens a zone beyond the limits ends with a status for that.

    Checked: each write and append to an empty or closed SWR zone while the limits are used up
    as BO-DE-22 has it.
    """
    return _refuses(view, "BO-DE-26", "write beyond the limits")


@rule("BO-DE-27", needs=_ENDS)
def appends_begin_where_zones_do(view: View) -> Result:
    """Section 5.2.6.2: an append for another sector than a zone's first ends with
    ZONE_INVALID_CMD.

    Checked: each ZONE_APPEND whose sector is not a multiple of zone_sectors.
    """
    return _refuses(view, "BO-DE-27", "append for a sector inside a zone")


@rule("BO-DE-28", needs=_KNOWN)
def zones_do_not_overflow(view: View) -> Result:
    """Section 5.2.6.2: data beyond what is left of a zone ends with ZONE_INVALID_CMD.

    Checked: each append to an SWR zone, and each write at its write pointer, that needs more room
    than there is; and each of them to a full zone. There the write pointer is not defined, so
    that a write may also end with ZONE_UNALIGNED_WP.
    """
    return _refuses(view, "BO-DE-28", "write beyond a zone's capacity")


@rule("BO-DE-29", needs=(*_ENDS, "driver:blk_answer"))
def appends_return_their_sector(view: View) -> Result:
    """Section 5.2.6.2: an append that succeeded returns the first sector that it wrote.

    Checked: each ZONE_APPEND that ended with OK and whose append_sector was traced: it is the
    zone's write pointer, where that is known; else the data lies inside the zone.
    """
    tally = Tally(none="no append succeeded")
    for history, request in _requests(view, bits.T_ZONE_APPEND):
        size, zone = history.limits.zone_sectors, request.zone
        if request.status != bits.S_OK or request.answer is None or not zone or not size:
            continue
        at = request.answer
        holds = zone.start <= at and at + request.sectors <= zone.start + size
        holds = holds and zone.wp in (None, at)
        where = "inside the zone" if zone.wp is None else f"at {zone.wp}"
        text = f"{history.name}: append_sector is {at}, the data went {where}"
        tally.check(holds, request.shown, text)
    return tally.result()


@rule("BO-DE-30", needs=_ENDS)
def appends_without_support(view: View) -> Result:
    """Section 5.2.6.2: with max_append_sectors 0 appends end with UNSUPP.

    Checked: each ZONE_APPEND with data in a life in which max_append_sectors was read as 0.
    """
    return _refuses(view, "BO-DE-30", "append to a device that takes none")


@rule("BO-DE-31", needs=_ENDS)
def appends_beyond_the_limit(view: View) -> Result:
    """Section 5.2.6.2: an append of more than max_append_sectors ends with ZONE_INVALID_CMD.

    Checked: each ZONE_APPEND of more sectors than the value above 0 that the driver read.
    """
    return _refuses(view, "BO-DE-31", "append beyond max_append_sectors")


@rule("BO-DE-32", needs=_KNOWN)
def zones_are_not_crossed(view: View) -> Result:
    """Section 5.2.6.2: access across the end of an SWR zone ends with ZONE_INVALID_CMD.

    Checked: each read and write that begins in an SWR zone and ends in another zone. Appends have
    no range of their own: BO-DE-28 has those that do not fit.
    """
    return _refuses(view, "BO-DE-32", "access across the end of a zone")


@rule("BO-DE-33", needs=_KNOWN)
def writes_are_at_the_pointer(view: View) -> Result:
    """Section 5.2.6.2: a write elsewhere than at the write pointer ends with ZONE_UNALIGNED_WP.

    Checked: each write to an SWR zone whose write pointer is known and is another sector.
    """
    return _refuses(view, "BO-DE-33", "write off the write pointer")


@rule("BO-DE-35", needs=_KNOWN)
def read_only_zones_are_not_written(view: View) -> Result:
    """Section 5.2.6.2: a write to a read-only zone ends with ZONE_INVALID_CMD.

    Checked: each write and append to an SWR zone that is known to be read-only.
    """
    return _refuses(view, "BO-DE-35", "write to a read-only zone")


@rule("BO-DE-36", needs=_KNOWN)
def offline_zones_are_not_accessed(view: View) -> Result:
    """Section 5.2.6.2: a request for an offline zone ends with ZONE_INVALID_CMD.

    Checked: each read, write, append and management of a zone that is known to be offline. (A
    zone never comes back from that.)
    """
    return _refuses(view, "BO-DE-36", "request for an offline zone")


@rule("BO-DE-38", needs=(*_KNOWN, "driver:blk_wrote"), also=("BO-DE-37",))
def unwritten_data_is_filled(view: View) -> Result:
    """Section 5.2.6.2: reads of unwritten data fill the buffer with a pattern, or fail.

    Checked: each read that ended with OK and includes sectors behind the write pointer of an SWR
    zone: our driver's marks are gone from all of the buffer. That the pattern is none that
    somebody wrote before a reset is not visible.
    """
    tally = Tally(none="no unwritten data was read")
    found = marks(view)
    found = found.where(found["written"] < found["bytes"])
    left = dict(zip(found["request"].tolist(), found["row"].tolist(), strict=True))
    for history, request in _requests(view, bits.T_IN):
        zone = request.zone
        if request.status != bits.S_OK or not zone or not request.lone:
            continue
        if zone.kind != bits.ZT_SEQUENTIAL_REQUIRED or zone.wp is None:
            continue
        if request.sector + request.sectors <= zone.wp:
            continue
        row = left.get(request.number)
        text = f"{history.name}: a read of unwritten data left a part of the buffer as it was"
        tally.check(row is None, (*request.shown, *([row] if row else [])), text)
    return tally.result()


@rule("BO-DE-39", needs=("driver:features", "driver:config"))
def erase_alignment_is_whole_zones(view: View) -> Result:
    """Section 5.2.6.2: with ZONED secure_erase_sector_alignment is a multiple of zone_sectors.

    Checked: each life with ZONED and SECURE_ERASE in which the driver read both values.
    """
    tally = Tally(none="no life had ZONED and SECURE_ERASE")
    for life in view.lives.values():
        if not life.has(bits.BLK_ZONED) or not life.has(bits.BLK_SECURE_ERASE):
            continue
        size = next((v for _, v in life.reads(cfg.ZONE_SECTORS.offset, 4)), 0)
        read = next(iter(life.reads(cfg.ERASE_ALIGNMENT.offset, 4)), None)
        if read is None or not size:
            continue
        text = f"{life.name}: secure_erase_sector_alignment {read[1]}, zones have {size} sectors"
        tally.check(read[1] % size == 0, read[0].row, text)
    return tally.result()


@rule("BO-DE-40", needs=(*_ENDS, "driver:blk_range"))
def erasing_takes_whole_zones(view: View) -> Result:
    """Section 5.2.6.2: with ZONED secure erase takes whole zones.

    Checked: each SECURE_ERASE request with a range that is not a multiple of zone_sectors: the
    device does not end it with OK. (The clause is the device's, the size is the driver's.)
    """
    tally = Tally(none="all secure-erase requests were for whole zones")
    for history, request in _requests(view, bits.T_SECURE_ERASE):
        size = history.limits.zone_sectors
        if not size or all(sectors % size == 0 for _, sectors in request.ranges):
            continue
        text = f"{history.name}: secure erase of a part of a zone ended with OK"
        tally.check(request.status != bits.S_OK, request.shown, text)
    return tally.result()


def _contradictions(view: View, erased: bool) -> Result:
    """Compare reports with the requests before, where secure erase came last or did not."""
    tally = Tally(none="no zone was reported after it was changed")
    for history in histories(view):
        mine = [c for c in history.contradictions if (c.cause == bits.T_SECURE_ERASE) == erased]
        held = sum((cause == bits.T_SECURE_ERASE) == erased for cause in history.compared)
        tally.check_together(held - len(mine), ())
        for wrong in mine:
            tally.check(False, (wrong.request.row, wrong.row), wrong.message)
    return tally.result()


@rule("BO-DE-41", needs=_KNOWN)
def erasing_resets_zones(view: View) -> Result:
    """Section 5.2.6.2: secure erase does with its zones what a zone reset does.

    Checked: each reported zone that a secure-erase request with status OK covered, with nothing
    since that changes it: it is empty, with the write pointer at its first sector.
    """
    return _contradictions(view, erased=True)


@rule("BZ-DE-01", needs=_KNOWN)
def reports_follow_from_requests(view: View) -> Result:
    """Section 5.2.6: a zone's state and write pointer are what requests have made of them.

    Checked: each reported sequential zone that was reported before: its state and write pointer
    follow from that report and the requests that succeeded since. Undecided and not counted are
    zones of which requests overlapped. A zone may be read-only or offline at any time, and one
    that was open implicitly may be closed.
    """
    return _contradictions(view, erased=False)


@rule("BZ-DE-02", needs=(*_ENDS, "driver:blk_zone"), local=True)
def reports_are_well_formed(view: View) -> Result:
    """Section 5.2.6: the descriptors of a zone report are ones that a zone can have.

    Checked: each reported zone. Its type and its state have names; a conventional zone has no
    write pointer, and no other is without; it begins at a multiple of zone_sectors and its
    capacity is at most that; a write pointer that is defined is inside the zone, in an empty one
    at its first sector.
    """
    tally = Tally(none="no zone was reported")
    for history, request in _requests(view, bits.T_ZONE_REPORT):
        for zone in request.report:
            wrong = _malformed(zone, history.limits.zone_sectors)
            text = f"{history.name}: the zone at {zone.start}: {wrong}"
            tally.check(not wrong, (request.row, zone.row), text)
    return tally.result()


def _malformed(zone: Descriptor, size: int | None) -> str:
    """Return what is wrong with a descriptor, "" if nothing."""
    states = WRITABLE | {bits.ZS_NOT_WP, bits.ZS_READ_ONLY, bits.ZS_FULL, bits.ZS_OFFLINE}
    if zone.kind not in (1, 2, 3) or zone.state not in states:
        return f"type {zone.kind} or state {zone.state} is not defined"
    if (zone.kind == bits.ZT_CONVENTIONAL) != (zone.state == bits.ZS_NOT_WP):
        return f"type {zone.kind} does not go with state {zone.state}"
    if size and (zone.start % size or zone.capacity > size):
        return f"start or capacity ({zone.capacity}) are not those of zones of {size} sectors"
    if zone.state in WRITABLE and not zone.start <= zone.wp <= zone.start + zone.capacity:
        return f"its write pointer {zone.wp} is outside"
    if zone.state == bits.ZS_EMPTY and zone.wp != zone.start:
        return f"it is empty, and its write pointer is {zone.wp}"
    return ""


def _limit(view: View, field: str, states: frozenset[int], status: int, what: str) -> Result:
    """Check a limit on zones: no report exceeds it, no request is refused before it is reached."""
    tally = Tally(none=f"no report of zones, and no request was refused for {field}")
    for history, request in _requests(view):
        limit = getattr(history.limits, "max_open" if states is OPEN else "max_active")
        if limit is None:
            continue
        if request.type == bits.T_ZONE_REPORT and request.report and not request.crowded:
            count = sum(zone.state in states for zone in request.report)
            text = f"{history.name}: {count} zones are {what}, {field} is {limit}"
            tally.check(not limit or count <= limit, request.shown, text)
        counted = request.open if states is OPEN else request.active
        if request.status == status and counted is not None:
            # Zones that no report has shown may be open, too.
            text = f"{history.name}: refused with status {status}, {field} is {limit}"
            text += f" and at most {counted[1]} zones are {what}"
            reached = bool(limit) and (counted[1] >= limit or not _all_seen(view, history))
            tally.check(reached, request.shown, text)
    return tally.result()


def _all_seen(view: View, history: History) -> bool:
    """Return whether reports have shown all zones of a device."""
    size = history.limits.zone_sectors
    capacity = max((v for _, v in history.life.reads(cfg.CAPACITY.offset, 8)), default=0)
    seen = {zone.start for request in history.requests for zone in request.report}
    return bool(size and capacity) and len(seen) >= -(-capacity // (size or 1))


@rule("BI-DE-14", needs=_KNOWN)
def max_open_zones_is_the_limit(view: View) -> Result:
    """Section 5.2.5.2: max_open_zones is how many zones can be open, 0 if there is no limit.

    Checked: each report (no more zones of it are open), and each request that ended with
    ZONE_OPEN_RESOURCE (there is a limit, and so many zones may be open).
    """
    return _limit(view, "max_open_zones", OPEN, bits.S_OPEN_RESOURCE, "open")


@rule("BI-DE-15", needs=_KNOWN)
def max_active_zones_is_the_limit(view: View) -> Result:
    """Section 5.2.5.2: max_active_zones is how many can be active, 0 if there is no limit.

    Checked: as for BI-DE-14, with ZONE_ACTIVE_RESOURCE.
    """
    return _limit(view, "max_active_zones", ACTIVE, bits.S_ACTIVE_RESOURCE, "active")


def _legal(history: History, request: Request) -> bool:
    """Return whether nothing that is known forbids a write or append to an SWR zone."""
    zone, unit = request.zone, history.limits.granularity
    if not zone or not unit or request.reasons or not zone.surely(WRITABLE):
        return False
    return (
        request.lone
        and zone.kind == bits.ZT_SEQUENTIAL_REQUIRED
        and zone.wp is not None
        and request.bytes > 0
        and request.bytes % unit == 0
        and zone.wp * bits.SECTOR % unit == 0
    )


@rule("BI-DE-16", needs=_KNOWN)
def appends_within_the_limit_are_taken(view: View) -> Result:
    """Section 5.2.5.2: max_append_sectors is the most that can be appended.

    Checked: each append within it that nothing else forbids: it is not refused with UNSUPP or
    ZONE_INVALID_CMD. BO-DE-30 and BO-DE-31 have the appends beyond it.
    """
    tally = Tally(none="nothing was appended")
    for history, request in _requests(view, bits.T_ZONE_APPEND):
        most = history.limits.max_append
        if most and request.sectors <= most and _legal(history, request):
            text = f"{history.name}: an append of {request.sectors} sectors ended with status"
            text += f" {request.status}, max_append_sectors is {most}"
            refused = request.status in (bits.S_UNSUPP, bits.S_INVALID_CMD)
            tally.check(not refused, request.shown, text)
    return tally.result()


@rule("BI-DE-19", needs=_KNOWN)
def aligned_writes_are_taken(view: View) -> Result:
    """Section 5.2.5.2: write_granularity is the alignment that writes to sequential zones need.

    Checked: each write at the write pointer and each append that nothing forbids, of a multiple
    of it: it is not refused with ZONE_UNALIGNED_WP.
    """
    tally = Tally(none="nothing was written at a known write pointer")
    for history, request in _requests(view, bits.T_OUT, bits.T_ZONE_APPEND):
        at_pointer = request.type == bits.T_ZONE_APPEND or (
            request.zone is not None and request.sector == request.zone.wp
        )
        if at_pointer and _legal(history, request):
            text = f"{history.name}: a write of {request.bytes} bytes ended with status"
            text += f" {request.status}, write_granularity is {history.limits.granularity}"
            tally.check(request.status != bits.S_UNALIGNED_WP, request.shown, text)
    return tally.result()
