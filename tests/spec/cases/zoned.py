# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/zoned.py."""

from __future__ import annotations

from typing import Any

from pykit.spec import bits
from pykit.spec import blkconfig as cfg
from tests.spec.cases.base import Make, case
from tests.spec.disk import (
    CLOSED,
    CONVENTIONAL,
    EMPTY,
    EOPEN,
    FULL,
    IOPEN,
    OFFLINE,
    READ_ONLY,
    ZONE,
    ZONED,
    Disk,
)
from tests.spec.log import Event, Log

INVALID = bits.S_INVALID_CMD


def known(*request: Any, **fields: Any) -> Make:
    """Return a maker of logs: a report of all zones, then a request."""
    return lambda: Disk().report().ask(*request, **fields).log


def last(log: Log, kind: str = "blk_done") -> Event:
    """Return the last event of a kind."""
    return log.of(kind)[-1]


def succeed(log: Log) -> None:
    """Let the last request end with OK."""
    last(log)["status"] = bits.S_OK


def unzoned() -> Log:
    """Return a log in which zones are asked for without ZONED."""
    disk = Disk(acked=ZONED & ~(1 << bits.BLK_ZONED))
    return disk.ask(bits.T_ZONE_REPORT, status=bits.S_UNSUPP).log


@case("BO-DE-18", clean=unzoned)
def unzoned_report(log: Log) -> None:
    """A report of zones ends with OK though ZONED was not negotiated."""
    succeed(log)


@case("BO-DE-19", clean=known(bits.T_ZONE_OPEN, CONVENTIONAL, status=INVALID))
def conventional_zone_is_opened(log: Log) -> None:
    """Opening a conventional zone ends with OK."""
    succeed(log)


@case("BO-DE-20", clean=known(bits.T_ZONE_APPEND, CONVENTIONAL, 8, INVALID))
def append_to_conventional_zone(log: Log) -> None:
    """An append to a conventional zone ends with OK."""
    succeed(log)


@case("BO-DE-21", clean=known(bits.T_ZONE_OPEN, FULL, status=INVALID))
def full_zone_is_opened(log: Log) -> None:
    """Opening a full zone ends with IOERR."""
    last(log)["status"] = bits.S_IOERR


@case("BO-DE-22", clean=known(bits.T_ZONE_OPEN, EMPTY, status=bits.S_ACTIVE_RESOURCE))
def too_many_zones_are_active(log: Log) -> None:
    """A zone is opened though as many are active as may be."""
    succeed(log)


@case("BO-DE-23", clean=known(bits.T_ZONE_CLOSE, FULL, status=INVALID))
def full_zone_is_closed(log: Log) -> None:
    """Closing a full zone ends with OK."""
    succeed(log)


@case("BO-DE-24", clean=known(bits.T_ZONE_FINISH, READ_ONLY, status=INVALID))
def read_only_zone_is_finished(log: Log) -> None:
    """Finishing a read-only zone ends with OK."""
    succeed(log)


@case("BO-DE-25", clean=known(bits.T_ZONE_RESET, READ_ONLY, status=INVALID))
def read_only_zone_is_reset(log: Log) -> None:
    """Resetting a read-only zone ends with OK."""
    succeed(log)


@case("BO-DE-26", clean=known(bits.T_OUT, EMPTY, 8, bits.S_ACTIVE_RESOURCE))
def write_beyond_the_limits(log: Log) -> None:
    """A write opens a zone though as many are active as may be."""
    succeed(log)


@case("BO-DE-27", clean=known(bits.T_ZONE_APPEND, IOPEN + 8, 8, INVALID))
def append_inside_a_zone(log: Log) -> None:
    """An append for a sector inside a zone ends with OK."""
    succeed(log)


@case("BO-DE-28", clean=known(bits.T_OUT, IOPEN + 8, ZONE, INVALID))
def zone_overflows(log: Log) -> None:
    """A write beyond the zone's capacity ends with OK."""
    succeed(log)


@case("BO-DE-28", clean=known(bits.T_ZONE_APPEND, FULL, 8, INVALID))
def full_zone_is_appended_to(log: Log) -> None:
    """An append to a full zone ends with ZONE_UNALIGNED_WP."""
    last(log)["status"] = bits.S_UNALIGNED_WP


@case("BO-DE-29", clean=known(bits.T_ZONE_APPEND, IOPEN, 8, answer=(IOPEN + 8, 0, 0)))
def append_elsewhere(log: Log) -> None:
    """An append returns a sector that is not the write pointer."""
    last(log, "blk_answer")["first"] = IOPEN


def unlimited(most: int, status: int) -> Make:
    """Return a maker of logs of an append beyond max_append_sectors."""
    values = {cfg.MAX_APPEND_SECTORS: most}
    return lambda: Disk(values=values).report().ask(bits.T_ZONE_APPEND, IOPEN, most + 8, status).log


@case("BO-DE-30", clean=unlimited(0, bits.S_UNSUPP))
def append_without_support(log: Log) -> None:
    """An append ends with OK though max_append_sectors is 0."""
    succeed(log)


@case("BO-DE-31", clean=unlimited(64, INVALID))
def append_beyond_the_limit(log: Log) -> None:
    """An append of more than max_append_sectors ends with UNSUPP."""
    last(log)["status"] = bits.S_UNSUPP


@case("BO-DE-32", clean=known(bits.T_IN, IOPEN + ZONE - 8, 16, INVALID))
def zone_is_crossed(log: Log) -> None:
    """A read across the end of a zone ends with OK."""
    succeed(log)


