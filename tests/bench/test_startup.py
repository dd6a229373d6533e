# SPDX-License-Identifier: GPL-2.0-only
"""Ratios of start-up times, by the clock and by the processor."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pykit.bench.startup import LIMITS, MINIMAL, PEER, Startup, _time
from pykit.errors import InfraError


def test_ratios() -> None:
    seconds = {PEER: [10.0, 30.0, 12.0], **{command: [6.0, 3.0, 9.0] for command in LIMITS}}
    cpu = {PEER: [8.0, 8.0, 8.0], **{command: [2.0, 2.0, 2.0] for command in LIMITS}}
    found = Startup("6.12", seconds, cpu)
    assert (found.ratio("pykit run"), found.cpu_ratio("pykit run")) == (0.5, 0.25)
    assert [line.ratio for line in found.lines()] == [0.5, 0.5]
    minimal = Startup("6.12", {**seconds, MINIMAL: [4.0]}, {**cpu, MINIMAL: [2.0]})
    assert list(minimal.limits.values()) == [1.2, 0.35, 0.35]


def test_processor_time_is_the_commands_own(tmp_path: Path) -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'sum(range(1 << 24))'])"
    _, cpu = _time("sums", [sys.executable, "-c", script], tmp_path)
    slept, idle = _time("sleeps", ["sleep", "0.5"], tmp_path)
    assert 0 <= idle < cpu / 2
    assert slept >= 0.5
    with pytest.raises(InfraError, match="fails ended with 1"):
        _time("fails", ["false"], tmp_path)
