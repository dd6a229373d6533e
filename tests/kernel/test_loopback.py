# SPDX-License-Identifier: GPL-2.0-only
"""Drivers and vhost back-ends in one guest, both sides in one trace."""

from __future__ import annotations

import re
from collections.abc import Callable

import polars as pl
import pytest

from pykit import steps
from pykit.errors import Exit

Run = Callable[..., steps.RunResult]


def held(result: steps.RunResult) -> None:
    """The workload went through, and no rule failed."""
    assert result.outcome.kind == "clean", result.outcome.message
    assert result.verdicts.having("fail") == ()
    assert result.exit_code == Exit.OK


def both_sides(result: steps.RunResult, checked: int, *, watcher: str = "driver") -> None:
    """Every chain and every used entry was compared, of one device that both sides name."""
    assert result.verdicts.of("XC-04").verdict == "pass"
    assert result.verdicts.of("XC-04").checked > checked
    table = result.events.table
    for side in (watcher, "vhost"):
        assert table.filter(table["source"] == side)["dev"].unique().to_list() == [0]


def said(result: steps.RunResult, step: str) -> str:
    """The last lines of a step's output."""
    return next(done.output for done in result.events.capture.steps if done.name == step)


def keeps_files(result: steps.RunResult) -> None:
    """What was written came back when it was mounted anew."""
    counted = re.search(r"(\d+) files of (\d+) bytes, all", said(result, "filesystem"))
    assert counted
    assert int(counted[1]) == 18
    assert int(counted[2]) > 1_000_000


@pytest.mark.parametrize("scenario", ["loop-blk", "loop-vduse"])
def test_block(run: Run, scenario: str) -> None:
    result = run(scenario)
    held(result)
    both_sides(result, 1000)
    keeps_files(result)


@pytest.mark.slow
@pytest.mark.parametrize("kernel", ["debian-6.1", "debian-7.2"])
def test_block_on_another_kernel(run: Run, kernel: str) -> None:
    result = run("loop-blk", kernel_name=kernel)
    held(result)
    both_sides(result, 1000)


@pytest.mark.parametrize(
    "driver", ["pykit_virtio_blk", pytest.param("virtio_blk", marks=pytest.mark.slow)]
)
def test_a_back_end_that_dies_and_what_is_refused(run: Run, driver: str) -> None:
    """Each refusal has its errno, and a line in the kernel's log or none: the guest counts."""
    result = run("loop-kill", driver=driver)
    held(result)
    assert result.verdicts.of("XC-04").checked > 1000
    counted = re.search(r"(\d+) checks, (\d+) wrong", said(result, "refusals"))
    assert counted
    assert int(counted[1]) >= 72
    assert int(counted[2]) == 0


@pytest.mark.slow
def test_the_kernels_own_driver(run: Run) -> None:
    result = run("loop-blk", driver="virtio_blk")
    held(result)
    assert result.verdicts.of("XC-04").checked > 1000


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["loop-net", "loop-vsock", "loop-vduse-net"])
def test_the_kernels_own_streams(run: Run, scenario: str) -> None:
    """Data is checked by the guest, both sides of the queues by the rules."""
    result = run(scenario)
    held(result)
    both_sides(result, 5000, watcher="probe")
    step = "streams" if scenario == "loop-vsock" else "tcp"
    sent = re.findall(r"stream: (\d+) bytes each way, all right", said(result, step))
    assert set(sent) == {str(16 << 20)}


@pytest.mark.slow
def test_the_kernels_own_disks(run: Run) -> None:
    result = run("loop-scsi")
    held(result)
    both_sides(result, 1000, watcher="probe")
    keeps_files(result)


@pytest.mark.slow
def test_interrupts_that_are_lost_late_or_without_a_reason(run: Run) -> None:
    result = run("loop-irq")
    held(result)
    both_sides(result, 500)
    signals = result.events.of("vhost_signal").filter(pl.col("sent") == 1).select("ts", "vq")
    interrupts = result.events.of("interrupt").select("vq", at="ts")
    pairs = signals.sort("ts").join_asof(
        interrupts.sort("at"),
        left_on="ts",
        right_on="at",
        by="vq",
        strategy="forward",
        # Both are sorted as a whole, and so each queue's: polars does not look when there is "by".
        check_sortedness=False,
    )
    # One in 7 is 8 ms late, one in 13 comes when what was lost is delivered after all.
    late = pairs.filter(pl.col("at") - pl.col("ts") > 7_000_000)
    assert late.height > signals.height // 10