@case("BO-DE-33", clean=known(bits.T_OUT, IOPEN + 64, 8, bits.S_UNALIGNED_WP))
def write_off_the_pointer(log: Log) -> None:
    """A write elsewhere than at the write pointer ends with OK."""
    succeed(log)


@case("BO-DE-33", clean=known(bits.T_OUT, IOPEN + 64, 8, bits.S_UNALIGNED_WP))
def write_off_the_pointer_is_invalid(log: Log) -> None:
    """A write elsewhere than at the write pointer ends with ZONE_INVALID_CMD."""
    last(log)["status"] = INVALID


@case("BO-DE-35", clean=known(bits.T_OUT, READ_ONLY, 8, INVALID))
def read_only_zone_is_written(log: Log) -> None:
    """A write to a read-only zone ends with OK."""
    succeed(log)


@case("BO-DE-36", clean=known(bits.T_IN, OFFLINE, 8, INVALID))
def offline_zone_is_read(log: Log) -> None:
    """A read of an offline zone ends with IOERR."""
    last(log)["status"] = bits.S_IOERR


@case("BO-DE-38", clean=known(bits.T_IN, IOPEN + 16, 8, wrote={}, length=8 * 512 + 1))
def unwritten_data_is_left(log: Log) -> None:
    """A read of sectors behind the write pointer leaves the buffer as it was."""
    last(log, "blk_wrote")["written"] = 0


@case("BO-DE-39", clean=lambda: Disk().log)
def erase_of_parts(log: Log) -> None:
    """secure_erase_sector_alignment is 8, zones are larger."""
    log.one("config", offset=cfg.ERASE_ALIGNMENT.offset)["value"] = 8


@case("BO-DE-40", clean=known(bits.T_SECURE_ERASE, size=16, ranges=[(IOPEN, 8)], status=INVALID))
def part_of_a_zone_is_erased(log: Log) -> None:
    """Secure erase of eight sectors of a zone ends with OK."""
    succeed(log)


def erased() -> Log:
    """Return a log in which an open zone is erased and then reported as empty."""
    disk = Disk().report().ask(bits.T_SECURE_ERASE, size=16, ranges=[(IOPEN, ZONE)])
    return disk.changed(2, bits.ZS_EMPTY, 0).log


@case("BO-DE-41", clean=erased)
def erased_zone_stays_open(log: Log) -> None:
    """A zone that was erased is reported as open."""
    log.of("blk_zone", start=IOPEN)[-1] |= {"z_state": bits.ZS_IOPEN, "wp": IOPEN + 8}


def written() -> Log:
    """Return a log in which sectors are written to a zone and the zone is reported."""
    disk = Disk().report().ask(bits.T_OUT, EOPEN, 8)
    return disk.changed(3, bits.ZS_EOPEN, 8).log


@case("BZ-DE-01", clean=written)
def pointer_stays(log: Log) -> None:
    """The write pointer has not moved by what was written."""
    log.of("blk_zone", start=EOPEN)[-1]["wp"] = EOPEN


@case("BZ-DE-01", clean=lambda: Disk().report().ask(bits.T_ZONE_CLOSE, CLOSED).report().log)
def closed_zone_opens(log: Log) -> None:
    """A closed zone that nothing was written to is reported as full."""
    log.of("blk_zone", start=CLOSED)[-1]["z_state"] = bits.ZS_FULL


@case("BZ-DE-02", clean=lambda: Disk().report().log)
def pointer_outside(log: Log) -> None:
    """A reported write pointer is outside its zone."""
    log.one("blk_zone", start=IOPEN)["wp"] = EOPEN + 8


@case("BZ-DE-02", clean=lambda: Disk().report().log)
def undefined_zone_type(log: Log) -> None:
    """A reported zone has a type that there is not."""
    log.one("blk_zone", start=EMPTY)["z_type"] = 7


@case("BI-DE-14", clean=lambda: Disk().report().log)
def more_zones_are_open(log: Log) -> None:
    """More zones are reported open than max_open_zones."""
    log.one("blk_zone", start=CLOSED)["z_state"] = bits.ZS_EOPEN


def scarce(status: int) -> Make:
    """Return a maker of logs of a write that is refused for want of resources."""
    return lambda: Disk().report().ask(bits.T_OUT, EMPTY, 8, status).log


@case("BI-DE-14", clean=scarce(bits.S_OPEN_RESOURCE))
def refused_without_a_limit(log: Log) -> None:
    """A write is refused for too many open zones though there is no limit."""
    log.one("config", offset=cfg.MAX_OPEN_ZONES.offset)["value"] = 0


@case("BI-DE-15", clean=scarce(bits.S_ACTIVE_RESOURCE))
def more_zones_are_active(log: Log) -> None:
    """More zones are reported active than max_active_zones."""
    log.one("config", offset=cfg.MAX_ACTIVE_ZONES.offset)["value"] = 2


@case("BI-DE-16", clean=known(bits.T_ZONE_APPEND, IOPEN, 8))
def small_append_is_refused(log: Log) -> None:
    """An append within max_append_sectors ends with ZONE_INVALID_CMD."""
    last(log)["status"] = INVALID


@case("BI-DE-19", clean=known(bits.T_OUT, IOPEN + 8, 8))
def aligned_write_is_refused(log: Log) -> None:
    """A write at the write pointer, of the granularity, ends with ZONE_UNALIGNED_WP."""
    last(log)["status"] = bits.S_UNALIGNED_WP
