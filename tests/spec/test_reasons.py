# SPDX-License-Identifier: GPL-2.0-only
"""A deviation is named by the rule that it breaks, and by no other."""

from __future__ import annotations

import pytest

from pykit import spec
from pykit.spec.packed import STRAY
from tests.spec.cases.base import like
from tests.spec.cases.ignored import decoyed
from tests.spec.log import Log


def verdict(log: Log, name: str) -> spec.Verdict:
    return spec.check(log.build()).of(name)


def two_lives(event_idx: bool) -> Log:
    """Of a life's entries the first one has no decoy: there are two of them."""
    log = decoyed(event_idx)()
    again = decoyed(event_idx)().events
    for event in again:
        if event.get("life") == 0:
            event["life"] = 1
    log.events += again
    return log


@pytest.mark.parametrize(
    ("event_idx", "decoy", "lost"),
    [(False, "NU-DE-01", "NU-DE-03"), (True, "NU-DE-04", "NU-DE-05")],
)
def test_lost_interrupts_are_not_blamed_on_a_decoy(event_idx: bool, decoy: str, lost: str) -> None:
    log = two_lives(event_idx)
    log.drop([log.one("interrupt", 0), log.one("interrupt", 7)])
    assert verdict(log, decoy).verdict != "fail"
    assert verdict(log, lost).verdict == "fail"


def test_a_driver_that_asks_anew_waits_no_more() -> None:
    """It took the entry by a look, and did something else for a second before its next chain."""
    log = two_lives(event_idx=True)
    log.drop([log.one("interrupt", 0)])
    assert verdict(log, "NU-DE-05").verdict == "fail"
    used = log.one("used", 0)
    asks = {name: log.one("callback", 1)[name] for name in ("avail_flags", "used_event")}
    state = {"last_used": 1, "used_idx": 1, "event_idx": 1, "enable": 1, "pending": 0}
    place = {name: used[name] for name in ("dev", "life", "cpu", "pid", "vq")}
    log.insert(log.one("returned", 0), "callback", **place, **asks, **state)
    assert verdict(log, "NU-DE-05").verdict != "fail"


def _stray(outstanding: int) -> Log:
    """A log of pykit drive that ends with a used descriptor out of its turn."""
    log = like(packed=True)()
    used = log.of("used", vq=0)
    kept = used[-outstanding]
    place = {name: kept[name] for name in ("dev", "life", "cpu", "pid", "vq")}
    for event in log.of("used", vq=0)[:1]:
        entry = {"id": 0, "len": 1, "index": 0, "head": 0, "changed": 0}
        log.insert(event, "returned", **place, **entry)
    stray = {"addr": 0, "len": 1, "head": 0xFFFF, "id": kept["id"], "flags": 0, "pos": STRAY}
    log.insert(kept, "slot", **place, slot=60, **stray)
    log.drop(used[-outstanding:])
    return log


@pytest.mark.parametrize("outstanding", [1, 2])
def test_a_used_descriptor_elsewhere_is_decided_with_one_list_alone(outstanding: int) -> None:
    assert (verdict(_stray(outstanding), "DX-10").verdict == "fail") == (outstanding == 1)
