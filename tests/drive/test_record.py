# SPDX-License-Identifier: GPL-2.0-only
"""What a driver wrote down is sealed."""

from __future__ import annotations

import time
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


def test_log_stands_among_the_drivers_events(tmp_path: Path) -> None:
    """What QEMU still does at a reset is of the life before: a status shows that it is over."""
    recorder, log, lines = Recorder("virtio-blk-pci"), tmp_path / "qemu.log", list[str]()

    def logged(text: str) -> None:
        now = recorder.now()
        lines.append(f"1@{now // 10**9}.{now // 1000 % 10**6:06}:{text}\n")
        time.sleep(0.00001)

    def status(value: int) -> None:
        recorder.event("status", status=value, op=bits.STATUS_WRITE)
        logged(f"virtio_set_status vdev 0xa val {value}")

    pop = "virtqueue_pop vq 0xb elem 0xc in_num 1 out_num 1"
    for _ in range(2):
        recorder.begin()
        status(0)
        logged(pop)
        status(bits.ACKNOWLEDGE | bits.DRIVER)
        logged("virtio_queue_notify vdev 0xa n 0 vq 0xb")
        logged(pop)
    log.write_text("".join(lines))
    recorder.log = log
    recorder.save(tmp_path / "capture", "QEMU", "clean", "")
    events = trace.load(tmp_path / "capture")
    assert events.lost == 0
    found = events.of("dev_pop", "dev_kick", "dev_status").sort("row")
    assert found.select("kind", "life").rows() == [
        *[("dev_status", None), ("dev_pop", None), ("dev_status", 0), ("dev_kick", 0)],
        *[("dev_pop", 0), ("dev_status", 0), ("dev_pop", 0), ("dev_status", 1)],
        *[("dev_kick", 1), ("dev_pop", 1)],
    ]
    assert events.base["ts"].is_sorted()
