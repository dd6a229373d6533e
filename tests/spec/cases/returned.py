# SPDX-License-Identifier: GPL-2.0-only
"""Logs that break the rules of pykit/spec/topics/returned.py."""

from __future__ import annotations

from pykit.spec import bits
from tests.spec.cases.base import Make, case
from tests.spec.disk import Disk
from tests.spec.log import Log
from tests.spec.machine import OFFERED


def returned(packed: bool = False) -> Make:
    """Return a maker of logs of a driver that reads each used entry twice."""

    def make() -> Log:
        disk = Disk(offered=OFFERED | (packed << bits.RING_PACKED), packed=packed)
        for n in range(3):
            disk.ask(bits.T_IN, 0, 8)
            entry = {"id": n, "len": 1, "index": n, "head": n, "changed": 0}
            disk.log.add("returned", **disk.place, vq=0, **entry)
        return disk.log

    return make


@case("SU-DE-01", clean=returned())
@case("PD-DE-04", clean=returned(packed=True))
def entry_becomes_another(log: Log) -> None:
    """A used entry has another length when it is read again."""
    log.one("returned", 1)["len"] = 4097


@case("SD-DE-04", clean=returned())
def descriptor_is_altered(log: Log) -> None:
    """A descriptor of a chain that came back is not what the driver wrote."""
    log.one("returned", 2)["changed"] = 1
