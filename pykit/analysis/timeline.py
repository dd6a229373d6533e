# SPDX-License-Identifier: GPL-2.0-only
"""Requests as slices on lanes: what viewers of traces draw."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import polars as pl

#: Inside a request, one after the other, whether or not it was notified or interrupted: name,
#: begin, end.
_STAGES = (
    ("there", "add", "pop"),
    ("parse", "pop", "submit"),
    ("storage", "submit", "complete"),
    ("return", "complete", "fill"),
    ("back", "fill", "used"),
    ("finish", "used", "done"),
)

#: Request types by name (VIRTIO 1.3, 5.2.6).
TYPES = {
    0: "read", 1: "write", 4: "flush", 8: "get id", 10: "get lifetime", 11: "discard",
    13: "write zeroes", 14: "secure erase",
}  # fmt: skip


@dataclass(frozen=True)
class TimelineSlice:
    """Something that takes time; ``begin`` and ``end`` in ns."""

    name: str
    begin: int
    end: int
    args: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Lane:
    """Requests of one queue that do not overlap, each before its own stages."""

    dev: int
    vq: int
    number: int
    slices: tuple[TimelineSlice, ...]


@dataclass(frozen=True)
class Depth:
    """How many requests of a queue are outstanding from each time (ns) on."""

    dev: int
    vq: int
    steps: tuple[tuple[int, int], ...]


def lanes(requests: pl.DataFrame) -> Iterator[Lane]:
    """The requests that came back, on as few lanes a queue as hold them."""
    whole = requests.filter(pl.col("add").is_not_null() & pl.col("used").is_not_null())
    for (dev, vq), group in whole.sort("add").group_by("dev", "vq", maintain_order=True):
        free: list[tuple[int, int]] = []
        filled: list[list[TimelineSlice]] = []
        for row in group.iter_rows(named=True):
            drawn = _slices(row)
            if free and free[0][0] <= drawn[0].begin:
                _, number = heapq.heappop(free)
            else:
                number = len(filled)
                filled.append([])
            filled[number] += drawn
            heapq.heappush(free, (drawn[0].end, number))
        for number, slices in enumerate(filled):
            yield Lane(int(str(dev)), int(str(vq)), number, tuple(slices))


def depths(requests: pl.DataFrame) -> Iterator[Depth]:
    """The depth of every queue over time; none of a queue of which no time is known."""
    for (dev, vq), group in requests.group_by("dev", "vq", maintain_order=True):
        moments = pl.concat(
            [
                group.select(pl.col("add").alias("at"), pl.lit(1).alias("step")),
                group.select(pl.col("used").alias("at"), pl.lit(-1).alias("step")),
            ]
        )
        moments = moments.drop_nulls("at").sort("at", "step")
        steps = tuple(moments.select("at", pl.col("step").cum_sum()).iter_rows())
        if steps:
            yield Depth(int(str(dev)), int(str(vq)), steps)


def _slices(row: dict[str, Any]) -> list[TimelineSlice]:
    """A request and its stages; what was not seen is not drawn."""
    shown = ("request", "head", "chain", "bytes", "sector", "status", "len", "notified")
    args = {name: row[name] for name in shown if row[name] is not None}
    begin, end = row["add"], row["done"] if row["done"] is not None else row["used"]
    found = [TimelineSlice(name_of(row), begin, end, args)]
    for name, first, last in _STAGES:
        if row[first] is not None and row[last] is not None:
            # Within the error of the clocks; a slice outside of its parent is not drawn well.
            low, high = (min(max(row[moment], begin), end) for moment in (first, last))
            found.append(TimelineSlice(name, low, max(low, high)))
    return found


def name_of(row: dict[str, Any]) -> str:
    """What a request is, in a few words."""
    if row["type"] is None:
        return f"chain of {row['chain']}"
    return TYPES.get(row["type"], f"type {row['type']}")
