# SPDX-License-Identifier: GPL-2.0-only
"""Devices that QEMU's main loop does not serve: a thread, another process, the guest itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pykit import steps
from pykit.errors import Exit

Run = Callable[..., steps.RunResult]

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "outside"), [("iothread", True), ("vhost-user", False), ("vduse", False)]
)
def test_device(run: Run, name: str, outside: bool) -> None:
    result = run(name)
    assert (result.outcome.kind, result.exit_code) == ("clean", Exit.OK), result.outcome.message
    assert (result.verdicts.having("fail"), result.events.lost) == ((), 0)
    # The device's side of the ring is seen only where QEMU serves it.
    assert (result.verdicts.of("XC-03").verdict == "pass") is outside
    assert (result.verdicts.of("RS-DE-03").verdict == "pass") is outside
    assert result.verdicts.of("DX-01").verdict == "pass"


def test_a_tap_sees_the_other_side(run: Run) -> None:
    """Where another process serves the rings, a tap has the device's side of them."""
    result = run("vhost-user", observe=("tap",))
    assert (result.outcome.kind, result.exit_code) == ("clean", Exit.OK), result.outcome.message
    assert (result.verdicts.having("fail"), result.events.lost) == ((), 0)
    assert result.verdicts.of("XC-04").verdict == "pass"
    assert result.verdicts.of("DX-38").verdict == "pass"
