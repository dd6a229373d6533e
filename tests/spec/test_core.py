# SPDX-License-Identifier: GPL-2.0-only
"""What a run comes to as a whole: what broke, and whether core rules looked at anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pykit import spec, steps, trace
from pykit.errors import Exit
from pykit.matrix.execute.judged import judge_events
from pykit.spec import bits
from pykit.trace.kinds import BROKEN
from tests.spec.cases.base import bare, later, like
from tests.spec.cases.renewed import renewed
from tests.spec.log import Log
from tests.spec.machine import run
from tests.trace.conftest import unpack

ASLEEP = (
    "queue 1 of device 0 stands still at index 5 for 233.6 s: 1 chain waits, the device's turn: it "
    "enabled notifications at index 5 while entry 5 was there already, and went to sleep"
)
HELD = (
    "queue 0 of device 0 (vd) stands still at index 19 for 20.1 s: 1 chain waits, the device's "
    "turn: it took the chain and did not return it (QMP, two looks at the same indices)"
)


@pytest.mark.parametrize(
    ("name", "kind", "words", "failed"),
    [
        ("one-chain-a-kick", "hang", ASLEEP, {"DX-18", "DX-39"}),
        ("attach-stuck", "standstill", HELD, {"DX-39"}),
        ("zero-length-descriptor", "needs-reset", "8 requests of queue 0 of device 0", None),
    ],
)
def test_broken_runs(
    tmp_path: Path, name: str, kind: str, words: str, failed: set[str] | None
) -> None:
    capture = unpack(f"{name}.tar.xz", tmp_path) / "capture"
    result = steps.check(capture, to=None)
    assert result.exit_code == Exit.FAILED
    assert result.outcome.kind == kind
    assert words in result.outcome.message
    if failed is not None:
        assert failed <= set(result.verdicts.having("fail"))


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "7.2"])
def test_a_sound_run(tmp_path: Path, kernel: str) -> None:
    result = steps.check(unpack(f"capture-{kernel}.tar.xz", tmp_path), to=None)
    assert not result.verdicts.troubles
    assert not result.verdicts.unlooked
    assert (result.exit_code, result.outcome.kind) == (Exit.OK, "clean")


@pytest.mark.parametrize("make", [run, like(packed=True), like(lives=2), like(cut=True)])
def test_a_sound_log(make: Callable[[], Log]) -> None:
    verdicts = spec.check(make().build())
    assert (verdicts.troubles, verdicts.unlooked) == ((), ())


def kinds(log: Log) -> list[str]:
    return [trouble.kind for trouble in spec.check(log.build()).troubles]


def test_a_refused_used_entry() -> None:
    log = run()
    log.of("used")[-1]["accepted"] = 0
    assert kinds(log) == ["refused-used"]


def test_a_device_that_needs_a_reset() -> None:
    log = run()
    log.of("status", op=bits.STATUS_READ, life=0)[-1]["status"] = 0x4F
    assert kinds(log) == ["needs-reset"]
    log.of("status", op=bits.STATUS_READ, life=0)[-1]["status"] = bits.NO_DEVICE
    assert kinds(log) == []


def test_requests_taken_back() -> None:
    log = run()
    log.insert(log.of("used")[-1], "detach", num_free=0, slots=1)
    assert kinds(log) == ["lost-requests"]
    # Buffers for packets end that way.
    log.device_type = "virtio-net-pci"
    for event in log.of("driver"):
        event["id"] = bits.NET_ID
    assert kinds(log) == []


def test_requests_taken_back_by_a_queue_that_is_reset() -> None:
    log = renewed()
    assert log.of("detach")
    assert kinds(log) == []
    # The queue had broken before.
    log.insert(log.one("detach"), "queue", after=False, size=64, layout=0, op=BROKEN)
    assert kinds(log) == ["lost-requests"]


def test_a_standstill_where_events_are_lost_is_none() -> None:
    log = like(cut=True)()
    later(log)
    assert "standstill" in kinds(log)
    log.lost = 1
    assert kinds(log) == []


def test_what_a_scenario_expects_is_no_failure() -> None:
    log = run()
    log.of("used")[-1]["accepted"] = 0
    events = log.build()
    assert judge_events(events).events.capture.outcome.kind == "refused-used"
    expecting = replace(events.capture, expects=("refused-used",))
    found = judge_events(replace(events, capture=expecting))
    assert found.events.capture.outcome.kind == "clean"
    assert [trouble.expected for trouble in found.verdicts.troubles] == [True]


def unlooked(events: trace.Events) -> str:
    return "; ".join(spec.check(events).unlooked)


def test_a_driver_that_only_negotiates_needs_no_queue() -> None:
    assert unlooked(bare().build()) == ""


@pytest.mark.parametrize(
    ("gone", "silent"),
    [
        (("status",), "status: "),
        (("features",), "features: "),
        (("used",), "chains: "),
        (("kick", "notify", "dev_kick"), "notifications: "),
    ],
)
def test_rules_that_fall_silent(gone: tuple[str, ...], silent: str) -> None:
    log = run(outside=False)
    log.drop(log.of(*gone))
    assert silent in unlooked(log.build())


def test_a_status_bit_that_is_never_written() -> None:
    log = run(outside=False)
    log.drop(log.of("status", status=0x0B))
    assert "IN-DR-05" in unlooked(log.build())


@pytest.mark.parametrize("packed", [False, True])
def test_a_queue_whose_driver_decides_on_no_notification(packed: bool) -> None:
    log = run(packed=packed)
    log.drop(log.of("kick", "notify", "dev_kick", "add_failed", vq=1))
    later(log)
    assert unlooked(log.build()) == (
        "notifications: device 1, life 0, queue 1 has chains, and no decision about them"
    )
