# SPDX-License-Identifier: GPL-2.0-only
"""Assign a guest's events to devices, where the guest reuses a device number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from pykit.trace.capture import Plug
from pykit.trace.frames import Frames
from pykit.trace.kinds import INSIDE

_BEGIN = 0


def number_guest(frames: Frames, plugs: Sequence[Plug]) -> Frames:
    """Number ``dev`` of the events of each inside observer by the order of the plugs.

    A driver that begins with a device (stage 0) begins with the oldest one that was plugged
    by then and that nothing began with yet; else with the one that had its number last.
    Numbers that no plugged device had (the guest's own virtio devices) follow behind.
    Without ``plugs`` they stay as they are. ``frames`` are in time order.
    """
    rows = frames.base
    if not plugs or not rows.height:
        return frames
    begins = frames.of("driver")
    begins = begins.filter(stage=_BEGIN) if begins.height else begins
    for source in INSIDE:
        rows = _number(rows, begins.filter(source=source), source, plugs)
    return replace(frames, base=rows)


def _number(
    rows: pl.DataFrame, begins: pl.DataFrame, source: str, plugs: Sequence[Plug]
) -> pl.DataFrame:
    driver = (rows["source"] == source).fill_null(False).to_numpy()
    number = rows["dev"].fill_null(0).cast(pl.Int64).to_numpy()
    new = number.copy()
    waiting = list(enumerate(plugs))
    starts: dict[int, list[tuple[int, int]]] = {}
    for at, ts, dev in begins.select("row", "ts", "dev").iter_rows():
        if waiting and waiting[0][1].guest_ns <= ts:
            starts.setdefault(dev, []).append((at, waiting.pop(0)[0]))
    for dev in np.unique(number[driver]):
        mine = np.flatnonzero(driver & (number == dev))
        if dev not in starts:
            new[mine] = len(plugs) + dev
            continue
        where, ordinals = zip(*starts[dev], strict=True)
        # What stands before the first beginning is of that device, too.
        segment = np.maximum(np.searchsorted(where, mine, side="right") - 1, 0)
        new[mine] = np.array(ordinals)[segment]
    column = pl.Series("dev", new).cast(rows.schema["dev"])
    return rows.with_columns(
        pl.when(pl.Series(driver)).then(column).otherwise(pl.col("dev")).alias("dev")
    )
