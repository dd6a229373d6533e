# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/canary.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import Make, case, like
from tests.spec.cases.block import end_of
from tests.spec.cases.zoned import last
from tests.spec.disk import Disk
from tests.spec.log import Log
from tests.spec.machine import OFFERED


@case("SU-DE-02", clean=like(errors=0.3))
def failed_read_claims_data(log: Log) -> None:
    """A read that the device does not support has a used len of all of its data and the status."""
    for start in log.of("blk_start", type=bits.T_IN):
        end = end_of(log, start)
        if end["status"]:
            end |= {"len": start["bytes"] + 1, "status": bits.S_UNSUPP}
            return


def marked(packed: bool = False) -> Make:
    """Return a maker of logs of reads whose data was marked."""

    def make() -> Log:
        offered = OFFERED | (1 << bits.RING_PACKED if packed else 0)
        disk = Disk(offered=offered, packed=packed)
        return disk.ask(bits.T_IN, 0, 8, wrote={}, length=4097).log

    return make


@case("SU-DE-02", clean=marked())
def last_sector_is_not_written(log: Log) -> None:
    """A read that succeeded left the last sector of its buffer as it was."""
    last(log, "blk_wrote")["written"] = 3584


@case("SU-DE-02", clean=lambda: Disk().ask(bits.T_GET_ID, size=20, wrote={}, length=21).log)
def id_is_not_padded(log: Log) -> None:
    """A used len covers the 20 bytes of the id string, the last of them were not written."""
    log.qemu = "6.2.0"
    last(log, "blk_wrote")["written"] = 0


@case("SD-DE-01", clean=marked())
def header_is_written(log: Log) -> None:
    """The device writes to the header of a request."""
    last(log, "blk_wrote")["header"] = 0


@case("PD-DE-01", clean=marked(packed=True))
def packed_header_is_written(log: Log) -> None:
    """The device writes to the header of a request on a packed ring."""
    last(log, "blk_wrote")["header"] = 0


@case("DX-78", clean=lambda: Disk().ask(bits.T_IN, 0, 8, wrote={"behind": 1}, length=4097).log)
def bytes_behind_the_status_are_written(log: Log) -> None:
    """The bytes that our driver put behind the status are not there any more."""
    last(log, "blk_wrote")["behind"] = 2
