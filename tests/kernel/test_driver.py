# SPDX-License-Identifier: GPL-2.0-only
"""The driver as it can be forced to be: what was asked for is seen in its events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from pykit import steps
from pykit.errors import Exit
from pykit.spec import bits

Run = Callable[..., steps.RunResult]


def held(result: steps.RunResult) -> None:
    assert result.outcome.kind == "clean", result.outcome.message
    assert result.verdicts.having("fail") == ()
    assert result.exit_code == Exit.OK


def of(result: steps.RunResult, kind: str, life: int) -> pl.DataFrame:
    return result.events.of(kind).filter(pl.col("source") == "driver", pl.col("life") == life)


def features(result: steps.RunResult, life: int) -> int:
    """Features as probe() found them."""
    rows = of(result, "features", life).filter(pl.col("stage") == 2)
    return int(rows["acked"].item())


def queues(result: steps.RunResult, life: int) -> list[dict[str, Any]]:
    return list(of(result, "queue", life).filter(pl.col("op") == 0).iter_rows(named=True))


@pytest.fixture(scope="module")
def driver(run: Run) -> steps.RunResult:
    return run("driver")


def test_everything_held(driver: steps.RunResult) -> None:
    held(driver)


def test_nothing_is_forced(driver: steps.RunResult) -> None:
    assert [(q["size"], q["num_queues"]) for q in queues(driver, 0)] == [(128, 2)] * 2
    for bit in (bits.INDIRECT_DESC, bits.EVENT_IDX, bits.BLK_DISCARD, bits.BLK_WRITE_ZEROES):
        assert features(driver, 0) >> bit & 1


def test_a_batch_is_one_decision_to_notify(driver: steps.RunResult) -> None:
    kicks = of(driver, "kick", 0)
    assert ((kicks["new"].cast(pl.Int64) - kicks["old"]) % 65536 > 4).any()


def test_a_polled_queue_moves_data_without_interrupts(driver: steps.RunResult) -> None:
    assert of(driver, "used", 1).filter(pl.col("vq") == 1).height > 100
    assert of(driver, "interrupt", 1).filter(pl.col("vq") == 1).height == 0
    assert of(driver, "callback", 1).filter(pl.col("vq") == 1).height == 0
    assert of(driver, "interrupt", 1).filter(pl.col("vq") == 0).height > 0


def test_ring_size(driver: steps.RunResult) -> None:
    assert [q["size"] for q in queues(driver, 2)] == [16, 16]
    assert of(driver, "used", 2).height > 2 * 16


def test_number_of_queues(driver: steps.RunResult) -> None:
    assert [(q["vq"], q["num_queues"]) for q in queues(driver, 3)] == [(0, 1)]


def test_no_event_index(driver: steps.RunResult) -> None:
    assert not features(driver, 4) >> bits.EVENT_IDX & 1
    assert of(driver, "kick", 4)["event_idx"].sum() == 0


def test_no_indirect(driver: steps.RunResult) -> None:
    assert not features(driver, 5) >> bits.INDIRECT_DESC & 1
    assert of(driver, "add", 5)["indirect"].sum() == 0
    assert of(driver, "add", 4)["indirect"].sum() > 0


def test_refused_features(driver: steps.RunResult) -> None:
    assert not features(driver, 6) >> bits.BLK_DISCARD & 1
    assert not features(driver, 6) >> bits.BLK_WRITE_ZEROES & 1
    assert features(driver, 6) >> bits.INDIRECT_DESC & 1


def test_a_missing_feature_is_no_such_device(driver: steps.RunResult) -> None:
    failed = of(driver, "driver", 7).filter(pl.col("stage") == bits.PROBE_FAILED)
    assert failed["err"].to_list() == [-19]
    assert any(
        status & bits.FAILED
        for status in of(driver, "status", 7).filter(pl.col("op") == 0)["status"]
    )


@pytest.mark.parametrize("name", ["required", "bad", "closed"])
def test_an_error_is_an_errno_and_one_line(driver: steps.RunResult, name: str) -> None:
    (step,) = (step for step in driver.events.capture.steps if step.name == name)
    assert step.rc == 0, step.output


@pytest.fixture(scope="module")
def suspend(run: Run) -> steps.RunResult:
    return run("suspend")


def test_suspend_and_resume_during_io(suspend: steps.RunResult) -> None:
    held(suspend)
    stages = suspend.events.of("driver").filter(pl.col("source") == "driver")["stage"].to_list()
    assert stages.count(bits.FREEZE) == stages.count(bits.RESTORE) == 2
    for life in range(3):
        assert of(suspend, "used", life).height > 50


@pytest.fixture(
    scope="module", params=["debian-6.12", pytest.param("debian-6.1", marks=pytest.mark.slow)]
)
def soft(request: pytest.FixtureRequest, run: Run) -> steps.RunResult:
    return run("selftest", kernel_name=request.param)


def test_virtqueues_and_a_disk_in_software(soft: steps.RunResult) -> None:
    held(soft)
    cases = next(step for step in soft.events.capture.steps if step.name == "virtqueue")
    assert cases.rc == 0


def test_a_device_that_does_not_answer_is_reset(soft: steps.RunResult) -> None:
    stages = soft.events.of("driver").filter(pl.col("stage") == bits.FREEZE)
    # For what was lost once, then for what was lost, and lost again.
    assert stages["err"].to_list() == [-110] * 3
    restored = soft.events.of("driver").filter(pl.col("stage") == bits.RESTORE)
    assert restored["err"].to_list() == [0] * 3


def test_what_only_the_disk_in_software_has(soft: steps.RunResult) -> None:
    done = soft.events.of("blk_done").filter(pl.col("status") == bits.S_OK)
    kinds = set(done["type"].to_list())
    assert {bits.T_SECURE_ERASE, bits.T_GET_LIFETIME} <= kinds
    if soft.events.capture.kernel.startswith("6.1."):
        # Its own driver knows no zones either.
        assert not kinds & set(bits.ZONE_TYPES)
    else:
        assert set(bits.ZONE_TYPES) <= kinds
