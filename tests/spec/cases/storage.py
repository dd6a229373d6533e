# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/storage.py."""

from __future__ import annotations

from pykit.spec import bits
from pykit.spec import blkconfig as cfg
from tests.spec.cases.base import case, set_bits
from tests.spec.disk import Disk
from tests.spec.log import Log
from tests.spec.machine import OFFERED

#: The sectors that are written and zeroed, and how many bytes of the file there are.
FIRST, COUNT, LENGTH = 1024, 256, 64 << 20


def look(log: Log, state: str, allocated: int) -> None:
    """Look at the file behind the disk."""
    log.add("survey_storage", dev=1, state=state, length=LENGTH, allocated=allocated)


def plain() -> Log:
    """Return a log of a disk in a regular file."""
    disk = Disk(offered=OFFERED & ~(1 << bits.BLK_ZONED), values={cfg.ZONE_MODEL: bits.Z_NONE})
    look(disk.log, "plug", 0)
    return disk.log


@case("BI-DE-05", clean=plain)
def plain_file_with_zoned(log: Log) -> None:
    """A device whose disk is a plain file offers ZONED, with the model NONE."""
    set_bits(log, offered=1 << bits.BLK_ZONED, acked=1 << bits.BLK_ZONED)


def zeroed(may_unmap: int, left: int) -> Log:
    """Return a log in which written sectors are zeroed, and so much is allocated behind that."""
    disk = Disk(offered=OFFERED, values={cfg.MAY_UNMAP: may_unmap})
    disk.ask(bits.T_OUT, FIRST, COUNT)
    look(disk.log, "written", 1 << 20)
    disk.ask(bits.T_WRITE_ZEROES, size=16, ranges=[(FIRST, COUNT)])
    look(disk.log, "zeroed", left)
    return disk.log


def gives_back() -> Log:
    """Return a log of a device that deallocates."""
    return zeroed(1, (1 << 20) - COUNT * bits.SECTOR)


@case("BO-DE-10", clean=gives_back)
def deallocates_and_denies_it(log: Log) -> None:
    """A write-zeroes request deallocates, and write_zeroes_may_unmap is 0."""
    log.one("config", offset=cfg.MAY_UNMAP.offset)["value"] = 0
