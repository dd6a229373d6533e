# SPDX-License-Identifier: GPL-2.0-only
"""Whether numbers of two matrices differ by more than they differ anyway."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

Direction = Literal["slower", "faster"]

#: With fewer pairs than this nothing can be said of their spread, nor of all as a whole.
FEW = 10
#: Two machines, or one with and without other work, differ by less.
ALL_FLOOR = 1.25
#: Two runs of one cell differ by less, of which one may have met a busy machine: of 739 cells in
#: two runs of the whole matrix, one beside a soak, requests a notification differed by up to
#: 2.4 times (served by vhost-user), and latencies by far more, but then those of most cells did.
CELL_FLOOR = 3.0
#: A cell differs from the others if it is as many (normal) standard deviations away.
_SIGMAS = 5
_MAD_TO_SIGMA = 1.4826
#: Larger ratios, also from zero, count as this one.
_LARGEST = 1000.0


@dataclass(frozen=True)
class Ratio:
    """A metric of the new matrix by that of the old one.

    Attributes:
        pairs: cells that have it in both.
        median: of the ratios.
        low, high: the median's confidence interval of at least 95 %; the extremes of FEW.
        overall: whether all of it went up or down, beyond noise.
        cells: those that did so beyond the rest, with their ratios.
    """

    name: str
    pairs: int
    median: float
    low: float
    high: float
    overall: Direction | None
    cells: Mapping[str, tuple[Direction, float]]


def worse_if_more(metric: str) -> bool | None:
    """Whether a higher value is worse; None where it is neither, as for a count of requests."""
    if metric.startswith("latency") or metric.endswith("_per_request"):
        return True
    if metric.endswith("_per_second"):
        return False
    return None


def compare(metric: str, pairs: Mapping[str, tuple[float, float]]) -> Ratio:
    """Compare the old and new values of a metric, by cell; there is one at least."""
    ratios = {cell: _ratio(*values) for cell, values in pairs.items()}
    ordered = sorted(ratios.values())
    middle = median(ordered)
    low, high = _interval(ordered)
    few = len(ordered) < FEW
    overall = None
    if not few and (low > 1 or high < 1):
        overall = _direction(metric, middle, ALL_FLOOR)
    # A cell is compared with the others: a change common to all is reported once.
    common = 1.0 if few else middle
    away = [abs(math.log(ratio / common)) for ratio in ordered]
    spread = 0.0 if few else _SIGMAS * _MAD_TO_SIGMA * median(away)
    floor = max(CELL_FLOOR, math.exp(spread))
    cells = {}
    for cell, ratio in ratios.items():
        direction = _direction(metric, ratio / common, floor)
        # Less of a gain than others have is no loss.
        if direction and direction == _direction(metric, ratio, CELL_FLOOR):
            cells[cell] = (direction, ratio)
    return Ratio(metric, len(ordered), middle, low, high, overall, cells)


def _ratio(old: float, new: float) -> float:
    if old == new:
        return 1.0
    if old <= 0:
        return _LARGEST
    return min(max(new / old, 1 / _LARGEST), _LARGEST)


def _direction(metric: str, ratio: float, floor: float) -> Direction | None:
    more = worse_if_more(metric)
    if more is None or 1 / floor < ratio < floor:
        return None
    return "slower" if (ratio > 1) == more else "faster"


def _interval(ordered: Sequence[float]) -> tuple[float, float]:
    """Order statistics between which the median lies with 95 %, by the binomial distribution."""
    n = len(ordered)
    if n < FEW:
        return ordered[0], ordered[-1]
    below, cut = 0.0, 0
    for k in range(n // 2):
        below += math.comb(n, k) / 2**n
        if below > 0.025:
            break
        cut = k
    return ordered[cut], ordered[n - 1 - cut]
