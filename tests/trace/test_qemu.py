# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import time
from pathlib import Path

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pykit.trace.qemu import read_log

FUZZ = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
VDEV, OTHER = 0x5566F207D600, 0x5566F2080000
VQ0, VQ1, FOREIGN = 0x7F0000001000, 0x7F0000001098, 0x7F0000009000


def log_of(folder: Path, *lines: str, end: str = "\n") -> Path:
    path = folder / "qemu.log"
    stamped = [f"77@1795397529.{at:06d}:{line}" for at, line in enumerate(lines)]
    path.write_text("\n".join(stamped) + end)
    return path


def status(vdev: int, value: int) -> str:
    return f"virtio_set_status vdev {vdev:#x} val {value}"


def notify(vdev: int, number: int, vq: int) -> str:
    return f"virtio_queue_notify vdev {vdev:#x} n {number} vq {vq:#x}"


def pop(vq: int, elem: int = 0x10) -> str:
    return f"virtqueue_pop vq {vq:#x} elem {elem:#x} in_num 1 out_num 1"


def fill(vq: int, ahead: int, elem: int = 0x10) -> str:
    return f"virtqueue_fill vq {vq:#x} elem {elem:#x} len 513 idx {ahead}"


def flush(vq: int, count: int) -> str:
    return f"virtqueue_flush vq {vq:#x} count {count}"


def test_real_log(firmware_log: Path) -> None:
    """By hand from the log: resets, one life, one read of sector 0."""
    result = read_log(firmware_log, [0])
    assert result.losses == ()
    rows = result.rows
    assert rows["kind"].to_list() == [
        *["dev_status"] * 12,
        *["dev_kick"] * 2,
        *["dev_pop", "dev_blk_start", "dev_blk_done", "dev_fill", "dev_flush"],
        "dev_status",
    ]
    assert rows["ts"][0] == 1795397529_900356000
    assert rows["pid"].to_list()[:3] == [5617, 5617, 5619]
    assert rows["life"].to_list() == [None] * 8 + [0] * 12
    statuses = rows.filter(pl.col("kind") == "dev_status")["status"].to_list()
    assert statuses == [0] * 9 + [3, 11, 15, 15]
    start = rows.row(by_predicate=pl.col("kind") == "dev_blk_start", named=True)
    assert (start["sector"], start["sectors"], start["type"]) == (0, 1, 0)
    filled = rows.row(by_predicate=pl.col("kind") == "dev_fill", named=True)
    assert (filled["elem"], filled["len"]) == (0x55678C309EC0, 513)
    assert (filled["vq"], filled["index"]) == (0, 0)
    popped = rows.row(by_predicate=pl.col("kind") == "dev_pop", named=True)
    assert (popped["in_num"], popped["out_num"], popped["avail_idx"]) == (2, 1, 1)
    assert rows["dev"].unique().to_list() == [0]


def test_without_times(tmp_path: Path) -> None:
    path = tmp_path / "qemu.log"
    path.write_text(f"{status(VDEV, 0)}\n{status(VDEV, 3)}\n")
    rows = read_log(path, [0]).rows
    assert rows["status"].to_list() == [0, 3]
    assert rows["ts"].null_count() == rows["pid"].null_count() == 2


def test_a_time_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "qemu.log"
    path.write_text(f"7@9999999999.000000:{status(VDEV, 0)}\n{status(VDEV, 3)}\n")
    result = read_log(path, [0])
    assert result.rows["status"].to_list() == [3]
    assert [loss.count for loss in result.losses] == [1]


def test_devices_and_queues(tmp_path: Path) -> None:
    path = log_of(
        tmp_path,
        notify(0xABC0, 0, FOREIGN),  # a device that was there before, and is not ours
        pop(FOREIGN),
        status(VDEV, 0),
        status(VDEV, 3),
        status(OTHER, 0),
        pop(VQ1),  # named only by the next line
        notify(VDEV, 1, VQ1),
        notify(OTHER, 0, VQ0),
        pop(VQ0),
        f"virtio_notify vdev {OTHER:#x} vq {VQ0:#x}",
        f"virtio_notify_irqfd vdev {VDEV:#x} vq {VQ1:#x}",
        f"virtio_notify_irqfd_deferred_fn vdev {VDEV:#x} vq {VQ1:#x}",
        status(0xABC0, 0),  # the third device: the capture has two
    )
    result = read_log(path, [4, 7])
    assert result.losses == ()
    assert result.rows.select("kind", "dev", "vq").rows() == [
        ("dev_status", 4, None),
        ("dev_status", 4, None),
        ("dev_status", 7, None),
        ("dev_pop", 4, 1),
        ("dev_kick", 4, 1),
        ("dev_kick", 7, 0),
        ("dev_pop", 7, 0),
        ("dev_signal", 7, 0),
        ("dev_signal", 4, 1),
        ("dev_signal", 4, 1),
    ]


