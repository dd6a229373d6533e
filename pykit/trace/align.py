# SPDX-License-Identifier: GPL-2.0-only
"""Align the host's clock and the guest's by causality.

The device cannot take a chain before the driver has made it available, nor the driver a used
entry before the device has written it. Each such pair, matched by its place in its ring,
bounds the difference of the clocks at that moment from one side. The true difference lies
between all bounds. The line with the most room on both sides is the alignment; its error is the
distance to the farthest other line that fits. Wall time is not used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from pykit.trace.frames import Frames
from pykit.trace.kinds import INSIDE
from pykit.trace.lives import absences

Floats = npt.NDArray[np.float64]

#: QEMU's log cuts its times to microseconds: the true time is up to this much later.
LOG_STEP_NS = 1000
#: A larger drift means that a clock was set.
MOST_DRIFT = 1e-3
#: Steps of a bisection or golden-section search; points at which the error is computed.
_TURNS, _GRID = 64, 65
_GOLDEN = (5**0.5 - 1) / 2

_QUEUE = ("dev", "life", "vq")
#: Kinds that a driver does not serialise with its operations on a queue.
_ANY_TIME = ("interrupt", "notify")


@dataclass(frozen=True)
class Alignment:
    """``guest = host - offset - drift * (host - origin)``, all in ns.

    Attributes:
        origin: host time at which it is known best.
        error_ns: how far off this can be there.
        worst_ns: how far off it can be anywhere between the first and the last bound.
        pairs: how many pairs bound it.
    """

    origin: int
    offset: int
    drift: float
    error_ns: float
    worst_ns: float
    pairs: int

    def to_guest(self, host: pl.Series) -> pl.Series:
        """Convert times of the host's clock (i64 ns) to the guest's."""
        since = (host - self.origin).cast(pl.Float64)
        return host - self.offset - (since * self.drift).round().cast(pl.Int64)

    def line(self) -> str:
        """Return a one-line description."""
        return (
            f"clocks aligned by {self.pairs:,} pairs: ±{self.error_ns / 1000:.1f} µs at best,"
            f" ±{self.worst_ns / 1000:.1f} µs at worst, drift {self.drift * 1e6:+.1f} ppm"
        )


def align(frames: Frames, lost: int) -> Alignment | str:
    """Align the two sides of a capture, or return why that is impossible.

    After a loss the k-th event of one side need not be the k-th of the other.
    """
    if lost:
        return "events were lost: places in the rings cannot be matched"
    upper, lower = _bounds(frames)
    if not (upper.height and lower.height):
        return "nothing was seen by both the guest and QEMU"
    origin = int(upper["host"][0])
    base = int(upper["difference"][0])

    def points(bounds: pl.DataFrame) -> tuple[Floats, Floats]:
        # Wall time in ns has more digits than a float: count from the first bound.
        at = (bounds["host"] - origin).to_numpy().astype(np.float64)
        return at, (bounds["difference"] - base).to_numpy().astype(np.float64)

    found = _between(*points(upper), *points(lower))
    if found is None:
        return "nothing keeps every cause before its effect: too few pairs, or a clock was set"
    at, offset, slope, error, worst = found
    return Alignment(
        origin=origin + round(at),
        offset=base + round(offset),
        drift=slope,
        error_ns=error,
        worst_ns=worst,
        pairs=upper.height + lower.height,
    )


def _bounds(frames: Frames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Upper and lower bounds of host minus guest: (host time, difference), both i64 ns.

    The driver's event comes after the chain was made available, later by any time that the host's
    scheduler takes. So the event has ``before``, a time at which the chain was certainly not
    available yet. If that is absent or by another clock, the previous event of the queue is early
    enough. Only events that the driver serialises count: an interrupt may come between the moment
    when the device takes a chain and the chain's event.
    """
    table = frames.base
    outside = table.filter(
        (pl.col("source") == "qemu") & pl.col("ts").is_not_null() & pl.col("life").is_not_null()
    ).select(*_QUEUE, "kind", "ts")
    nothing = pl.DataFrame(schema={"host": pl.Int64, "difference": pl.Int64})
    if outside.is_empty():
        return nothing, nothing
    seen = table["source"].unique()
    inside = table.filter(source=next((name for name in INSIDE if name in seen), INSIDE[0]))
    # Places count from a queue's set-up, and lives from a device's first. So skip everything from
    # the first absence of an observer on.
    parts = pl.col("row").is_in(absences(frames)["row"].to_list()).cum_sum().over("dev")
    inside = inside.filter(parts == 0)
    inside = inside.filter(pl.col("vq").is_not_null() & pl.col("life").is_not_null())
    inside = inside.filter(~pl.col("kind").is_in(_ANY_TIME))
    if inside.is_empty():
        return nothing, nothing
    adds = frames.own_of("add")
    if "before" not in adds.columns:
        adds = adds.with_columns(before=pl.lit(None, dtype=pl.UInt64))
    noted = adds.select("row", pl.col("before").cast(pl.Int64))
    inside = inside.join(noted, on="row", how="left")
    inside = inside.sort("row").sort(*_QUEUE, "seq", maintain_order=True)
    last = pl.col("ts").shift(1).over(_QUEUE)
    inside = inside.select(
        *_QUEUE,
        "kind",
        "ts",
        pl.when(pl.col("before").is_between(last, "ts")).then("before").otherwise(last),
    )

    def pairs(cause: str, effect: str, guest: str) -> pl.DataFrame:
        place = pl.int_range(pl.len()).over(_QUEUE).alias("place")
        mine = inside.filter(pl.col("kind") == cause).with_columns(place)
        other = outside.filter(pl.col("kind") == effect).with_columns(place)
        joined = mine.join(other, on=[*_QUEUE, "place"], how="inner", suffix="_host")
        return joined.select(
            pl.col("ts_host").alias("host"),
            (pl.col("ts_host") - pl.col(guest)).alias("difference"),
        ).drop_nulls()

    upper = pairs("add", "dev_pop", "before").with_columns(pl.col("difference") + LOG_STEP_NS)
    return upper.sort("host"), pairs("used", "dev_fill", "ts").sort("host")


