# SPDX-License-Identifier: GPL-2.0-only
"""Use the pytest fixtures of pykit.testing as a test of another project does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pykit import spec, trace
from pykit.errors import UsageError
from pykit.testing import Disk, LiveGuest
from pykit.testing.live import GuestStepError

Verdicts = Callable[[], spec.Verdicts]


@pytest.mark.virtio(driver="virtio_blk", options={"queue-size": 64})
def test_reads(pykit_guest: LiveGuest, pykit_virtio_blk: Disk, pykit_verdicts: Verdicts) -> None:
    pykit_guest.run(f"dd if={pykit_virtio_blk} of=/dev/null bs=4k count=50 iflag=direct")
    pykit_guest.query()
    found = pykit_verdicts()
    assert not found.having("fail")
    assert found.of("DX-01").checked >= 50
    assert found.lost == 0


def test_another_driver_in_the_same_guest(
    pykit_guest: LiveGuest, pykit_virtio_blk: Disk, pykit_events: Callable[[], trace.Events]
) -> None:
    assert "blkio: 100 requests" in pykit_guest.run(
        f'"$PAYLOAD/bin/blkio" {pykit_virtio_blk} 100 4 4096'
    )
    pykit_guest.unplug()
    found = pykit_events()
    assert found.of("add").height >= 100
    assert set(found.base["source"].unique()) >= {"driver", "qemu"}
    with pytest.raises(UsageError, match="has ended already"):
        pykit_guest.run("true")


@pytest.mark.virtio(driver="virtio_blk", transport="pci-legacy")
def test_legacy(pykit_virtio_blk: Disk, pykit_capture: Callable[[], Path]) -> None:
    assert (pykit_capture() / "qemu.log").stat().st_size > 0
    assert str(pykit_virtio_blk) == "/dev/vda"


def test_lines_that_fail(pykit_guest: LiveGuest) -> None:
    with pytest.raises(GuestStepError, match="ended with 3: so it is"):
        pykit_guest.run("echo so it is; exit 3")
    assert pykit_guest.outcome.kind == "clean"


def test_quotes_and_lines_come_through(pykit_guest: LiveGuest) -> None:
    assert (
        pykit_guest.run("""for word in "a  b" 'c;d:e'; do\n  echo "$word"\ndone""") == "a  b\nc;d:e"
    )