def test_a_pointer_that_serves_twice(tmp_path: Path) -> None:
    path = log_of(
        tmp_path,
        status(VDEV, 3),
        notify(VDEV, 0, VQ0),
        pop(VQ0),
        status(OTHER, 3),
        notify(OTHER, 2, VQ0),
        pop(VQ0),
    )
    pops = read_log(path, [0, 1]).rows.filter(pl.col("kind") == "dev_pop")
    assert pops.select("dev", "vq", "avail_idx").rows() == [(0, 0, 1), (1, 2, 1)]


def added(number: int) -> str:
    return (
        f"virtio_ccw_new_device VIRTIO-CCW: add subchannel fe.0.{number:04x}, devno 0x0000 (auto)"
    )


def command(number: int, code: int) -> str:
    return f"virtio_ccw_interpret_ccw VIRTIO-CCW: fe.0.{number:04x}: interpret command {code:#x}"


def test_commands_on_channel_io(tmp_path: Path) -> None:
    """Two devices at once; then the first one's subchannel is another device's."""
    path = log_of(
        tmp_path,
        command(2, 0x22),  # of a device that was there before
        added(0), status(VDEV, 0), added(1), status(OTHER, 0),
        command(0, 0x83), command(1, 0x12), command(0, 0x33), status(VDEV, 0),
        command(1, 0x31), status(OTHER, 3), command(0, 0x31), status(VDEV, 3),
        command(0, 0x33), status(VDEV, 0), command(0, 0x73),
        added(0), command(0, 0x83), command(0, 0x31), status(FOREIGN, 1),
    )  # fmt: skip
    log = read_log(path, [0, 1, 2])
    assert log.losses == ()
    rows = log.rows.filter(pl.col("kind") == "dev_command").select("dev", "number", "command")
    assert rows.rows() == [
        (0, 0, 0x83), (1, 0, 0x12), (0, 1, 0x33), (1, 1, 0x31), (0, 2, 0x31), (0, 3, 0x33),
        (0, 4, 0x73), (2, 0, 0x83), (2, 1, 0x31),
    ]  # fmt: skip


def test_running_indices_per_life(tmp_path: Path) -> None:
    life = [
        status(VDEV, 0),
        status(VDEV, 3),
        notify(VDEV, 0, VQ0),
        pop(VQ0),
        pop(VQ0),
        fill(VQ0, 0),
        fill(VQ0, 1),
        flush(VQ0, 2),
        fill(VQ0, 0),
        flush(VQ0, 1),
    ]
    rows = read_log(log_of(tmp_path, *life, status(VDEV, 0), *life), [0]).rows
    pops = rows.filter(pl.col("kind") == "dev_pop")
    assert pops.select("life", "avail_idx").rows() == [(0, 1), (0, 2), (1, 1), (1, 2)]
    fills = rows.filter(pl.col("kind") == "dev_fill")
    assert fills.select("life", "index").rows() == [(k, i) for k in (0, 1) for i in (0, 1, 2)]
    assert rows.filter(pl.col("life").is_null())["status"].to_list() == [0]


def test_indices_wrap(tmp_path: Path) -> None:
    path = log_of(
        tmp_path, status(VDEV, 3), notify(VDEV, 0, VQ0), flush(VQ0, 65535), fill(VQ0, 1), pop(VQ0)
    )
    assert read_log(path, [0]).rows["index"].drop_nulls().to_list() == [0]


def test_damage_is_counted(tmp_path: Path) -> None:
    path = log_of(
        tmp_path,
        status(VDEV, 0),
        "virtio_set_status vdev 0x12 val 300",
        "virtqueue_pop vq 0x10",
        "virtio_pci_notify_write 0x0 2 bytes",
        "qemu: something else",
        "virtio_set_status vdev 0x",
        pop(0x99),
        end="",
    )
    path.write_text(path.read_text() + "\nsome text of the firmware\n77@12:virtio_set_st")
    result = read_log(path, [0])
    assert [loss.count for loss in result.losses] == [1, 3, 1]
    assert "torn" in result.losses[0].line
    assert "the first is 2" in result.losses[1].line
    assert result.rows["status"].to_list() == [0]


def test_null_pointer(tmp_path: Path) -> None:
    path = log_of(
        tmp_path,
        status(VDEV, 3),
        f"virtio_blk_req_complete vdev {VDEV:#x} req (nil) status 0",
    )
    assert read_log(path, [0]).rows["elem"].to_list() == [None, 0]


def test_empty_log(tmp_path: Path) -> None:
    path = tmp_path / "qemu.log"
    path.write_text("")
    result = read_log(path, [0])
    assert (result.rows.height, result.losses) == (0, ())
    assert result.rows.schema["vq"] == pl.UInt16


@FUZZ
@given(st.data())
def test_mutated_log(tmp_path: Path, firmware_log: Path, data: st.DataObject) -> None:
    raw = bytearray(firmware_log.read_bytes())
    for _ in range(data.draw(st.integers(1, 20))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "qemu.log"
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    assert read_log(path, [0]).rows.height <= 24


def test_speed(tmp_path: Path, firmware_log: Path) -> None:
    """100,000 lines in far less than a hung pattern would take."""
    path = tmp_path / "qemu.log"
    path.write_text(firmware_log.read_text() * 4200)
    start = time.process_time()
    read_log(path, [0])
    assert time.process_time() - start < 5
