# SPDX-License-Identifier: GPL-2.0-only
"""Accesses to one of several structures of a type, in QEMU's log."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from pykit import pci
from pykit.trace import structures
from pykit.trace.capture import Plug
from pykit.trace.survey import Survey, read_survey
from tests.pci import space, vendor

CONFIG = space(
    [
        (0x40, vendor(pci.NOTIFY_CFG, bar=2, length=4, following=0x58)),
        (0x58, vendor(pci.NOTIFY_CFG, offset=0x3000, following=0x70)),
        (0x70, vendor(pci.COMMON_CFG)),
    ],
    bars=(0, 0, 0xC001, 0, 0xFE80000C, 1),
)
REGIONS = [
    {"bar": 2, "size": 4, "io": True, "wide": False},
    {"bar": 4, "size": 16384, "io": False, "wide": True},
]
LINE = "7@{}.000000:memory_region_ops_{} cpu 0 mr 0x1 addr {:#x} value {:#x} size 2 name '{}'"
PORTS, MEMORY, COMMON = (
    f"virtio-pci-{name}-virtio-blk" for name in ("notify-pio", "notify", "common")
)


def survey(folder: Path, *readings: dict[str, Any]) -> Survey:
    place = {"begin_ns": 1, "end_ns": 2, "transport": "pci", "place": "01:00.0", "reads": []}
    place |= {"at": "end", "config": CONFIG.hex(), "regions": REGIONS}
    whole = {"schema": 1, "readings": [place | reading for reading in readings], "missed": []}
    (folder / "survey.json").write_text(json.dumps(whole))
    read = read_survey(folder)
    assert read is not None
    return read


def test_both_are_named(tmp_path: Path) -> None:
    lines = [
        LINE.format(1, "write", 0xC000, 1, PORTS),
        LINE.format(1, "write", 0x1FE803004, 0x10001, MEMORY),
        LINE.format(1, "write", 0x1FE800014, 1, COMMON),
        LINE.format(1, "write", 0x1FE804000, 1, MEMORY),
        "7@1.000000:virtio_queue_notify vdev 0x1 n 0 vq 0x2",
    ]
    rows = structures.accesses(lines, survey(tmp_path, {"device": "vd0"}), {"vd0": 3}, ())
    columns = ("dev", "cfg_type", "pos", "offset", "value", "size", "write")
    assert rows.select(columns).rows() == [(3, 2, 0x40, 0, 1, 2, 1), (3, 2, 0x58, 4, 1, 2, 1)]


def test_one_device_after_the_other_at_a_place(tmp_path: Path) -> None:
    lines = [LINE.format(second, "write", 0xC000, 0, PORTS) for second in (1, 2, 5)]
    read = survey(tmp_path, {"device": "vd0"}, {"device": "vd1"})
    plugs = [Plug("vd0", 0, 2 * 10**9), Plug("vd1", 0, 4 * 10**9)]
    rows = structures.accesses(lines, read, {"vd0": 0, "vd1": 1}, plugs)
    assert rows["dev"].to_list() == [0, 1]


def test_a_device_with_one_of_each(tmp_path: Path) -> None:
    config = bytearray(CONFIG)
    config[0x58 + pci.CAP_TYPE] = pci.ISR_CFG
    struct.pack_into("<I", config, 0x58 + 8, 0x1000)
    read = survey(tmp_path, {"device": "vd0", "config": config.hex()})
    lines = [LINE.format(1, "write", 0xC000, 1, PORTS)]
    assert structures.accesses(lines, read, {"vd0": 0}, ()).is_empty()
