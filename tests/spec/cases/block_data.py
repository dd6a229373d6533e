# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/block_data.py."""

from __future__ import annotations

from pykit.spec import bits
from pykit.spec import blkconfig as cfg
from tests.spec.cases.base import case, later
from tests.spec.cases.zoned import last
from tests.spec.disk import Disk
from tests.spec.log import Log
from tests.spec.machine import OFFERED


def lifetime() -> Log:
    """Return a log of a request for the lifetime."""
    return Disk().ask(bits.T_GET_LIFETIME, size=6, answer=(0x5_0003_0001, 0, 0)).log


def withheld() -> Log:
    """Return a log of a device without LIFETIME that gives no lifetime."""
    disk = Disk(offered=OFFERED & ~(1 << bits.BLK_LIFETIME))
    return disk.ask(bits.T_GET_LIFETIME, size=6, answer=(0, 0, 0)).log


@case("BO-DE-15", clean=withheld)
def lifetime_is_there_without_the_feature(log: Log) -> None:
    """A device that does not offer LIFETIME gives one."""
    last(log, "blk_answer")["first"] = 0x5_0003_0001


@case("BO-DE-17", clean=lifetime)
def reserved_wear(log: Log) -> None:
    """An estimate of the lifetime is 12."""
    last(log, "blk_answer")["first"] = 0x5_000C_0001


@case("BO-DE-16", clean=lifetime)
def lifetime_is_not_available(log: Log) -> None:
    """No value of a lifetime is available."""
    last(log, "blk_answer")["first"] = 0


def name() -> Log:
    """Return a log of a request for the id string."""
    words = [int.from_bytes(b"pykit-test"[n : n + 8], "little") for n in (0, 8, 16)]
    return Disk().ask(bits.T_GET_ID, size=20, answer=(words[0], words[1], words[2])).log


@case("BK-DE-01", clean=name)
def id_is_no_text(log: Log) -> None:
    """The id string has a byte of 200."""
    last(log, "blk_answer")["first"] = 200


def changed() -> Log:
    """Return a log in which write_zeroes_may_unmap changes and that is announced."""
    disk = Disk(offered=OFFERED)
    disk.read(cfg.MAY_UNMAP, 0)
    disk.log.add("config_change", **disk.place, status=15)
    disk.read(cfg.MAY_UNMAP, 1)
    later(disk.log)
    return disk.log


@case("BO-DE-12", clean=changed)
def may_unmap_changes_silently(log: Log) -> None:
    """write_zeroes_may_unmap changes without a configuration change notification."""
    log.drop(log.of("config_change"))


def zeroed() -> Log:
    """Return a log in which sectors are zeroed and read."""
    disk = Disk(offered=OFFERED)
    disk.ask(bits.T_WRITE_ZEROES, size=16, ranges=[(64, 64)])
    return disk.ask(bits.T_IN, 64, 64, wrote={"zero": 1}, length=64 * 512 + 1).log


@case("BO-DE-09", clean=zeroed)
def zeroes_are_something_else(log: Log) -> None:
    """Sectors that were zeroed are read as something else."""
    last(log, "blk_wrote")["zero"] = 0


def protected() -> Log:
    """Return a log of a write to a read-only device between two reads."""
    disk = Disk(offered=OFFERED | 1 << bits.BLK_RO)
    disk.ask(bits.T_IN, 8, 8, wrote={"sum": 77}, length=4097)
    disk.ask(bits.T_OUT, 8, 8, bits.S_IOERR, wrote={"bytes": 0})
    return disk.ask(bits.T_IN, 8, 8, wrote={"sum": 77}, length=4097).log


@case("BO-DE-04", clean=protected)
def read_only_data_changes(log: Log) -> None:
    """A read after a refused write has other data."""
    last(log, "blk_wrote")["sum"] = 78


@case("DX-80", clean=lambda: Disk().ask(bits.T_IN, 0, 8, wrote={"known": 8}, length=4097).log)
def read_brings_something_else(log: Log) -> None:
    """Two sectors that are read are not what the probe saw written there."""
    last(log, "blk_wrote")["other"] = 2
