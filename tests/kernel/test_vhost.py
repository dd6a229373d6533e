# SPDX-License-Identifier: GPL-2.0-only
"""The vhost test driver: what it serves, what it refuses, what it lives through."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from pykit import steps
from pykit.scenario.model import SCENARIOS

Run = Callable[..., steps.RunResult]

#: Rules that a vhost device's own events decide.
RULES = {
    "DX-01", "DX-02", "DX-03", "DX-06", "DX-15", "DX-23", "DX-25", "DX-38",
    "NU-DE-02", "NU-DE-03", "NU-DE-05", "NU-DE-06",
}  # fmt: skip

KERNELS = [
    None,
    pytest.param("debian-6.1", marks=pytest.mark.slow),
    pytest.param("debian-7.2", marks=pytest.mark.slow),
]


def said(result: steps.RunResult) -> dict[str, str]:
    """The last lines of each step's output."""
    return {step.name: step.output for step in result.events.capture.steps}


@pytest.mark.parametrize("kernel_name", KERNELS)
def test_data_in_every_set_up(run: Run, kernel_name: str | None) -> None:
    result = run("vhost", kernel_name=kernel_name)
    assert result.outcome.kind == "clean", result.outcome.message
    used, got = result.events.of("vhost_used"), result.events.of("vhost_get")
    assert used.height == got.height == 12_000
    assert set(result.verdicts.having("pass")) == RULES
    assert result.verdicts.having("fail") == ()
    assert result.events.lost == 0
    started = result.events.of("vhost_queue")
    # Eight set-ups, one of them with four queues.
    assert started.group_by("vq").len().sort("vq").rows() == [(0, 8), (1, 1), (2, 1), (3, 1)]
    assert started.select(pl.col("features").n_unique()).item() == 6


@pytest.mark.parametrize("kernel_name", KERNELS)
def test_refusals_and_malformed_rings(run: Run, kernel_name: str | None) -> None:
    """The program has a line for each check; a splat would not have been clean."""
    result = run("vhost-checks", kernel_name=kernel_name)
    assert result.outcome.kind == "clean", result.outcome.message
    output = said(result)
    counted = re.search(r"(\d+) checks, (\d+) wrong", output["checks"])
    assert counted, output["checks"]
    assert int(counted[1]) >= 126
    assert int(counted[2]) == 0
    # The kernel's own vhost driver was asked, too.
    assert "no /dev/vhost-vsock" not in output["checks"]
    assert "3000 rings, seed 1, nothing written where it must not be" in output["malformed"]
    seen = dict(re.findall(r"vhost-ring: (\S.{7,8}) (served \d+,.*)", output["malformed"]))
    assert re.fullmatch(r"served \d+, failed 0, refused 0, not looked at 0", seen["good     "])
    for kind in ("loop     ", "next     ", "head     ", "index    "):
        assert int(re.findall(r"refused (\d+)", seen[kind])[0]) > 0


def test_ends_that_do_not_wait_for_a_slow_device(run: Run, tmp_path: Path) -> None:
    """Requests that take 4 s each hold up no stop, no close and no kill."""
    slow = tmp_path / "slow.toml"
    text = (SCENARIOS / "vhost-checks.toml").read_text()
    slow.write_text(text.replace("log_burst =", 'delay_ms = "4000", log_burst ='))
    result = run(str(slow), device_fault="delayed")
    assert result.outcome.kind == "clean", result.outcome.message
    assert " 0 wrong" in said(result)["checks"]