def _between(
    x_up: Floats, up: Floats, x_low: Floats, low: Floats
) -> tuple[float, float, float, float, float] | None:
    """The line ``a + b * x`` below all of ``up`` and above all of ``low``, with the most room.

    Returns (x where it is known best, its height there, its slope, how far off it can be there,
    how far off anywhere between the first and the last bound), or None if there is no such line.
    """

    def heights(slopes: Floats) -> tuple[Floats, Floats]:
        """The highest and the lowest ``a`` that each slope leaves."""
        highest = [float((up - slope * x_up).min()) for slope in slopes]
        lowest = [float((low - slope * x_low).max()) for slope in slopes]
        return np.array(highest), np.array(lowest)

    def room(slope: float) -> float:
        highest, lowest = heights(np.array([slope]))
        return float(highest[0] - lowest[0])

    # The room is a concave function of the slope: golden-section search, a look a turn.
    least, most = -MOST_DRIFT, MOST_DRIFT
    first, second = most - _GOLDEN * (most - least), least + _GOLDEN * (most - least)
    at_first, at_second = room(first), room(second)
    for _ in range(_TURNS):
        if at_first < at_second:
            least, first, at_first = first, second, at_second
            second = least + _GOLDEN * (most - least)
            at_second = room(second)
        else:
            most, second, at_second = second, first, at_first
            first = most - _GOLDEN * (most - least)
            at_first = room(first)
    slope = (least + most) / 2
    if room(slope) < 0:
        return None
    # All slopes that leave room, and the range of lines at each moment.
    slopes = np.linspace(_edge(room, slope, -MOST_DRIFT), _edge(room, slope, MOST_DRIFT), _GRID)
    highest, lowest = heights(slopes)
    at = np.linspace(min(x_up[0], x_low[0]), max(x_up[-1], x_low[-1]), _GRID)
    ceiling = (highest[:, None] + slopes[:, None] * at).max(axis=0)
    floor = (lowest[:, None] + slopes[:, None] * at).min(axis=0)
    height, depth = heights(np.array([slope]))
    line = (height[0] + depth[0]) / 2 + slope * at
    off = np.maximum(ceiling - line, line - floor)
    best = int(off.argmin())
    return float(at[best]), float(line[best]), slope, float(off[best]), float(off.max())


def _edge(room: Callable[[float], float], inside: float, outside: float) -> float:
    """Return the last slope from ``inside`` towards ``outside`` that leaves room."""
    if room(outside) >= 0:
        return outside
    for _ in range(_TURNS):
        middle = (inside + outside) / 2
        if room(middle) >= 0:
            inside = middle
        else:
            outside = middle
    return inside
