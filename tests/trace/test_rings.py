# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from pykit.observe.ringwatch import ENTRY
from pykit.trace.errors import CaptureError
from pykit.trace.losses import Loss
from pykit.trace.rings import read_rings

#: A device is driven, reset, and driven again.
LOG = pl.DataFrame(
    {
        "ts": [100, 900, 2000],
        "kind": "dev_status",
        "dev": [0, 0, 0],
        "life": [0, 1, 1],
        "status": [15, 0, 15],
    }
)
WATCH = {"device": "vd0", "queue": 1, "size": 4, "set_up_ns": 100, "ended_ns": 900}
SECOND = {**WATCH, "set_up_ns": 2000, "ended_ns": 0}


def capture(folder: Path, entries: list[tuple[Any, ...]], **reported: Any) -> Path:
    np.save(folder / "rings.npy", np.array(entries, ENTRY))
    whole = {"watches": [WATCH, SECOND], "lost": [], **reported}
    (folder / "rings.json").write_text(json.dumps(whole))
    return folder


def test_rows(tmp_path: Path) -> None:
    entries = [
        (100, 200, 3, 0, 0, 65535, 0),
        (200, 300, 3, 512, 0, 65535, 1),
        (2000, 2100, 2, 0, 1, 0, 0),
    ]
    read = read_rings(capture(tmp_path, entries), {"vd0": 0}, LOG)
    assert read.losses == ()
    columns = ("kind", "ts", "dev", "life", "vq", "head", "avail_idx", "id", "len", "index")
    assert read.rows.select(columns).rows() == [
        ("ring_avail", 200, 0, 0, 1, 3, 0, None, None, None),
        ("ring_used", 300, 0, 0, 1, None, None, 3, 512, 65535),
        ("ring_avail", 2100, 0, 1, 1, 2, 1, None, None, None),
    ]


def test_devices_that_are_not_ours(tmp_path: Path) -> None:
    entries = [(100, 200, 3, 0, 0, 0, 0)]
    assert read_rings(capture(tmp_path, entries), {}, LOG).rows.is_empty()


def test_what_moved_until_the_reset_is_lost(tmp_path: Path) -> None:
    """Memory may be somebody else's by then, so what it shows proves nothing."""
    entries = [(100, 200, 3, 0, 0, 0, 0), (850, 950, 7, 0, 0, 1, 0)]
    read = read_rings(capture(tmp_path, entries), {"vd0": 0}, LOG)
    assert read.rows["head"].to_list() == [3]
    assert [loss.count for loss in read.losses] == [1]


def test_losses(tmp_path: Path) -> None:
    lost = [{"watch": 0, "count": 9, "why": "a"}, {"watch": -1, "count": 1, "why": "b"}]
    read = read_rings(capture(tmp_path, [], lost=lost), {"vd0": 0}, LOG)
    path = tmp_path / "rings.npy"
    assert read.losses == (Loss(9, f"{path}: queue 1 of vd0: a"), Loss(1, f"{path}: b"))


def test_damage(tmp_path: Path) -> None:
    folder = capture(tmp_path, [])
    (folder / "rings.json").write_text("{}")
    with pytest.raises(CaptureError):
        read_rings(folder, {"vd0": 0}, LOG)
    capture(tmp_path, [])
    (folder / "rings.npy").write_bytes(b"no")
    with pytest.raises(CaptureError):
        read_rings(folder, {"vd0": 0}, LOG)
