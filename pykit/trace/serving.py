# SPDX-License-Identifier: GPL-2.0-only
"""Join vhost back-ends with the virtio devices of the same guest that they serve."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from pykit.trace.frames import Frames
from pykit.trace.kinds import INSIDE


def join_vhost(frames: Frames, numbers: pl.Series) -> Frames:
    """Give events of vhost back-ends ``dev`` and ``life`` of the device that is served.

    ``frames`` are the guest's in time order, with ``dev`` and ``life`` of its drivers settled;
    ``numbers`` are the devices' as the guest has them. ``vhost_attach`` says that from there
    on an instance serves the virtio device of such a number; the driver's life of that time
    is the back-end's, too, so that both sides of a queue have one name. Where any instance
    serves a device, those that serve none are numbered behind all devices.
    """
    rows, marks = frames.base, frames.of("vhost_attach")
    marks = marks.filter(ended=0) if marks.height else marks
    if not marks.height:
        return frames
    inside = rows["source"].is_in(INSIDE) & rows["life"].is_not_null()
    places = np.flatnonzero(inside.to_numpy())
    owner = numbers.to_numpy()[places]
    dev = rows["dev"].cast(pl.Int64).fill_null(-1).to_numpy().copy()
    life = rows["life"].cast(pl.Int64).fill_null(-1).to_numpy().copy()
    vhost = (rows["source"] == "vhost").to_numpy()
    behind = int(dev[~vhost].max(initial=-1)) + 1
    instance = numbers.fill_null(0).cast(pl.Int64).to_numpy()
    dev[vhost] = behind + instance[vhost]
    for (number,), group in marks.group_by("dev", maintain_order=True):
        mine = np.flatnonzero(vhost & (instance == number))
        starts, served = group["row"].to_numpy(), group["serves"].to_numpy()
        segment = np.searchsorted(starts, mine, side="right") - 1
        for k in range(len(starts)):
            before = places[(owner == served[k]) & (places < starts[k])]
            if len(before):
                joined = mine[segment == k]
                dev[joined], life[joined] = dev[before[-1]], life[before[-1]]
    frame = pl.DataFrame({"dev": dev, "life": life})
    settled = rows.with_columns(
        pl.when(frame[name] >= 0).then(frame[name]).cast(rows.schema[name]).alias(name)
        for name in ("dev", "life")
    )
    return replace(frames, base=settled)
