# SPDX-License-Identifier: GPL-2.0-only
"""A tap changes nothing between sound sides, and shows which side of the others is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from pykit import spec, trace
from pykit.drive.conforming import Conforming
from pykit.drive.driver import Shape
from pykit.tap import FAULTS
from pykit.trace import CaptureError
from tests.tap.between import Between, OwnDevice, between, daemon, needs_daemon

SPLIT, PACKED = Shape(packed=False), Shape(packed=True)


def conforming(all_: Between, *shapes: Shape) -> list[str]:
    """Make conforming requests in these shapes; return what deviated."""
    found = Conforming(all_.device, seed=1).run(lambda _: None, shapes)
    return [deviation.what for deviation in found]


def serve(all_: Between, count: int) -> int:
    """Make requests one after the other; return how many were served."""
    driver, served = all_.driver, 0
    for number in range(count):
        done = driver.serve(0, driver.kind.request(driver.memory, number), patience=0.3)
        served += done is not None and done.served == "served"
    return served


def wrong(verdicts: spec.Verdicts) -> set[str]:
    """The rules on a device that failed: our driver leaves features alone that it should accept."""
    return {v.rule.id for v in verdicts.rules if v.verdict == "fail" and v.rule.side != "driver"}


def test_sound_sides(tmp_path: Path) -> None:
    with between(tmp_path, OwnDevice(tmp_path)) as all_:
        assert conforming(all_, SPLIT, PACKED, Shape(event_idx=False), Shape(indirect=False)) == []
        verdicts = all_.verdicts()
    assert [v.rule.id for v in verdicts.rules if v.verdict == "fail"] == []
    assert (verdicts.troubles, verdicts.unlooked, verdicts.lost) == ((), (), 0)
    for rule in ("DX-01", "DX-03", "DX-09", "DX-23", "DX-25", "NU-DE-05", "SI-DR-03", "PV-DR-01"):
        assert verdicts.of(rule).verdict in ("pass", "not-applicable"), verdicts.of(rule)
    assert verdicts.of("DX-01").checked >= 40


@needs_daemon
def test_a_daemon_of_others(tmp_path: Path) -> None:
    with between(tmp_path, daemon(tmp_path / "disk")) as all_:
        assert conforming(all_, SPLIT, Shape(size=8)) == []
        all_.driver.bring_up(SPLIT)
        assert serve(all_, 100) == 100
        verdicts = all_.verdicts()
    assert [
        v.rule.id for v in verdicts.rules if v.verdict == "fail" and v.rule.side != "driver"
    ] == []
    assert all_.tap.result.chains > 100


@pytest.mark.parametrize(
    ("fault", "packed", "rule"),
    [
        ("length-zero", False, "DX-25"),
        ("length-greater", False, "DX-06"),
        ("length-greater", True, "DX-06"),
        ("id-outside", False, "DX-01"),
        ("returned-twice", False, "DX-02"),
    ],
)
def test_a_faulty_device_is_named(tmp_path: Path, fault: str, packed: bool, rule: str) -> None:
    with between(tmp_path, OwnDevice(tmp_path, fault)) as all_:
        all_.driver.bring_up(Shape(packed=packed))
        serve(all_, 3)
        assert rule in all_.failed(rule)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("fault", list(FAULTS))
def test_a_fault_on_the_way(tmp_path: Path, fault: str, packed: bool) -> None:
    """It reaches one side, once, and the rules name what is a deviation of a ring."""
    named = {
        "id-outside": "DX-01", "id-wrong": "DX-01", "returned-twice": "DX-02",
        "length-greater": "DX-06", "length-zero": "DX-25", "head-outside": "DX-05",
        "head-again": "DX-07", "index-jump": "SA-DR-01", "chain-loop": "SD-DR-01",
    }  # fmt: skip
    if packed and FAULTS[fault].split:
        pytest.skip("of split rings")
    with between(tmp_path, OwnDevice(tmp_path), fault, 2) as all_:
        all_.driver.bring_up(Shape(packed=packed))
        served = serve(all_, 4)
        failed = all_.failed(*named.values())
    assert all_.tap.result.injected
    assert served >= 1
    if not packed and fault in named:
        assert named[fault] in failed


@needs_daemon
def test_heal(tmp_path: Path) -> None:
    """A daemon that is killed with chains in flight is replaced, and all chains come back."""
    with between(tmp_path, daemon(tmp_path / "disk"), heals=True) as all_:
        driver = all_.driver
        driver.bring_up(SPLIT)
        assert serve(all_, 3) == 3
        for _ in range(3):
            all_.peer.kill()
            for number in range(4):
                driver.submit(0, driver.kind.request(driver.memory, number))
            all_.peer.start()
            assert len(driver.wait(0, 4, patience=10)) == 4
        assert serve(all_, 3) == 3
        verdicts = all_.verdicts()
    assert all_.tap.result.heals >= 3
    assert [
        v.rule.id for v in verdicts.rules if v.verdict == "fail" and v.rule.side != "driver"
    ] == []


def test_heal_of_packed_rings(tmp_path: Path) -> None:
    with between(tmp_path, OwnDevice(tmp_path), heals=True) as all_:
        driver = all_.driver
        driver.bring_up(PACKED)
        assert serve(all_, 7) == 7
        all_.peer.kill()
        for number in range(4):
            driver.submit(0, driver.kind.request(driver.memory, number))
        all_.peer.start()
        assert len(driver.wait(0, 4, patience=10)) == 4
        assert serve(all_, 20) == 20
        driver.bring_up(PACKED)
        assert serve(all_, 3) == 3


def test_capture_that_is_cut_off(tmp_path: Path) -> None:
    with between(tmp_path, OwnDevice(tmp_path)) as all_:
        all_.driver.bring_up(SPLIT)
        serve(all_, 3)
        all_.end()
    folder = all_.run / "capture" / "tap-dev0"
    used = folder / "used.bin"
    used.write_bytes(used.read_bytes()[:-5])
    events = trace.load(all_.run / "capture")
    assert events.lost
    assert not any(verdict.verdict == "pass" for verdict in spec.check(events).rules)
    (folder / "columns.json").write_text('{"used": 1}')
    with pytest.raises(CaptureError, match="no layout"):
        trace.load(all_.run / "capture")


def test_a_full_disk_ends_the_record_alone(tmp_path: Path) -> None:
    with between(tmp_path, OwnDevice(tmp_path)) as all_:
        all_.driver.bring_up(SPLIT)
        with Path("/dev/full").open("wb", buffering=0) as full:
            all_.tap._recorder._kinds["chain"].file = full
            assert serve(all_, 5) == 5
            all_.end()
    assert "No space" in all_.tap.result.full
    events = trace.load(all_.run / "capture")
    assert events.lost
    assert any("not complete" in line for line in events.losses)
