# SPDX-License-Identifier: GPL-2.0-only
"""What a tap wrote, beside a guest whose driver has a trace of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from pykit.drive.driver import Shape
from pykit.errors import UsageError
from pykit.observe import through_taps
from pykit.scenario import load_scenario
from pykit.trace.tapped import from_outside, read_tap
from tests.tap.between import OwnDevice, between

STATUSES = pl.DataFrame(
    {
        "kind": ["dev_status", "dev_status"],
        "dev": pl.Series([0, 0], dtype=pl.UInt32),
        "status": [3, 3],
        "life": pl.Series([4, 5], dtype=pl.UInt32),
        "ts": [1, 1 << 62],
    }
)


def test_rows_of_a_back_end(tmp_path: Path) -> None:
    with between(tmp_path, OwnDevice(tmp_path)) as all_:
        driver = all_.driver
        driver.bring_up(Shape())
        for number in range(5):
            driver.serve(0, driver.kind.request(driver.memory, number), indirect=number % 2 == 0)
        all_.end()
    rows, losses = read_tap(all_.run / "capture" / "tap-dev0", 0)
    assert not losses
    back = from_outside(rows, STATUSES)
    assert set(back["life"]) == {4}
    counts = dict(back.group_by("kind").len().iter_rows())
    assert (counts["vhost_get"], counts["vhost_used"], counts["vhost_blk"]) == (5, 5, 5)
    assert (counts["vhost_attach"], counts["vhost_queue"]) == (1, 2)
    taken = back.filter(kind="vhost_get")
    assert set(taken.select("out", "in").rows()) == {(1, 2)}
    assert taken["avail_idx"].to_list() == [0, 1, 2, 3, 4]
    returned = back.filter(kind="vhost_used")
    assert returned["used_idx"].to_list() == [1, 2, 3, 4, 5]
    assert returned["avail_idx"].to_list() == [1, 2, 3, 4, 5]
    assert from_outside(rows, STATUSES.with_columns(dev=pl.lit(1, pl.UInt32))).is_empty()


def test_no_rows_of_packed_rings(tmp_path: Path) -> None:
    with between(tmp_path, OwnDevice(tmp_path)) as all_:
        driver = all_.driver
        driver.bring_up(Shape(packed=True))
        driver.serve(0, driver.kind.request(driver.memory, 0))
        all_.end()
    rows, _ = read_tap(all_.run / "capture" / "tap-dev0", 0)
    assert "add" in set(rows["kind"])
    assert "vhost_get" not in set(from_outside(rows, STATUSES)["kind"])


def test_a_scenario_with_nothing_to_tap(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="vhost-user"):
        through_taps(load_scenario("blk"), tmp_path)
    (device,) = through_taps(load_scenario("vhost-user"), tmp_path).devices
    assert device.peer == tmp_path / "vd0-tap.sock"
    assert replace(device, peer=None) == load_scenario("vhost-user").devices[0]
