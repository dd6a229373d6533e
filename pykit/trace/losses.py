# SPDX-License-Identifier: GPL-2.0-only
"""Losses of a capture: a count and one line each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numba import njit

from pykit.seal import SealedFile, broken
from pykit.trace.errors import DamageError
from pykit.trace.frames import Frames
from pykit.trace.kinds import JOINED, SET_UP
from pykit.trace.pages import Array, CpuFile
from pykit.trace.walk import PageLoss

#: Losses of one kind that are listed: a broken disk gives thousands.
_LINES = 8
#: Columns that identify a counter ``seq``.
_QUEUE = ("source", "dev", "vq")
#: Numbers of queues that are counted in an array.
_MOST_QUEUES = 1 << 20


@dataclass(frozen=True)
class Loss:
    """Missing events: how many at least, and where."""

    count: int
    line: str


def seal_losses(capture: Path, files: Mapping[str, SealedFile]) -> list[Loss]:
    """Return one loss for each file of a capture that is not as the run wrote it."""
    found = [Loss(entry.records, entry.line) for entry in broken(capture, files)]
    return shorten(found)


def stats_losses(files: Sequence[CpuFile], seen: Sequence[int]) -> list[Loss]:
    """Return losses by the kernel's own count, ``per_cpu/cpu*/stats``.

    Overrun (overwritten) and dropped events, and events that the kernel has
    counted but the raw file does not hold: a file cut at a page's edge shows
    only here. More events than the kernel counted show that its count is damaged, so that
    losses are unknown. ``seen`` are the records that each file holds.
    """
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
        waiting, read = stats["entries"], stats.get("read events", 0)
        # The kernel prints one after the other: what was read between them is counted twice.
        all_between = waiting == read == seen[index]
        short = 0 if all_between else waiting + read - seen[index]
        if short > 0:
            losses.append(
                Loss(short, f"CPU {file.cpu}: {short} counted by the kernel, not in {file.path}")
            )
        elif short < 0:
            losses.append(
                Loss(1, f"CPU {file.cpu}: {-short} more in {file.path} than the kernel counted")
            )
    return losses


def page_losses(files: Sequence[CpuFile], lost: Iterable[PageLoss]) -> list[Loss]:
    """Return losses from page headers: events lost before a page."""
    losses, more = [], 0
    for page in lost:
        file = files[page.cpu]
        what = str(page.count) if page.count > 0 else "an unknown number"
        line = f"CPU {file.cpu}: {what} lost before page {page.page} ({file.path})"
        losses.append(Loss(max(page.count, 1), line))
        more += page.pages - 1
    return shorten(losses, more)


def damage_losses(
    damage: Iterable[DamageError], unlisted: Mapping[type[DamageError], int]
) -> list[Loss]:
    """Return one loss for each malformation; the number of events lost by it is unknown.

    ``unlisted`` are how many more of each class there were.
    """
    groups: dict[type[DamageError], list[Loss]] = {}
    for error in damage:
        groups.setdefault(type(error), []).append(Loss(1, str(error)))
    losses = []
    for kind, group in groups.items():
        more = unlisted.get(kind, 0)
        if more:
            group[-1] = Loss(1 + more, group[-1].line)
        losses += shorten(group, more)
    return losses


def shorten(losses: list[Loss], more: int = 0) -> list[Loss]:
    """Return the first losses, and the others as one; ``more`` is added to their number."""
    if len(losses) <= _LINES:
        return losses
    rest = losses[_LINES:]
    return [
        *losses[:_LINES],
        Loss(sum(loss.count for loss in rest), f"… and {len(rest) + more} more like the last one"),
    ]


def gap_losses(frames: Frames) -> list[Loss]:
    """Return gaps in ``seq`` of each virtqueue.

    The counter runs 1, 2, 3… over all events of a queue from its set-up, or from where its
    observer joined it, so what is missing below the highest number seen is lost. ``frames`` are the
    guest's, in time order.
    """
    setups = frames.own_of("queue")
    setups = setups.filter(pl.col("op").is_in((SET_UP, JOINED))) if setups.height else setups
    begins = np.zeros(frames.base.height, dtype=np.bool_)
    begins[setups["row"].to_numpy()] = True
    if _unbroken(frames.base, begins):
        return []
    counted = frames.base.select(*_QUEUE, "seq").with_columns(begins=pl.Series(begins))
    counted = counted.drop_nulls(("seq", "vq"))
    starts = ((pl.col("seq") == 1) | pl.col("begins")).cast(pl.UInt32)
    spans = counted.select(*_QUEUE, "seq", starts.cum_sum().over(_QUEUE).alias("span"))
    span = [*_QUEUE, "span"]
    steps = (
        spans.sort(*span, "seq")
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


def _unbroken(rows: pl.DataFrame, begins: Array) -> bool:
    """Return whether each queue counts 1, 2, 3… in the order of the rows, as nearly all do."""
    counted = (rows["seq"].is_not_null() & rows["vq"].is_not_null()).to_numpy()
    queue = np.zeros(rows.height, dtype=np.uint32)
    queues = 1
    for name in _QUEUE:
        numbers = rows[name].to_physical().fill_null(0).to_numpy()
        most = int(numbers.max(initial=0)) + 1
        queues *= most
        if queues > _MOST_QUEUES:
            return False
        queue *= np.uint32(most)
        queue += numbers
    last = np.zeros(queues, dtype=np.int64)
    return bool(_count_on(queue, rows["seq"].fill_null(0).to_numpy(), counted, begins, last))


@njit(cache=True)
def _count_on(queue: Array, seq: Array, counted: Array, begins: Array, last: Array) -> bool:
    for row in range(len(seq)):
        if counted[row]:
            expected = 1 if begins[row] or seq[row] == 1 else last[queue[row]] + 1
            if seq[row] != expected:
                return False
            last[queue[row]] = expected
    return True


def total(losses: Iterable[Loss]) -> int:
    """Return the sum of all counts: an upper bound, as two observers may count one loss."""
    return sum(loss.count for loss in losses)
