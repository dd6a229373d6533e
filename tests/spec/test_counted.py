# SPDX-License-Identifier: GPL-2.0-only
"""Interrupts that come are counted against those that the driver asked for."""

from __future__ import annotations

import pytest

from pykit import spec
from tests.spec.deviations import strays
from tests.spec.log import Log

_RINGS = [("NU-DE-06", False, True), ("NU-DE-02", False, False), ("DX-65", True, True)]


def _verdict(log: Log, name: str) -> spec.Verdict:
    # QEMU's own devices have a known deviation.
    log.device_type = "vhost-user-blk-pci"
    return spec.check(log.build()).of(name)


@pytest.mark.parametrize(("name", "packed", "event_idx"), _RINGS)
def test_many_interrupts_that_bring_nothing_were_not_asked_for(
    name: str, packed: bool, event_idx: bool
) -> None:
    clean = _verdict(strays(packed, event_idx, 0), name)
    assert clean.verdict == "pass"
    count = len(strays(packed, event_idx, 0).of("interrupt"))
    found = _verdict(strays(packed, event_idx, 500), name)
    assert (found.verdict, "brought nothing" in found.message) == ("fail", True)
    assert found.violations >= 500 - count - 200


@pytest.mark.parametrize(("name", "packed", "event_idx"), _RINGS)
@pytest.mark.parametrize("irq", [0, 25])
def test_a_number_that_is_not_known_or_shared_proves_nothing(
    name: str, packed: bool, event_idx: bool, irq: int
) -> None:
    log = strays(packed, event_idx, 500)
    for event in (*log.of("stray"), *log.of("interrupt", vq=0)):
        event["irq"] = irq
    assert _verdict(log, name).verdict == "pass"


@pytest.mark.parametrize(("name", "packed", "event_idx"), _RINGS)
def test_interrupts_that_came_together_excuse_none_that_comes_later(
    name: str, packed: bool, event_idx: bool
) -> None:
    """Of many that were asked for one came each time: a few may be on their way, not all."""
    log = strays(packed, event_idx, 10)
    log.drop(log.of("interrupt", vq=0)[1::2])
    assert _verdict(log, name).verdict == "fail"
    log = strays(packed, event_idx, 1)
    log.drop(log.of("interrupt", vq=0)[1::2])
    assert _verdict(log, name).verdict == "pass"


@pytest.mark.parametrize(("joined", "verdict"), [(True, "fail"), (False, "pass")])
def test_a_loopback_numbers_what_its_back_end_calls_for(joined: bool, verdict: str) -> None:
    """Of another device whose transport is not known a change of the configuration may be it."""
    log = strays(packed=False, event_idx=True, count=500)
    log.devices = {}
    if joined:
        log.add("vhost_attach", dev=1, life=0, cpu=0, pid=1, serves=1, ended=0)
    assert spec.check(log.build()).of("NU-DE-06").verdict == verdict
