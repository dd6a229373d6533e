# SPDX-License-Identifier: GPL-2.0-only
"""What a driver wrote down is sealed."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from pykit import trace
from pykit.drive.record import Recorder
from pykit.spec import bits
from pykit.trace.driven import FILE


def test_capture_is_sealed(tmp_path: Path) -> None:
    recorder = Recorder("virtio-blk-pci")
    recorder.begin()
    for status in (bits.ACKNOWLEDGE, bits.ACKNOWLEDGE | bits.DRIVER):
        recorder.event("status", status=status, op=bits.STATUS_WRITE)
    capture = tmp_path / "capture"
    recorder.save(capture, "a peer", "clean", "")
    assert trace.load(capture).lost == 0
    events = pl.read_parquet(capture / FILE)
    events.head(1).write_parquet(capture / FILE)
    found = trace.load(capture)
    assert found.lost
    assert FILE in found.losses[0]
