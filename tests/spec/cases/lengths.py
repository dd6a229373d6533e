# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/lengths.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import Make, case
from tests.spec.cases.zoned import last
from tests.spec.disk import Disk
from tests.spec.log import Log
from tests.spec.machine import OFFERED

_BYTES = 4096


def short(kind: int = bits.T_IN, *, packed: bool = False, **passed: int) -> Make:
    """Return a maker of logs of a request without its status in its used len, ended as such.

    ``passed``: fields of the event ``blk_passed``, in place of an error.
    """

    def make() -> Log:
        disk = Disk(offered=OFFERED | packed << bits.RING_PACKED, packed=packed)
        size = _BYTES if kind == bits.T_IN else 0
        disk.ask(kind, 0, size=size, length=0)
        add = last(disk.log, "add")
        add["writable"] = size + 1
        queue = {**disk.place, "vq": 0}
        entry = {"id": add["head"], "len": 0, "index": 0, "head": add["head"], "changed": 0}
        kept = dict.fromkeys(("header", "behind", "table", "between"), 1)
        end = {"passed": size, "type": kind, "len": 0, "head": add["head"], "error": 1}
        disk.log.add("blk_passed", **queue, **(end | passed))
        disk.log.add("compared", **queue, **entry, **kept, driver_area=0, slot=0)
        return disk.log

    return make


@case("SU-DR-01", "SU-DR-02", clean=short())
def short_read_is_success(log: Log) -> None:
    """The driver ends a read well whose used len is 0."""
    last(log, "blk_passed")["error"] = 0


@case("SU-DR-01", clean=short(bits.T_FLUSH))
def status_of_a_flush_is_taken(log: Log) -> None:
    """The driver ends a flush well whose used len leaves its status out."""
    last(log, "blk_passed")["error"] = 0


@case("SU-DR-02", clean=short(error=0, passed=0))
def more_than_the_length_is_data(log: Log) -> None:
    """The driver passes one more sector of a read on than its used len covers."""
    last(log, "blk_passed")["passed"] = bits.SECTOR
