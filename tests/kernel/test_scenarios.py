# SPDX-License-Identifier: GPL-2.0-only
"""The other scenarios, and the other kernel."""

from __future__ import annotations

from collections.abc import Callable

from pykit import steps
from pykit.errors import Exit

Run = Callable[..., steps.Result]


def test_removal_during_io(run: Run) -> None:
    result = run("unplug")
    assert result.outcome.kind == "clean", result.outcome.message
    assert result.verdicts.having("fail") == ()
    assert result.exit_code == Exit.OK


def test_linux_6_1(run: Run) -> None:
    result = run(kernel_name="debian-6.1")
    assert result.outcome.kind == "clean", result.outcome.message
    assert result.verdicts.having("fail") == ()
    assert result.exit_code == Exit.OK
