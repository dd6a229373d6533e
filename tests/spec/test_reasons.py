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


@pytest.mark.parametrize(
    ("event_idx", "decoy", "lost"),
    [(False, "NU-DE-01", "NU-DE-03"), (True, "NU-DE-04", "NU-DE-05")],
)
def test_lost_interrupts_are_not_blamed_on_a_decoy(event_idx: bool, decoy: str, lost: str) -> None:
    log = decoyed(event_idx)()
    # Of a life's entries the first one has no decoy: a second life has one more.
    again = decoyed(event_idx)().events
    for event in again:
        if event.get("life") == 0:
            event["life"] = 1
    log.events += again
    log.drop([log.one("interrupt", 0), log.one("interrupt", 7)])
    assert verdict(log, decoy).verdict != "fail"
    assert verdict(log, lost).verdict == "fail"


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
