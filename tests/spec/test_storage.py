# SPDX-License-Identifier: GPL-2.0-only
"""What looks at a disk's storage decide, and what they leave undecided."""

from __future__ import annotations

import pytest

from pykit import spec
from pykit.spec import bits
from pykit.spec import blkconfig as cfg
from tests.spec.cases.storage import COUNT, FIRST, look, plain, zeroed
from tests.spec.disk import Disk
from tests.spec.log import Log
from tests.spec.machine import OFFERED

WHOLE, ZEROED = 1 << 20, COUNT * bits.SECTOR


def verdict(log: Log, rule: str) -> str:
    return spec.check(log.build()).of(rule).verdict


@pytest.mark.parametrize(
    ("may_unmap", "left", "expected"),
    [
        (0, WHOLE, "pass"),
        (0, WHOLE - ZEROED, "fail"),
        # A file system may free blocks of its own.
        (0, WHOLE - 4096, "pass"),
        # More than was zeroed: something else has deallocated.
        (0, WHOLE - 2 * ZEROED, "inconclusive"),
        (1, WHOLE, "inconclusive"),
        (1, WHOLE - ZEROED, "pass"),
    ],
)
def test_zeroing(may_unmap: int, left: int, expected: str) -> None:
    assert verdict(zeroed(may_unmap, left), "BO-DE-10") == expected


def asked(*requests: tuple[int, int, int], left: int = WHOLE - ZEROED, restarts: int = 0) -> Log:
    """Return a log of a device with 0 in the field, with requests before a write of zeroes."""
    disk = Disk(offered=OFFERED, values={cfg.MAY_UNMAP: 0})
    look(disk.log, "written", WHOLE)
    for kind, first, count in requests:
        if kind in bits.RANGE_TYPES:
            disk.ask(kind, size=16, ranges=[(first, count)])
        else:
            disk.ask(kind, first, count)
    for _ in range(restarts):
        disk.log.add("restarted", dev=1, life=None)
    disk.ask(bits.T_WRITE_ZEROES, size=16, ranges=[(FIRST, COUNT)])
    look(disk.log, "zeroed", left)
    return disk.log


def test_what_else_may_deallocate() -> None:
    assert verdict(asked(), "BO-DE-10") == "fail"
    assert verdict(asked((bits.T_OUT, 0, 8)), "BO-DE-10") == "fail"
    assert verdict(asked((bits.T_DISCARD, 0, 8)), "BO-DE-10") == "inconclusive"
    assert verdict(asked(restarts=1), "BO-DE-10") == "inconclusive"


def test_what_may_have_made_up_for_it() -> None:
    """Nothing is known of how much was allocated, or writes have allocated as much."""
    assert verdict(asked(left=WHOLE), "BO-DE-10") == "inconclusive"
    written = asked((bits.T_OUT, FIRST, COUNT), left=WHOLE)
    assert verdict(written, "BO-DE-10") == "inconclusive"


def test_no_look() -> None:
    log = zeroed(0, WHOLE - ZEROED)
    log.drop(log.of("survey_storage")[1:])
    assert verdict(log, "BO-DE-10") == "not-applicable"


@pytest.mark.parametrize(
    ("acked", "model", "expected"),
    [
        (1, bits.Z_NONE, "fail"),
        (1, bits.Z_HOST_MANAGED, "pass"),
        (1, bits.Z_HOST_AWARE, "pass"),
        (0, bits.Z_NONE, "inconclusive"),
    ],
)
def test_zoned_is_offered(acked: int, model: int, expected: str) -> None:
    offered = OFFERED | 1 << bits.BLK_ZONED
    disk = Disk(
        offered=offered,
        acked=OFFERED | acked << bits.BLK_ZONED,
        values={cfg.ZONE_MODEL: model},
    )
    look(disk.log, "plug", 0)
    assert verdict(disk.log, "BI-DE-05") == expected


def test_zones_are_reported() -> None:
    """BI-DE-09 has a zoned device whose model is NONE."""
    disk = Disk(values={cfg.ZONE_MODEL: bits.Z_NONE}).report()
    look(disk.log, "plug", 0)
    assert verdict(disk.log, "BI-DE-05") == "inconclusive"


def test_unknown_storage() -> None:
    log = plain()
    log.drop(log.of("survey_storage"))
    log.add("survey_mmio", dev=1, reading=0, state="end", start=4096)
    assert verdict(log, "BI-DE-05") == "not-applicable"
