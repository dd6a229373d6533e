# SPDX-License-Identifier: GPL-2.0-only
"""Charts of queues over time and of latency, as SVG."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from pykit.analysis.overtime import PARTS, QueueOverTime
from pykit.report.svg import LINE, Svg

#: A bar's width and the height of a strip, in px; room for its name at the left.
_BAR, _STRIP, _LEFT = 7, 44, 130
_US = 1000


def queue(line: QueueOverTime) -> Markup:
    """Draw a queue's depth, notifications and interrupts over time, a strip each."""
    sent = [a + b for a, b in zip(line.notified, line.suppressed, strict=True)]
    strips = [
        ("depth", line.depth, line.depth),
        ("notifications", sent, line.notified),
        ("interrupts", line.interrupts, line.interrupts),
    ]
    most = {name: max(high) for name, high, _ in strips}
    label = (
        f"Queue {line.vq} of device {line.dev} over {line.ns / 1e6:,.1f} ms: depth up to "
        f"{most['depth']}, {sum(line.notified):,} notifications, {sum(line.suppressed):,} "
        f"suppressed, {sum(line.interrupts):,} interrupts"
    )
    svg = Svg(label)
    for number, (name, high, low) in enumerate(strips):
        top = 6 + number * (_STRIP + 12)
        svg.text(2, top + 12, name)
        svg.text(2, top + 28, f"up to {most[name]:,}", "note")
        svg.line([(_LEFT, top + _STRIP), (_LEFT + PARTS * _BAR, top + _STRIP)], "life")
        _bars(svg, high, most[name], top, "bar faint")
        _bars(svg, low, most[name], top, "bar")
    bottom = 6 + len(strips) * (_STRIP + 12)
    svg.text(_LEFT, bottom + 8, "0", "note")
    end = f"{line.ns / 1e6:,.1f} ms"
    svg.text(_LEFT + PARTS * _BAR, bottom + 8, end, "note", anchor="end")
    return svg.render(_LEFT + PARTS * _BAR + 4, bottom + 14)


def _bars(svg: Svg, values: Sequence[int], most: int, top: float, style: str) -> None:
    for part, value in enumerate(values):
        if value:
            height = _STRIP * value / most
            svg.rect(_LEFT + part * _BAR, top + _STRIP - height, _BAR - 1, height, style)


def latency(rows: Sequence[dict[str, Any]], label: str) -> Markup:
    """Draw stages: a line from the median to p99 with a tick at p90, on a logarithmic scale."""
    svg = Svg(label, "table")
    high = max([row["p99"] for row in rows] + [10])
    low = max(min([row["p50"] for row in rows] + [high]), 10)
    span = max(math.log(high / low), 0.1)

    def place(value: float) -> float:
        return 340 + 260 * max(math.log(max(value, low) / low), 0) / span

    svg.begin("headings")
    for x, words in ((2, "stage"), (150, "p50 µs"), (220, "p90 µs"), (290, "p99 µs")):
        svg.text(x, 14, words, anchor="start" if x == 2 else "end")
    svg.end()
    for number, row in enumerate(rows):
        y = 32 + number * LINE
        svg.begin("row", f"{row['count']:,} requests")
        svg.text(2, y, str(row["stage"]))
        for x, name in ((150, "p50"), (220, "p90"), (290, "p99")):
            svg.text(x, y, f"{row[name] / _US:,.1f}", anchor="end")
        svg.line([(place(row["p50"]), y - 4), (place(row["p99"]) + 1, y - 4)], "range")
        svg.line([(place(row["p90"]), y - 8), (place(row["p90"]), y)], "range")
        svg.end()
    return svg.render(610, 36 + len(rows) * LINE)


def histogram(ns: Sequence[int], label: str) -> Markup:
    """Draw how many requests took how long, in buckets each half as long again as the last."""
    buckets = Counter(max(round(math.log(max(value, 1)) / math.log(1.5)), 0) for value in ns)
    svg = Svg(label, "table")
    most = max(buckets.values(), default=1)
    svg.begin("headings")
    svg.text(90, 14, "µs", anchor="end")
    svg.text(110, 14, "requests")
    svg.end()
    shown = range(min(buckets, default=0), max(buckets, default=-1) + 1)
    for number, bucket in enumerate(shown):
        y, count = 32 + number * LINE, buckets[bucket]
        svg.begin("row")
        svg.text(90, y, f"{1.5**bucket / _US:,.1f}", anchor="end")
        svg.rect(110, y - 11, 300 * count / most, LINE - 7, "bar")
        svg.text(116 + 300 * count / most, y, f"{count:,}", "note")
        svg.end()
    return svg.render(490, 36 + len(shown) * LINE)
