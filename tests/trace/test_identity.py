# SPDX-License-Identifier: GPL-2.0-only
"""Devices that were given a number, or a place in QEMU's memory, of one that had gone."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from pykit.trace.capture import Plug
from pykit.trace.frames import Frames
from pykit.trace.identity import number_guest
from pykit.trace.qemu import read_log

PLUGS = (Plug("vd0", 1000, 10_000_000_000), Plug("vd1", 5000, 20_000_000_000))


def rows(*entries: tuple[int, int, int | None]) -> Frames:
    """(ts, the guest's number, stage of a driver event or None for any other)."""
    table = pl.DataFrame(
        {
            "row": pl.Series(range(len(entries)), dtype=pl.UInt32),
            "ts": [ts for ts, _, _ in entries],
            "source": ["driver"] * len(entries),
            "kind": ["add" if stage is None else "driver" for _, _, stage in entries],
            "dev": pl.Series([dev for _, dev, _ in entries], dtype=pl.UInt32),
            "stage": [stage for _, _, stage in entries],
        }
    )
    return Frames.split(table, {"driver": ["stage"], "add": []}, {"stage": pl.Int64})


def test_a_number_used_twice_is_two_devices() -> None:
    table = rows(
        (1100, 3, 0), (1200, 3, None), (1300, 3, 4),  # vd0
        (1400, 3, 0), (1500, 3, None), (1600, 3, 4),  # vd0, bound again
        (5100, 3, 0), (5200, 3, None), (5300, 3, 4),  # vd1
    )  # fmt: skip
    assert number_guest(table, PLUGS).base["dev"].to_list() == [0] * 6 + [1] * 3


def test_two_devices_at_once_keep_apart() -> None:
    table = rows((1100, 3, 0), (5100, 4, 0), (5200, 3, None), (5300, 4, None), (5400, 3, 4))
    assert number_guest(table, PLUGS).base["dev"].to_list() == [0, 1, 0, 1, 0]


def test_devices_that_nobody_plugged_follow_behind() -> None:
    table = rows((900, 7, 0), (1100, 3, 0), (1200, 7, None))
    assert number_guest(table, PLUGS).base["dev"].to_list() == [9, 0, 9]


def test_without_plugs_nothing_changes() -> None:
    table = rows((1100, 3, 0))
    assert number_guest(table, ()) is table


def test_a_pointer_used_twice_is_two_devices(tmp_path: Path) -> None:
    log = tmp_path / "qemu.log"
    status = "1@{}:virtio_set_status vdev 0x10 val {}"
    notify = "1@{}:virtio_queue_notify vdev 0x10 n 0 vq 0x20"
    lines = [
        status.format("9.500000", 0),  # somebody's, before the first plug
        status.format("10.000001", 0), status.format("10.1", 3), notify.format("10.2"),
        status.format("20.000001", 0), status.format("20.1", 3), notify.format("20.2"),
    ]  # fmt: skip
    log.write_text("\n".join(line.replace(".1:", ".100000:").replace(".2:", ".200000:")
                             for line in lines) + "\n")  # fmt: skip
    decoded = read_log(log, [0, 1], [plug.host_ns for plug in PLUGS])
    assert decoded.losses == ()
    assert decoded.rows["dev"].to_list() == [0, 0, 0, 1, 1, 1]
    assert decoded.rows["life"].to_list() == [0, 0, 0, 0, 0, 0]
