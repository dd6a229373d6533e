# SPDX-License-Identifier: GPL-2.0-only
"""Guests of other architectures: the modules, all transports, both kinds of driver."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pykit import steps
from pykit.arch import of_release
from pykit.errors import Exit

Run = Callable[..., steps.RunResult]

pytestmark = pytest.mark.slow

KERNELS = ("debian-6.12-arm64", "debian-6.1-arm64", "debian-6.12-s390x", "debian-6.1-s390x")
#: Each kernel with the transports of its architecture's machines.
PLACES = [
    (kernel, transport)
    for kernel in KERNELS
    for transport in (("pci", "mmio") if kernel.endswith("arm64") else ("ccw", "pci"))
]


@pytest.mark.parametrize(("kernel_name", "transport"), PLACES)
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
    assert of_release(events.capture.kernel) == of_release(kernel_name)


@pytest.mark.parametrize(
    ("kernel_name", "transport"),
    [("debian-6.12-arm64", "pci"), ("debian-6.12-s390x", "ccw"), ("debian-6.12-s390x", "pci")],
)
def test_packed_rings(run: Run, kernel_name: str, transport: str) -> None:
    result = run("io", kernel_name=kernel_name, transport=transport, ring="packed")
    assert result.exit_code == Exit.OK, result.closing()
    assert result.verdicts.summary()["fail"] == 0
    assert result.verdicts.of("DX-10").verdict == "pass"


@pytest.mark.parametrize("kernel_name", KERNELS)
def test_selftest(run: Run, kernel_name: str) -> None:
    # It has no device; its transport is that of the architecture.
    transport = "ccw" if kernel_name.endswith("s390x") else "pci"
    result = run("selftest", kernel_name=kernel_name, transport=transport)
    assert result.outcome.kind == "clean", result.closing()
    assert result.verdicts.summary()["fail"] == 0


def test_blk_with_programs_of_the_guest(run: Run) -> None:
    result = run("blk", kernel_name="debian-6.12-arm64")
    assert result.exit_code == Exit.OK, result.closing()
    assert result.verdicts.summary()["fail"] == 0
