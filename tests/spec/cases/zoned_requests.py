# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/zoned_requests.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import case
from tests.spec.cases.zoned import known, last
from tests.spec.disk import EMPTY, FULL, IOPEN, ZONE, Disk
from tests.spec.log import Log


@case("BO-DR-18", clean=lambda: Disk().report().log)
def report_beyond_the_end(log: Log) -> None:
    """A report of zones is asked for from the end of the disk on."""
    log.one("blk_start", type=bits.T_ZONE_REPORT)["sector"] = 8 * ZONE


@case("BO-DR-20", clean=known(bits.T_ZONE_RESET, IOPEN))
def reset_inside_a_zone(log: Log) -> None:
    """A zone is named by its ninth sector."""
    last(log, "blk_start")["sector"] += 8


@case("BO-DR-21", clean=known(bits.T_ZONE_RESET_ALL))
def reset_all_with_a_sector(log: Log) -> None:
    """All zones are reset with a sector."""
    last(log, "blk_start")["sector"] = ZONE


@case("BO-DR-22", clean=known(bits.T_ZONE_APPEND, IOPEN, 8))
def append_at_the_pointer(log: Log) -> None:
    """An append names the write pointer, not the zone."""
    last(log, "blk_start")["sector"] += 8


@case("BO-DR-23", clean=known(bits.T_ZONE_APPEND, IOPEN, 8))
def half_a_granule_is_appended(log: Log) -> None:
    """Half of write_granularity is appended."""
    last(log, "blk_start")["bytes"] = 2048


@case("BO-DR-24", clean=known(bits.T_ZONE_APPEND, IOPEN, 64))
def too_much_is_appended(log: Log) -> None:
    """More than max_append_sectors is appended."""
    last(log, "blk_start")["bytes"] += 4096


@case("BO-DR-26", clean=known(bits.T_OUT, IOPEN + 8, 8))
def half_a_granule_is_written(log: Log) -> None:
    """Half of write_granularity is written to a sequential zone."""
    last(log, "blk_start")["bytes"] = 2048


@case("BO-DR-27", clean=known(bits.T_OUT, IOPEN + 8, 8))
def write_is_not_aligned(log: Log) -> None:
    """A write to a sequential zone begins inside a granule."""
    last(log, "blk_start")["sector"] += 1


@case("BO-DR-28", clean=known(bits.T_OUT, IOPEN + 8, 8))
def write_beyond_the_zone(log: Log) -> None:
    """More is written than the zone has room for."""
    last(log, "blk_start")["bytes"] = 512 * ZONE


@case("BO-DR-28", clean=known(bits.T_ZONE_APPEND, EMPTY, 8))
def append_to_a_full_zone(log: Log) -> None:
    """Data is appended to a zone that is full."""
    last(log, "blk_start")["sector"] = FULL
