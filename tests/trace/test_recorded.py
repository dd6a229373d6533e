# SPDX-License-Identifier: GPL-2.0-only
"""Traces that others recorded: trace-cmd's own files, chosen events, logs of firmware."""

from __future__ import annotations

from pathlib import Path

import pytest

from pykit import spec, trace
from pykit.trace.qemu import read_log

DATA = Path(__file__).parents[1] / "data"


def test_a_file_that_trace_cmd_recorded() -> None:
    """Version 7 with a list of clocks: `trace-cmd report` shows 592 events."""
    events = trace.load(DATA / "trace-cmd-3.1.6-record.dat")
    assert (events.base.height, events.lost) == (592, 0)
    assert events.capture.clock == "mono"
    summary = spec.check(events).summary()
    assert summary["fail"] == 0
    assert summary["pass"] > 50


def test_events_that_were_not_switched_on_are_unknown() -> None:
    verdicts = spec.check(trace.load(DATA / "trace-cmd-chosen.dat"))
    assert not verdicts.having("fail")
    row = verdicts.of("MF-DR-01")
    assert row.verdict == "inconclusive"
    assert row.message == "not recorded: pykit_desc (record in addition: -e pykit:pykit_desc)"
    for name in ("DX-17", "NU-DR-05", "DX-25", "BI-DE-02", "SI-DR-03", "DX-05", "CF-DR-03"):
        assert verdicts.of(name).verdict != "not-applicable", name


def test_chosen_events_are_kept_with_the_table(tmp_path: Path) -> None:
    events = trace.load(DATA / "trace-cmd-chosen.dat")
    events.write_parquet(tmp_path / "events.parquet")
    again = trace.Events.read_parquet(tmp_path / "events.parquet")
    assert again.recorded == events.recorded == {
        "add", "used", "kick", "notify", "status", "features", "queue"
    }  # fmt: skip


def test_a_register_is_as_wide_as_its_access() -> None:
    """QEMU logs 64 bits for a read of 4 bytes of virtio-mmio's features."""
    features = read_log(DATA / "qemu-7.2-uboot-mmio.log", None).rows.filter(kind="features")
    assert features.select("offered", "acked").rows() == [(0x101_3000_6E54, 0x1_0000_0000)]


@pytest.mark.parametrize(
    "line",
    [
        "12@1700000000.000001:virtio_set_st99@1700000000.000001:virtio_set_status vdev 0x1 val 3",
        "12@1700000000.0000",
        "xx virtqueue_flush vq 0x1 count 1",
        "memory_region_ops_write cpu 0 mr 0x1 addr 0x10 value size 4 name 'virtio-mmio'",
    ],
)
def test_a_line_that_cannot_be_read_is_lost(tmp_path: Path, line: str) -> None:
    log = tmp_path / "qemu.log"
    log.write_text("virtio_set_status vdev 0x1 val 1\n" + line + "\n")
    assert [loss.count for loss in read_log(log, None).losses] == [1]


def test_lines_of_others_are_not_lost(tmp_path: Path) -> None:
    log = tmp_path / "qemu.log"
    log.write_text(
        "qemu-system-x86_64: virtio: zero sized buffers are not allowed\n"
        "12@1700000000.000001:virtio_blk_data_plane_start dataplane 0x1\n"
        "memory_region_ops_read cpu 0 mr 0x1 addr 0x1 value 0x1 size 4 name 'virtio-pci-isr-x'\n"
        "usage: qemu\n"
    )
    assert not read_log(log, None).losses


def failed(path: Path) -> set[str]:
    return set(spec.check(trace.load_log(path)).having("fail"))


def test_a_refused_feature_was_not_cleared() -> None:
    """The driver writes back what it read, and FAILED; see the log."""
    assert failed(DATA / "qemu-7.2-uboot-refused.log") == {"IN-DR-01", "RF-DR-03"}


def test_a_reset_without_a_read(tmp_path: Path) -> None:
    whole = DATA / "qemu-7.2-uboot-mmio.log"
    assert failed(whole) == {"IN-DR-01", "MI-DR-06", "ST-DR-01"}
    unread = tmp_path / "unread.log"
    lines = whole.read_text().splitlines(keepends=True)
    gone = "addr 0x10001070 value 0x0 size 4"
    unread.write_text("".join(t for t in lines if not ("ops_read" in t and gone in t)))
    assert failed(unread) == {"IN-DR-01", "MI-DR-06", "ST-DR-01", "RS-DR-01"}
    # What drives a device from power-on, before a driver that the capture names, is firmware.
    seabios = spec.check(trace.load_log(DATA / "qemu-7.2-seabios.log"))
    assert set(seabios.having("waived")) == {"IN-DR-01", "RS-DR-01", "PM-DR-05"}
