# SPDX-License-Identifier: GPL-2.0-only
"""What a capture lacks: counted, with one line each that says where."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from pykit.trace.errors import DamageError
from pykit.trace.pages import CpuFile, Pages
from pykit.trace.records import Records

#: Lines of one kind before the rest is only counted: a broken disk gives thousands.
_LINES = 8


@dataclass(frozen=True)
class Loss:
    """Some events that are not there: how many at least, and where."""

    count: int
    line: str


def stats_losses(files: Sequence[CpuFile], pages: Pages, records: Records) -> list[Loss]:
    """Losses by the kernel's own count, ``per_cpu/cpu*/stats``.

    Overrun (overwritten) and dropped events, and events that the kernel has
    counted but the raw file does not hold: a file cut at a page's edge shows
    only here.
    """
    decoded = np.bincount(records.owner, minlength=len(files))
    losses = []
    for index, file in enumerate(files):
        if file.stats is None:
            losses.append(
                Loss(1, f"{file.path}: no stats, so losses of CPU {file.cpu} are unknown")
            )
            continue
        stats = {
            key.strip(): int(value)
            for key, value in re.findall(
                r"^([a-z ]+):\s*([0-9]{1,20})\s*$", file.stats, re.MULTILINE
            )
        }
        absent = [key for key in ("entries", "overrun", "dropped events") if key not in stats]
        if absent:
            losses.append(
                Loss(1, f"CPU {file.cpu}: stats without {absent[0]!r}, losses are unknown")
            )
            continue
        for key in ("overrun", "commit overrun", "dropped events"):
            if stats.get(key):
                losses.append(Loss(stats[key], f"CPU {file.cpu}: {stats[key]} by {key}"))
        short = stats["entries"] + stats.get("read events", 0) - int(decoded[index])
        if short > 0:
            losses.append(
                Loss(short, f"CPU {file.cpu}: {short} counted by the kernel, not in {file.path}")
            )
    return losses


def page_losses(pages: Pages) -> list[Loss]:
    """Losses that page headers tell: events lost before a page."""
    losses = []
    for page in np.flatnonzero(pages.missed):
        path, cpu, number, _ = pages.place(int(page) * pages.layout.page_size)
        missed = int(pages.missed[page])
        what = str(missed) if missed > 0 else "an unknown number"
        losses.append(Loss(max(missed, 1), f"CPU {cpu}: {what} lost before page {number} ({path})"))
    return shorten(losses)


def damage_losses(damage: Iterable[DamageError]) -> list[Loss]:
    """One loss a malformation; how many events it cost cannot be known."""
    groups: dict[type[DamageError], list[Loss]] = {}
    for error in damage:
        groups.setdefault(type(error), []).append(Loss(1, str(error)))
    return [loss for group in groups.values() for loss in shorten(group)]


def shorten(losses: list[Loss]) -> list[Loss]:
    """The first lines; the rest as one."""
    if len(losses) <= _LINES:
        return losses
    rest = losses[_LINES:]
    return [
        *losses[:_LINES],
        Loss(sum(loss.count for loss in rest), f"… and {len(rest)} more like the last one"),
    ]


def gap_losses(rows: pl.DataFrame) -> list[Loss]:
    """Gaps in ``seq`` of every virtqueue.

    The counter runs 1, 2, 3… from a queue's set-up over all its events, so
    what is missing below the highest number seen is lost. ``rows`` are the
    guest's, in time order.
    """
    counted = rows.filter(pl.col("seq").is_not_null() & pl.col("vq").is_not_null())
    if counted.is_empty():
        return []
    queue = ["source", "dev", "vq"]
    set_up = ((pl.col("kind") == "queue") & (pl.col("op") == 0)).fill_null(False)
    starts = ((pl.col("seq") == 1) | set_up).cast(pl.UInt32)
    spans = counted.select(*queue, "seq", starts.cum_sum().over(queue).alias("span"))
    span = [*queue, "span"]
    # 1 to n, each once: nothing to look at in nearly all cases.
    whole = (pl.col("seq").max() == pl.len()) & (pl.col("seq").n_unique() == pl.len())
    torn = spans.group_by(span).agg(whole.alias("whole")).filter(~pl.col("whole"))
    steps = (
        spans.join(torn, on=span, how="semi")
        .sort(*span, "seq")
        .with_columns(pl.col("seq").cast(pl.Int64))
        .with_columns(pl.col("seq").diff().over(span).fill_null(pl.col("seq")).alias("step"))
    )
    losses = []
    for row in steps.filter(pl.col("step") != 1).iter_rows(named=True):
        where = f"{row['source']}, device {row['dev']}, queue {row['vq']}"
        step, seq = row["step"], row["seq"]
        if step == 0:
            losses.append(Loss(1, f"{where}: seq {seq} twice"))
        else:
            losses.append(Loss(step - 1, f"{where}: seq {seq - step + 1} to {seq - 1} missing"))
    return shorten(losses)


def total(losses: Iterable[Loss]) -> int:
    """All counts together: an upper bound, since two observers may count the same loss."""
    return sum(loss.count for loss in losses)
