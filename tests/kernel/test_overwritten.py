# SPDX-License-Identifier: GPL-2.0-only
"""A device that overwrites rings under the driver's hands: our modules follow none of it.

Where ``pykit kernel build debug`` has made a kernel with KASAN, these run on it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pykit import kernels, steps
from pykit.errors import PykitError

from .conftest import say

pytestmark = pytest.mark.slow

SANITIZED = "debug-6.12"


@pytest.fixture(scope="module")
def kernel_name() -> str | None:
    """The name of a kernel with KASAN, None for the default one."""
    try:
        return kernels.resolve(SANITIZED, progress=say).name
    except PykitError:
        return None


@pytest.mark.parametrize("driver", ["pykit_virtio_blk", "virtio_blk"])
@pytest.mark.parametrize(
    ("fault", "ring"),
    [
        ("ids-overwritten", "packed"),
        ("links-overwritten", "split"),
        ("tables-overwritten", "split"),
        ("tables-overwritten", "packed"),
        ("entries-overwritten", "split"),
    ],
)
def test_nothing_is_followed(
    kernel_name: str | None, tmp_path: Path, ring: str, driver: str, fault: str
) -> None:
    back_end = f"cmd:{sys.executable} -m pykit.cli device --socket {{socket}} --fault {fault}"
    result = steps.run(
        "io",
        kernel_name=kernel_name,
        runner="direct",
        fault=None,
        to=tmp_path,
        say=say,
        ring=ring,
        driver=driver,
        device=back_end,
    )
    console = (tmp_path / "console.log").read_text(errors="replace")
    # Requests may fail, and may never end: that is the device's doing.
    assert result.outcome.kind not in ("splat", "panic", "qemu-died"), result.outcome.message
    assert "KASAN" not in console
    # A wrong id in a used entry may end all of it at once.
    assert result.events.of("add").height >= (1 if fault == "entries-overwritten" else 20)
