# SPDX-License-Identifier: GPL-2.0-only
"""What a read brings, compared with what the probe saw written there."""

from __future__ import annotations

from pykit import spec
from pykit.spec import bits
from tests.spec.cases.status import READY
from tests.spec.disk import Disk
from tests.spec.log import Log


def _log(known: int, other: int) -> Log:
    wrote = {"known": known, "other": other}
    return Disk().ask(bits.T_IN, 64, 8, wrote=wrote, length=4097).log


def _verdict(log: Log) -> spec.Verdict:
    return spec.check(log.build()).of("DX-80")


def test_what_is_not_known_proves_nothing() -> None:
    assert _verdict(_log(0, 0)).verdict == "not-applicable"


def test_the_sectors_are_counted() -> None:
    found = _verdict(_log(8, 3))
    assert (found.verdict, found.violations) == ("fail", 1)
    assert "3 of 8 known sectors of a read at sector 64" in found.message


def test_a_disk_whose_configuration_changes_is_left_out() -> None:
    log = _log(8, 3)
    log.insert(log.one("blk_start"), "config_change", status=READY)
    assert _verdict(log).verdict == "not-applicable"


def test_a_life_in_which_a_header_was_altered_is_contested() -> None:
    log = _log(8, 3)
    done = log.one("blk_done")
    entry = {"id": 0, "len": 4097, "index": 0, "head": 0, "changed": 0, "driver_area": 0}
    place = {name: done[name] for name in ("dev", "life", "cpu", "vq")}
    log.insert(done, "compared", **place, **entry, header=2)
    found = _verdict(log)
    assert (found.verdict, found.contested) == ("inconclusive", 1)
