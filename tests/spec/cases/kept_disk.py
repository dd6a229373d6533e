# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rule of data that outlasts a reset."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import Make, case
from tests.spec.cases.forms import PLAIN, ask
from tests.spec.disk import Disk
from tests.spec.log import Log
from tests.spec.machine import OFFERED

_FLUSH = 1 << bits.BLK_FLUSH


def two_lives(*, flushed: bool = True, read: bool = True, declined: bool = False) -> Make:
    """Return a maker of logs: sectors are written in one life, and read in the next one."""

    def make() -> Log:
        offered = OFFERED | _FLUSH
        acked = offered & ~(_FLUSH | 1 << bits.BLK_CONFIG_WCE) if declined else offered
        disk = Disk(offered=offered, acked=acked)
        ask(disk, bits.T_OUT, PLAIN)
        if read:
            ask(disk, bits.T_IN, PLAIN)
        if flushed:
            disk.ask(bits.T_FLUSH)
        log, setup = disk.log, disk.log.one("queue")
        log.add("driver", **disk.place, id=bits.BLK_ID, err=0, stage=bits.REMOVED)
        disk.place["life"] = 1
        disk.count = 0
        log.add("driver", **disk.place, id=bits.BLK_ID, err=0, stage=bits.BEGIN)
        log.add("features", **disk.place, offered=offered, driver=acked, acked=acked, stage=2)
        log.add(**{**setup, "life": 1})
        ask(disk, bits.T_IN, PLAIN)
        return log

    return make


@case("BO-DE-13", clean=two_lives())
@case("BO-DE-13", clean=two_lives(flushed=False, declined=True))
def stable_data_is_lost(log: Log) -> None:
    """A sector has its data of before the write again, in the life behind a reset."""
    log.of("blk_sector")[-1]["sum"] = 5
