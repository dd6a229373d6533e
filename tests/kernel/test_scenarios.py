# SPDX-License-Identifier: GPL-2.0-only
"""The other scenarios, and the other kernels."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from pykit import kernels, steps
from pykit.errors import Exit

Run = Callable[..., steps.RunResult]


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


def test_linux_7_2(run: Run) -> None:
    result = run(kernel_name="debian-7.2")
    assert result.outcome.kind == "clean", result.outcome.message
    assert result.verdicts.having("fail") == ()
    assert result.exit_code == Exit.OK


can_build = pytest.mark.skipif(
    not all(map(shutil.which, ("flex", "bison", "bc"))),
    reason="no flex, bison or bc to build a kernel with: make setup",
)


@can_build
@pytest.mark.slow
def test_a_kernel_of_our_own(run: Run) -> None:
    """Builds the minimal profile where the cache does not have it: 1,000 objects and more."""
    seen: list[tuple[int, int]] = []
    kernel = kernels.build("minimal", step=lambda done, about, _: seen.append((done, about)))
    assert all(done <= about for done, about in seen)
    assert kernels.resolve("minimal-6.12") == kernel
    result = run(kernel_name=kernel.name)
    assert result.outcome.kind == "clean", result.outcome.message
    assert result.verdicts.having("fail") == ()
    assert result.exit_code == Exit.OK


@can_build
@pytest.mark.slow
@pytest.mark.parametrize("driver", ["pykit_virtio_blk", "virtio_blk"])
def test_a_simulated_vdpa_disk(run: Run, driver: str) -> None:
    """Builds the vdpa profile where the cache does not have it: Debian has no simulator."""
    kernel = kernels.build("vdpa", step=lambda *_: None)
    result = run("vdpa-sim", kernel_name=kernel.name, driver=driver)
    assert result.outcome.kind == "clean", result.outcome.message
    assert result.verdicts.having("fail") == ()
    assert result.exit_code == Exit.OK
