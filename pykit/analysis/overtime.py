# SPDX-License-Identifier: GPL-2.0-only
"""Queues over time: depth, notifications, suppressed ones and interrupts, in equal parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from pykit.analysis.requests import MOMENTS
from pykit.analysis.sequence import DiagramStep
from pykit.analysis.timeline import depths, name_of
from pykit.trace import Events
from pykit.trace.kinds import INSIDE

#: Parts of a queue's time.
PARTS = 72
#: What each moment of a request is, the side that acts, and whether it reaches the other side.
_LIFE = {
    "add": ("made available", "driver", False),
    "kick": ("decision to notify", "driver", False),
    "exit": ("the device learns of it", "device", False),
    "pop": ("taken", "device", False),
    "submit": ("handed to what stores the data", "device", False),
    "complete": ("back from there", "device", False),
    "fill": ("used entry written", "device", False),
    "signal": ("interrupt raised", "device", True),
    "interrupt": ("interrupt taken", "driver", False),
    "used": ("used entry taken", "driver", False),
    "done": ("the driver is through", "driver", False),
}
assert set(_LIFE) == set(MOMENTS)


@dataclass(frozen=True)
class QueueOverTime:
    """A queue in PARTS parts of its time, ``ns`` in all.

    Attributes:
        depth: the most chains outstanding in each part; None where nothing changed.
        notified, suppressed, interrupts: notifications, decisions that found none needed,
            interrupts in each part.
    """

    dev: int
    vq: int
    ns: int
    depth: tuple[int, ...]
    notified: tuple[int, ...]
    suppressed: tuple[int, ...]
    interrupts: tuple[int, ...]


def over_time(events: Events, requests: pl.DataFrame) -> Iterator[QueueOverTime]:
    """Yield each queue that carried anything, over all lives of its device."""
    found = events.of("notify", "interrupt", "kick").filter(pl.col("time").is_not_null())
    for line in sorted(depths(requests), key=lambda line: (line.dev, line.vq)):
        mine = found.filter((pl.col("dev") == line.dev) & (pl.col("vq") == line.vq))
        # A driver and the probe that joined it may both have traced a queue.
        sources = mine["source"].cast(pl.String).unique().to_list()
        source = next((name for name in (*INSIDE, "tap") if name in sources), "")
        mine = mine.filter(pl.col("source").cast(pl.String) == source)
        start, end = line.steps[0][0], line.steps[-1][0]
        width = (end - start) // PARTS + 1
        kinds = mine["kind"].cast(pl.String)
        suppressed = (kinds == "kick") & (mine["needed"] == 0).fill_null(False)
        parts = (mine["time"] - start) // width
        yield QueueOverTime(
            line.dev,
            line.vq,
            end - start,
            _deepest(line.steps, start, width),
            _counts(parts.filter(kinds == "notify")),
            _counts(parts.filter(suppressed)),
            _counts(parts.filter(kinds == "interrupt")),
        )


def _counts(parts: pl.Series) -> tuple[int, ...]:
    found = [0] * PARTS
    for part in parts.to_list():
        if 0 <= part < PARTS:
            found[part] += 1
    return tuple(found)


def _deepest(steps: tuple[tuple[int, int], ...], start: int, width: int) -> tuple[int, ...]:
    found, last, place = [0] * PARTS, 0, 0
    for at, depth in steps:
        part = (at - start) // width
        for between in range(place + 1, part + 1):
            found[between] = last
        found[part] = max(found[part], depth)
        last, place = depth, part
    return tuple(found)


def typical(requests: pl.DataFrame) -> tuple[str, tuple[DiagramStep, ...]] | None:
    """Return the life of the request of median latency among those seen best; its name and steps.

    None where no request came back.
    """
    whole = requests.filter(pl.col("add").is_not_null() & pl.col("used").is_not_null())
    if whole.is_empty():
        return None
    seen = pl.sum_horizontal(pl.col(name).is_not_null().cast(pl.Int32) for name in MOMENTS)
    whole = whole.with_columns(seen=seen, ns=pl.col("used") - pl.col("add"))
    best = whole.filter(pl.col("seen") == pl.col("seen").max()).sort("ns", "request")
    row = best.row(best.height // 2, named=True)
    steps = []
    for name in MOMENTS:
        if row[name] is None:
            continue
        text, side, crosses = _LIFE[name]
        crosses |= name == "kick" and bool(row["notified"])
        steps.append(
            DiagramStep(
                "driver" if side == "driver" else "device", text, row[name], crosses, False,
                row["request"],
            )
        )  # fmt: skip
    title = f"request {row['request']}, {name_of(row)}, queue {row['vq']} of device {row['dev']}"
    return title, tuple(steps)
