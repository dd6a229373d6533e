# SPDX-License-Identifier: GPL-2.0-only
"""Guests of arm64 on this machine: the modules, both transports, both kinds of driver."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pykit import steps
from pykit.errors import Exit

Run = Callable[..., steps.RunResult]

pytestmark = pytest.mark.slow

KERNELS = ("debian-6.12-arm64", "debian-6.1-arm64")


@pytest.mark.parametrize("kernel_name", KERNELS)
@pytest.mark.parametrize("transport", ["pci", "mmio"])
@pytest.mark.parametrize("driver", [None, "virtio_blk"])
def test_io(run: Run, kernel_name: str, transport: str, driver: str | None) -> None:
    result = run("io", kernel_name=kernel_name, transport=transport, driver=driver)
    summary = result.verdicts.summary()
    assert result.exit_code == Exit.OK, result.closing()
    assert (summary["fail"], summary["waived"]) == (0, 0)
    assert summary["pass"] > 70
    events = result.events
    assert events.lost == 0
    # A probe that is loaded and sees nothing leaves no adds.
    adds = events.table.filter(kind="add")
    assert adds.height > 200
    assert events.capture.kernel.endswith("-arm64")


@pytest.mark.parametrize("kernel_name", KERNELS)
def test_selftest(run: Run, kernel_name: str) -> None:
    result = run("selftest", kernel_name=kernel_name)
    assert result.outcome.kind == "clean", result.closing()
    assert result.verdicts.summary()["fail"] == 0


def test_blk_with_programs_of_the_guest(run: Run) -> None:
    result = run("blk", kernel_name=KERNELS[0])
    assert result.exit_code == Exit.OK, result.closing()
    assert result.verdicts.summary()["fail"] == 0
