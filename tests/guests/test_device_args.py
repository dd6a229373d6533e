# SPDX-License-Identifier: GPL-2.0-only
"""Commands that plug a device, and those that remove what is behind it."""

from __future__ import annotations

from pathlib import Path

from pykit.guests.device_args import forget, plug
from pykit.scenario.model import Device


def test_a_slow_disk_is_removed_as_it_was_made(tmp_path: Path) -> None:
    device = Device("vd0", "virtio-blk-pci", 1, {}, backing="slow", iothread=True)
    made = plug(device, "bus", tmp_path)
    assert [name for name, _ in made] == ["object-add", "blockdev-add", "object-add", "device_add"]
    group, disk, thread, _ = (arguments for _, arguments in made)
    assert disk["file"]["throttle-group"] == group["id"]
    assert thread["poll-max-ns"] > 10**9 // group["limits"]["iops-total"]
    removed = [("blockdev-del", disk["node-name"]), ("object-del", group["id"])]
    assert [(name, *arguments.values()) for name, arguments in forget(device)] == [
        *removed,
        ("object-del", thread["id"]),
    ]
