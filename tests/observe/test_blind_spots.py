# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from dataclasses import replace

import pytest

from pykit.errors import UsageError
from pykit.observe.access import require_seen
from pykit.observe.blind_spots import unseen
from pykit.scenario import load_scenario
from pykit.scenario.model import Scenario

OLD, NEW = (7, 2, 22), (10, 0, 3)
BLK = load_scenario("blk")
BOTH = replace(BLK, observe=("access", "rings"))


def test_who_does_not_look_says_nothing() -> None:
    assert unseen(BLK, OLD) == ()


def test_rings_of_another_process() -> None:
    [line] = unseen(load_scenario("vhost-user"), OLD)
    assert line.startswith("QEMU's log: the rings of ")


def test_registers_of_firmware() -> None:
    assert unseen(load_scenario("seabios"), OLD) == (
        "QEMU's log of registers: notifications, which go by ioeventfd",
    )


def test_values_of_registers() -> None:
    reported = [any("values of registers" in line for line in unseen(BOTH, v)) for v in (OLD, NEW)]
    assert reported == [True, False]


def test_indirect_tables() -> None:
    reported = [line for line in unseen(BOTH, NEW) if "indirect tables" in line]
    assert [line.partition(":")[0] for line in reported] == ["access tracer", "ring watcher"]


@pytest.mark.parametrize(
    ("scenario", "accelerator", "runner", "why"),
    [
        (BOTH, "tcg", "vng", "--boot direct"),
        (BOTH, "kvm", "direct", "plugin of TCG"),
        (replace(load_scenario("vhost-user"), observe=("rings",)), "tcg", "direct", "vhost-user"),
    ],
)
def test_who_can_see_nothing_is_refused(
    scenario: Scenario, accelerator: str, runner: str, why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        require_seen(scenario, accelerator, runner)


def test_the_ring_watcher_needs_no_tcg() -> None:
    require_seen(replace(BLK, observe=("rings",)), "kvm", "direct")


def test_packed_rings_are_refused() -> None:
    devices = tuple(replace(d, options={**d.options, "packed": True}) for d in BLK.devices)
    with pytest.raises(UsageError, match="packed"):
        require_seen(replace(BLK, devices=devices, observe=("rings",)), "tcg", "direct")
    require_seen(replace(BLK, devices=devices, observe=("access",)), "tcg", "direct")
