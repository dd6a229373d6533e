# SPDX-License-Identifier: GPL-2.0-only
"""Reads by vhost-user, through a tap, and of our own device: the figures, and one short run."""

from __future__ import annotations

import shutil

import pytest

from pykit import bench
from pykit.bench.vhost_user import DEVICE, GOALS, PEER, TAP

RATES = bench.VhostUserRates(
    "6.12",
    {
        PEER: {"depth 1": (10.0, 20.0, 10.0), "depth 16": (2.0, 2.0, 2.0)},
        TAP: {"depth 1": (18.0, 38.0, 18.0), "depth 16": (3.0, 3.0, 3.0)},
        DEVICE: {"depth 1": (30.0, 60.0, 30.0), "depth 16": (8.0, 8.0, 8.0)},
    },
    {"depth 1": (500.0,), "depth 16": (100.0,)},
)


def test_ratios_are_of_the_same_round() -> None:
    assert RATES.ratio(TAP, "depth 1") == pytest.approx(1.8)
    kept = {line.what: line.kept for line in RATES.lines()}
    assert kept[f"a read, depth 1, {TAP}"]
    assert kept[f"a read, depth 16, {TAP}"] is False
    assert kept[f"a read, depth 16, {DEVICE}"] is None
    assert kept["a read, depth 1, by pykit drive"] is None
    assert RATES.as_json()["ratios"] == {
        TAP: {"depth 1": 1.8, "depth 16": 1.5},
        DEVICE: {"depth 1": 3.0, "depth 16": 4.0},
    }
    assert RATES.table().row_count == 8


@pytest.mark.slow
@pytest.mark.boot
@pytest.mark.skipif(
    shutil.which("qemu-storage-daemon") is None, reason="qemu-storage-daemon is not installed"
)
def test_all_disks_are_read() -> None:
    rates = bench.vhost_user_rates(None, rounds=1)
    print(rates.as_json())
    assert set(rates.times) == {PEER, TAP, DEVICE}
    for loads in (*rates.times.values(), rates.driven):
        assert set(loads) == set(GOALS)
        assert all(us > 0 for taken in loads.values() for us in taken)
