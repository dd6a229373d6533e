# SPDX-License-Identifier: GPL-2.0-only
"""Interrupts that come are counted against those that the driver asked for."""

from __future__ import annotations

import pytest

from pykit import spec
from pykit.spec import bits
from tests.spec.cases.base import like
from tests.spec.log import Log

_RINGS = [("NU-DE-06", False, True), ("NU-DE-02", False, False), ("DX-65", True, True)]


def _log(packed: bool, event_idx: bool, strays: int) -> Log:
    """A log in which each queue has its own vector, and so many interrupts bring nothing."""
    declined = 0 if event_idx else 1 << bits.EVENT_IDX
    log = like(packed=packed, declined=declined)()
    for event in log.of("interrupt"):
        event["irq"] = 24 + event["vq"]
    place = {name: log.of("interrupt", vq=0)[0][name] for name in ("dev", "life", "cpu")}
    last = [event for event in log.of("callback", vq=0) if event["enable"]][-1]
    here = {"used_idx": last["last_used"], "last_used": last["last_used"]}
    for _ in range(strays):
        log.insert(last, "stray", **place, vq=0, irq=24, **here)
    return log


def _verdict(log: Log, name: str) -> spec.Verdict:
    return spec.check(log.build()).of(name)


@pytest.mark.parametrize(("name", "packed", "event_idx"), _RINGS)
def test_many_interrupts_that_bring_nothing_were_not_asked_for(
    name: str, packed: bool, event_idx: bool
) -> None:
    clean = _verdict(_log(packed, event_idx, 0), name)
    assert clean.verdict == "pass"
    count = len(_log(packed, event_idx, 0).of("interrupt"))
    found = _verdict(_log(packed, event_idx, 500), name)
    assert (found.verdict, "brought nothing" in found.message) == ("fail", True)
    assert found.violations >= 500 - count - 200


@pytest.mark.parametrize(("name", "packed", "event_idx"), _RINGS)
@pytest.mark.parametrize("irq", [0, 25])
def test_a_number_that_is_not_known_or_shared_proves_nothing(
    name: str, packed: bool, event_idx: bool, irq: int
) -> None:
    log = _log(packed, event_idx, 500)
    for event in (*log.of("stray"), *log.of("interrupt", vq=0)):
        event["irq"] = irq
    assert _verdict(log, name).verdict == "pass"
