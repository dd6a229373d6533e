# SPDX-License-Identifier: GPL-2.0-only
"""Charts of queues over time and of latency show what was counted."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import polars as pl

from pykit.analysis.overtime import PARTS, over_time, typical
from pykit.analysis.requests import requests
from pykit.report import charts
from tests.spec.machine import run


def test_a_queue_over_time_counts_what_the_trace_has() -> None:
    events = run(queues=1).build()
    # The guest's side alone: the machine's clocks are not aligned.
    inside = pl.when(pl.col("source") == "driver").then("ts")
    base = events.base.with_columns(time=inside)
    events = replace(events, frames=replace(events.frames, base=base))
    table = requests(events)
    (line, *_) = over_time(events, table)
    mine = base.filter((pl.col("dev") == line.dev) & (pl.col("vq") == line.vq))
    for kind, parts in (("notify", line.notified), ("interrupt", line.interrupts)):
        assert len(parts) == PARTS
        traced = mine.filter((pl.col("kind") == kind) & (pl.col("source") == "driver")).height
        assert 0 < sum(parts) <= traced
    assert max(line.depth) > 0
    svg = charts.queue(line)
    assert f"{sum(line.notified):,} notifications" in svg
    ElementTree.fromstring(svg)
    life = typical(table)
    assert life is not None
    assert [step.time or 0 for step in life[1]] == sorted(step.time or 0 for step in life[1])


def test_latency_and_its_histogram_are_tables() -> None:
    rows = [{"stage": "wake", "count": 3, "p50": 1_000, "p90": 50_000, "p99": 2_000_000}]
    text = "".join(ElementTree.fromstring(charts.latency(rows, "<b>")).itertext())
    assert "wake1.050.02,000.0" in text
    root = ElementTree.fromstring(charts.histogram([1_000] * 3 + [90_000], "by latency"))
    counts = [e.text for e in root.iter() if e.get("role") == "cell" and e.get("class") == "note"]
    assert [count for count in counts if count != "0"] == ["3", "1"]
    assert ElementTree.fromstring(charts.histogram([], "none")) is not None


def test_a_queue_of_which_no_time_is_known_is_not_drawn() -> None:
    events = run().build()
    table = requests(events)
    assert table.height
    assert not list(over_time(events, table.with_columns(add=pl.lit(None), used=pl.lit(None))))
