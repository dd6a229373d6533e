# SPDX-License-Identifier: GPL-2.0-only
"""Registers by name: what offsets mean, and which queue an access belongs to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from pykit.trace.qemu import read_log
from pykit.trace.register_map import STRUCTURES, is_legacy_mmio, named, names_of

DATA = Path(__file__).parents[1] / "data"


def _registers(log: str, *columns: str) -> list[tuple[object, ...]]:
    rows = read_log(DATA / log, None).rows
    return rows.filter(kind="register", source="registers").select(columns).rows()


def test_registers_do_not_overlap() -> None:
    for registers in STRUCTURES.values():
        bytes_ = [set(range(r.offset, r.offset + min(r.size, 8))) for r in registers]
        assert sum(map(len, bytes_)) == len(set.union(*bytes_))


def test_bytes_of_registers() -> None:
    offsets = np.array([0x00, 0x03, 0x15, 0x24, 0x3F, 0x40])
    assert names_of("common", offsets) == [
        "device_feature_select", "device_feature_select", "generation", "queue_desc_high",
        "admin_queue_num", "reserved",
    ]  # fmt: skip
    assert names_of("mmio", np.array([0x28, 0x44])) == ["reserved", "queue_enable"]
    assert names_of("mmio-legacy", np.array([0x28, 0x44])) == ["page_size", "reserved"]


def test_queue_of_the_last_selection() -> None:
    rows = (
        ("common", 0x18, 4, 0),
        ("common", 0x16, 3, 1),
        ("common", 0x18, 4, 0),
        ("common", 0x12, 4, 0),
        ("notify", 8, 2, 1),
        ("common", 0x14, 0, 1),
        ("common", 0x1C, 1, 1),
    )
    frame = pl.DataFrame(
        [(1, *row) for row in rows],
        schema=["dev", "structure", "offset", "value", "write"],
        orient="row",
    )
    assert named(frame, "dev")["vq"].to_list() == [None, None, 3, None, 2, None, None]


def test_version_decides_what_an_mmio_device_is() -> None:
    assert is_legacy_mmio({1}, {0x44})
    assert not is_legacy_mmio({2}, {0x28})
    assert is_legacy_mmio(set(), {0x10, 0x40})
    assert not is_legacy_mmio(set(), {0x10, 0x40, 0x44})


def test_modern_log() -> None:
    """By hand from the log: the queue that SeaBIOS sets up."""
    seen = _registers("qemu-7.2-seabios.log", "structure", "register", "vq", "value", "write")
    assert seen[0] == ("common", "status", None, 0, 1)
    assert ("common", "queue_enable", 0, 1, 1) in seen
    assert {row[0] for row in seen} == {"common", "config"}
    assert not any(row[1] == "reserved" for row in seen)


def test_legacy_log() -> None:
    seen = _registers("qemu-7.2-uboot-legacy.log", "structure", "register", "vq", "size")
    assert ("legacy", "queue_pfn", 0, 4) in seen
    assert ("config", "config", None, 1) in seen


def test_mmio_log() -> None:
    """The device has version 2, by its register."""
    seen = _registers("qemu-7.2-uboot-mmio.log", "structure", "register", "value")
    assert ("mmio", "version", 2) in seen
    assert ("mmio", "magic", 0x74726976) in seen
    # QEMU logs more than the four bytes that the guest got.
    assert max(row[2] for row in seen if row[1] == "device_feature") < 1 << 32
