# SPDX-License-Identifier: GPL-2.0-only
"""The fixtures of pykit.testing, used as anybody would."""

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
def test_reads(guest: LiveGuest, virtio_blk: Disk, verdicts: Verdicts) -> None:
    guest.run(f"dd if={virtio_blk} of=/dev/null bs=4k count=50 iflag=direct")
    guest.query()
    found = verdicts()
    assert not found.having("fail")
    assert found.of("DX-01").checked >= 50
    assert found.lost == 0


def test_another_driver_in_the_same_guest(
    guest: LiveGuest, virtio_blk: Disk, events: Callable[[], trace.Events]
) -> None:
    assert "blkio: 100 requests" in guest.run(f'"$PAYLOAD/bin/blkio" {virtio_blk} 100 4 4096')
    guest.unplug()
    found = events()
    assert found.of("add").height >= 100
    assert set(found.base["source"].unique()) >= {"driver", "qemu"}
    with pytest.raises(UsageError, match="ended already"):
        guest.run("true")


@pytest.mark.virtio(driver="virtio_blk", transport="pci-legacy")
def test_legacy(virtio_blk: Disk, capture: Callable[[], Path]) -> None:
    assert (capture() / "qemu.log").stat().st_size > 0
    assert str(virtio_blk) == "/dev/vda"


def test_lines_that_fail(guest: LiveGuest) -> None:
    with pytest.raises(GuestStepError, match="ended with 3: so it is"):
        guest.run("echo so it is; exit 3")
    assert guest.outcome.kind == "clean"


def test_quotes_and_lines_come_through(guest: LiveGuest) -> None:
    assert guest.run("""for word in "a  b" 'c;d:e'; do\n  echo "$word"\ndone""") == "a  b\nc;d:e"
