# SPDX-License-Identifier: GPL-2.0-only
"""Lives of a device: from one reset to the next, numbered by those that have a driver.

The device side sees every reset, and numbers the spans between them in which
the DRIVER bit was written, or one that comes after it. The driver's own
tracepoints begin when the driver is called, after the virtio core has written
that bit: there a life begins at stage 0, or at the reset before such a bit
that is written again (restore after freeze). Stage 0 again begins a new life if the driver had
written FAILED and that is gone. What follows a life's last reset
(queue deletion) still belongs to it, up to stage 4. So the k-th life is the
same one on both sides.

The probe may be absent, and miss the end of a life and the lives after it. What it sees later
counts as a new life, whether it joins a bound driver (stage 7) or sees one begin. ``returned``
then finds out which of the device's lives that is.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl

from pykit.trace.frames import Frames
from pykit.trace.kinds import BY, INSIDE, JOINED, LEFT
from pykit.trace.pages import Array

#: DRIVER, DRIVER_OK, FEATURES_OK: a faulty driver may leave one out.
DRIVER_BITS = 2 | 4 | 8
_FAILED_BIT = 0x80
_BEGIN, _FAILED, _REMOVED, _JOINED = 0, 2, 4, 7
_WRITE, _RESET = 0, 2
#: Observers that may come to a driver which is bound already.
WATCHERS = tuple(BY.values())


def device_lives(rows: pl.DataFrame) -> pl.DataFrame:
    """Add ``span`` (u32, resets so far of the device) and ``life`` to QEMU's rows, in log order.

    ``rows`` has ``dev``, ``kind`` and ``status``.
    """
    status = pl.col("kind") == "dev_status"
    reset = (status & (pl.col("status") == 0)).fill_null(False)
    rows = rows.with_columns(reset.cast(pl.UInt32).cum_sum().over("dev").alias("span"))
    driven = (
        rows.filter(status & (pl.col("status") & DRIVER_BITS != 0))
        .select("dev", "span")
        .unique()
        .sort("dev", "span")
        .with_columns((pl.int_range(pl.len(), dtype=pl.UInt32).over("dev")).alias("life"))
    )
    return rows.join(driven, on=["dev", "span"], how="left", maintain_order="left")


def guest_lives(frames: Frames) -> pl.Series:
    """Return ``life`` (u32) of the guest's events, in time order.

    A vhost back-end's life counts the starts of each queue, which is where
    its ``seq`` is 1 again.
    """
    rows = frames.base
    life: Array = np.full(rows.height, -1, dtype=np.int32)
    events = frames.of("driver", "status")
    for source in INSIDE:
        marks = events.filter(pl.col("source") == source)
        for (device,), group in marks.group_by("dev", maintain_order=True):
            seen = (rows["source"] == source) & (rows["dev"] == device)
            mine = seen.fill_null(False).to_numpy()
            bounds = [*_bounds(group, source), (rows.height, -1)]
            for (start, number), (end, _) in pairwise(bounds):
                np.copyto(life[start:end], number, where=mine[start:end])
    vhost = rows.filter((pl.col("source") == "vhost") & pl.col("vq").is_not_null())
    if vhost.height:
        begun = (pl.col("seq") == 1).cast(pl.Int64).cum_sum().over("dev", "vq") - 1
        found = vhost.select("row", begun.clip(0).alias("life"))
        life[found["row"].to_numpy()] = found["life"].to_numpy()
    frame = pl.DataFrame({"life": life})
    return frame.select(pl.when(pl.col("life") >= 0).then("life").cast(pl.UInt32))["life"]


def absences(frames: Frames) -> pl.DataFrame:
    """Return ``dev`` and ``row`` of each join or leave of an observer."""
    queues, drivers = frames.of("queue"), frames.of("driver")
    if queues.height:
        queues = queues.filter(pl.col("op").is_in((JOINED, LEFT)))
    if drivers.height:
        drivers = drivers.filter(pl.col("stage") == _JOINED)
    return pl.concat([queues.select("dev", "row"), drivers.select("dev", "row")])


def returned(frames: Frames) -> pl.Series:
    """Return ``life`` of all events, with lives after an absence numbered as the device's.

    ``frames`` have one ``time``. The middle of the observer's life decides which life of the device
    it is. Without a common time it gets a number that no life in QEMU's log has.
    """
    rows = frames.base
    life = rows["life"]
    since = absences(frames).group_by("dev").agg(pl.col("row").min().alias("since"))
    statuses = frames.of("dev_status")
    if since.is_empty() or statuses.is_empty():
        return life
    begun = (
        statuses.filter(pl.col("status") & DRIVER_BITS != 0, pl.col("life").is_not_null())
        .group_by("dev", "life")
        .agg(pl.col("time").min())
    )
    mine = (
        rows.filter(pl.col("source").is_in(WATCHERS) & pl.col("life").is_not_null())
        .group_by("dev", "life")
        .agg(
            pl.col("row").min().alias("first"),
            ((pl.col("time").min() + pl.col("time").max()) // 2).alias("middle"),
        )
        .join(since, on="dev")
        .filter(pl.col("first") >= pl.col("since"))
    )
    numbers: dict[tuple[int, int], int] = {}
    for dev, number, middle in mine.select("dev", "life", "middle").iter_rows():
        starts = begun.filter(dev=dev)["time"]
        if not len(starts):
            continue
        if starts.null_count():
            numbers[dev, number] = len(starts) + number
        else:
            numbers[dev, number] = max(int((starts <= middle).sum()), 1) - 1
    if not numbers:
        return life
    settled = pl.DataFrame(
        [(*key, number) for key, number in numbers.items()],
        schema={"dev": pl.UInt32, "life": pl.UInt32, "settled": pl.UInt32},
        orient="row",
    )
    return (
        rows.select("dev", "life", "source")
        .join(settled, on=["dev", "life"], how="left", maintain_order="left")
        .select(
            pl.when(pl.col("source").is_in(WATCHERS) & pl.col("settled").is_not_null())
            .then("settled")
            .otherwise("life")
            .alias("life")
        )["life"]
    )


def _bounds(marks: pl.DataFrame, source: str) -> list[tuple[int, int]]:
    """Return one device's lives as (position, the life from there on or -1)."""
    bounds: list[tuple[int, int]] = []
    lives = 0
    reset: int | None = None
    bound = failed = False
    columns = ("row", "kind", "stage", "op", "status")
    # A trace may lack one of the two kinds.
    marks = marks.select(
        pl.col(name) if name in marks.columns else pl.lit(None).alias(name) for name in columns
    )
    for at, kind, stage, op, status in marks.iter_rows():
        start: int | None = None
        if kind == "driver" and stage == _BEGIN and failed and _was_reset(marks, at):
            bound = False
        if kind == "status" and op in (_WRITE, _RESET):
            failed = bool(status & _FAILED_BIT)
        if kind == "driver":
            # Our driver traces its beginning in validate and in probe, the probe traces it once.
            new = stage == _JOINED or (stage == _BEGIN and (source != "driver" or not bound))
            start = at if new else None
            bound = stage not in (_FAILED, _REMOVED)
            if stage == _REMOVED:
                bounds.append((at + 1, -1))
        elif op == _RESET or (op == _WRITE and status == 0):
            reset = at
        elif op == _WRITE and status & DRIVER_BITS and (reset is not None or not lives):
            start, bound = at if reset is None else reset, True
        if start is not None:
            bounds.append((start, lives))
            lives += 1
            reset = None
    return bounds


def _was_reset(marks: pl.DataFrame, begin: int) -> bool:
    """Return whether a device that a driver gave up was reset before the next one began there.

    Nothing traces a reset while there is no driver; but FAILED is gone from the status.
    """
    later = marks.filter((pl.col("row") > begin) & (pl.col("kind") == "status"))
    return bool(later.height) and not later["status"][0] & _FAILED_BIT
