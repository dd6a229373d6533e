# SPDX-License-Identifier: GPL-2.0-only
"""The host's clock and the guest's, joined by what has to come before what.

The device cannot take a chain before the driver has made it available, nor the driver a used
entry before the device has written it. Each such pair, matched by its place in its ring,
bounds the difference of the clocks at that moment from one side. What lies between all bounds
is where the difference can be: a line through the middle of the narrowest place is the
alignment, and the distance to the bounds is its error. Nothing is taken from wall time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]

#: QEMU's log cuts its times to microseconds: the true time is up to this much later.
LOG_STEP_NS = 1000
#: Clocks that differ by more than this are not drifting, they were set.
MOST_DRIFT = 1e-3
#: Constraints at first, and at most so many more each turn that are found violated.
_FEW = 2048

_QUEUE = ("dev", "life", "vq")


@dataclass(frozen=True)
class Alignment:
    """``guest = host - offset - drift * (host - origin)``, all in ns.

    Attributes:
        origin: host time at which the bounds are narrowest.
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
        """Times of the host's clock (i64 ns) in the guest's."""
        since = (host - self.origin).cast(pl.Float64)
        return host - self.offset - (since * self.drift).round().cast(pl.Int64)

    def line(self) -> str:
        """For people."""
        return (
            f"clocks aligned by {self.pairs:,} pairs: ±{self.error_ns / 1000:.1f} µs at best,"
            f" ±{self.worst_ns / 1000:.1f} µs at worst, drift {self.drift * 1e6:+.1f} ppm"
        )


def align(table: pl.DataFrame, lost: int) -> Alignment | str:
    """Align the two sides of an event table, or say why they cannot be.

    With events lost the k-th of one side need not be the k-th of the other.
    """
    if lost:
        return "events were lost: places in the rings cannot be matched"
    upper, lower = _bounds(table)
    if not (upper.height and lower.height):
        return "nothing was seen by both sides"
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


def _bounds(table: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Upper and lower bounds of host minus guest: (host time, difference), both i64 ns.

    The driver's event follows what it tells of: a chain is certain not to have been available
    yet at the time of the event before it on its queue.
    """
    inside = table.filter(pl.col("source") == "driver")
    if inside.is_empty():
        inside = table.filter(pl.col("source") == "probe")
    inside = inside.filter(pl.col("vq").is_not_null() & pl.col("life").is_not_null())
    inside = inside.sort("row").sort(*_QUEUE, "seq", maintain_order=True)
    inside = inside.select(
        *_QUEUE, "kind", "ts", pl.col("ts").shift(1).over(_QUEUE).alias("before")
    )
    outside = table.filter(
        (pl.col("source") == "qemu") & pl.col("ts").is_not_null() & pl.col("life").is_not_null()
    ).select(*_QUEUE, "kind", "ts")

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
    """A line below all of ``up`` and above all of ``low``, with the most room at its tightest.

    Returns (x of the tightest place, the line's height there, slope, room there, most room
    anywhere), or None where there is no such line.
    """
    chosen_up, chosen_low = _least(x_up, up), _least(x_low, -low)
    while True:
        ceiling = _hull(x_up[chosen_up], up[chosen_up])
        floor = _hull(x_low[chosen_low], -low[chosen_low])
        found = _tightest(ceiling, (floor[0], -floor[1]))
        if found is None:
            return None
        x, height, slope, room, worst = found
        # Only some bounds were looked at: take up those that the line breaks.
        over = np.flatnonzero(height + slope * (x_up - x) > up + 0.5)
        under = np.flatnonzero(height + slope * (x_low - x) < low - 0.5)
        new_up, new_low = np.setdiff1d(over, chosen_up), np.setdiff1d(under, chosen_low)
        if not (new_up.size or new_low.size):
            return x, height, slope, room, worst
        chosen_up = np.union1d(chosen_up, new_up[:_FEW])
        chosen_low = np.union1d(chosen_low, new_low[:_FEW])


def _least(x: Floats, y: Floats) -> npt.NDArray[np.int64]:
    """Indices of the lowest point in each of up to _FEW stretches of ``x``, and of both ends."""
    span = max(float(x.max() - x.min()), 1.0)
    stretch = ((x - x.min()) / span * (_FEW - 1)).astype(np.int64)
    order = np.lexsort((y, stretch))
    first = order[np.concatenate([[True], np.diff(stretch[order]) > 0])]
    return np.unique(np.concatenate([first, [int(x.argmin()), int(x.argmax())]]))


def _hull(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """The lower convex hull, by Andrew's monotone chain."""
    hull: list[tuple[float, float]] = []
    order = np.lexsort((y, x))
    for px, py in zip(x[order].tolist(), y[order].tolist(), strict=True):
        if hull and hull[-1][0] == px:
            continue
        while len(hull) >= 2:
            (ax, ay), (bx, by) = hull[-2], hull[-1]
            if (bx - ax) * (py - ay) > (by - ay) * (px - ax):
                break
            hull.pop()
        hull.append((px, py))
    return np.array([p[0] for p in hull]), np.array([p[1] for p in hull])


def _tightest(
    ceiling: tuple[Floats, Floats], floor: tuple[Floats, Floats]
) -> tuple[float, float, float, float, float] | None:
    """The widest strip between a convex and a concave chain, in the height of its middle."""
    low, high = max(ceiling[0][0], floor[0][0]), min(ceiling[0][-1], floor[0][-1])
    if low > high:
        # One side's bounds all come before the other's: they do not bound any moment.
        return None
    breaks = np.unique(np.concatenate([ceiling[0], floor[0], [low, high]]))
    breaks = breaks[(breaks >= low) & (breaks <= high)]
    room = (np.interp(breaks, *ceiling) - np.interp(breaks, *floor)) / 2
    at = int(room.argmin())
    if room[at] < 0:
        return None
    x = float(breaks[at])
    top, bottom = float(np.interp(x, *ceiling)), float(np.interp(x, *floor))
    # Where a chain ends nothing keeps the line from turning to that side.
    least = max(_slope(ceiling, x, -1, -np.inf), _slope(floor, x, 1, -np.inf), -MOST_DRIFT)
    most = min(_slope(ceiling, x, 1, np.inf), _slope(floor, x, -1, np.inf), MOST_DRIFT)
    if least > most:
        return None
    # The clocks run alike unless the bounds say otherwise.
    slope = min(max(0.0, least), most)
    height = (top + bottom) / 2
    line = height + slope * (breaks - x)
    most_room = np.maximum(np.interp(breaks, *ceiling) - line, line - np.interp(breaks, *floor))
    return x, height, slope, float(room[at]), float(most_room.max())


def _slope(chain: tuple[Floats, Floats], x: float, side: int, beyond: float) -> float:
    """Slope of a chain just left (-1) or right (1) of ``x``; ``beyond`` its end."""
    xs, ys = chain
    index = int(np.searchsorted(xs, x, side="left" if side < 0 else "right"))
    if index in (0, len(xs)):
        return beyond
    return float((ys[index] - ys[index - 1]) / (xs[index] - xs[index - 1]))
