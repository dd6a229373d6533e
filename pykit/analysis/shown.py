# SPDX-License-Identifier: GPL-2.0-only
"""Queues and requests on a terminal, or as JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

from pykit.analysis import transport
from pykit.analysis.queues import QUANTILES, queues, stages
from pykit.analysis.requests import MOMENTS, QUEUE, STAGES
from pykit.analysis.timeline import name_of
from pykit.errors import UsageError
from pykit.spec.core import standing_still
from pykit.spec.view import View
from pykit.toml import choice
from pykit.trace import Events

_LEGEND = """\
notify, irq: notifications and interrupts per request; quiet: kicks that needed none;
batch: chains per kick; taken: used entries per interrupt; depth: mean and highest
"""


def one_queue(requests: pl.DataFrame, name: str) -> pl.DataFrame:
    """The requests of a queue named as DEV.VQ; raises UsageError where there are none."""
    match = re.fullmatch(r"([0-9]{1,9})\.([0-9]{1,5})", name)
    names = requests.select("dev", "vq").unique().sort("dev", "vq")
    known = names.select(pl.format("{}.{}", "dev", "vq").alias("name"))["name"].to_list()
    if match is None or name not in known:
        raise UsageError(choice(name, known, "queue"))
    return requests.filter(dev=int(match[1]), vq=int(match[2]))


def one_request(requests: pl.DataFrame, number: int) -> pl.DataFrame:
    """One request by its number; raises UsageError where there is none."""
    found = requests.filter(request=number)
    if found.is_empty():
        raise UsageError(f"unknown request {number}: choose from 0 to {requests.height - 1}")
    return found


@dataclass(frozen=True)
class Shown:
    """What is to be shown: requests, or a single one of them."""

    events: Events
    requests: pl.DataFrame
    single: bool

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        if self.single:
            return self.requests.row(0, named=True)
        return {
            "clocks": self.events.clocks,
            "lost": self.events.lost,
            "queues": queues(self.events, self.requests).to_dicts(),
            "stages": stages(self.requests).to_dicts(),
            "transport": transport.devices(self.events),
            "stuck": [entry.sentence for entry in standing_still(View(self.events))],
        }

    def render(self, console: Console) -> None:
        """Print it."""
        if self.single:
            self._request(console)
        elif self.requests.is_empty():
            console.print("no request was seen")
        else:
            self._queues(console)
        if not self.single:
            for line in transport.lines(transport.devices(self.events)):
                console.print(line, soft_wrap=True, markup=False, highlight=False)
            for entry in standing_still(View(self.events)):
                console.print(entry.sentence, soft_wrap=True, markup=False, highlight=False)
        if self.events.lost:
            console.print(f"{self.events.lost:,} events were lost: counts are too low")
        console.print(self.events.clocks, soft_wrap=True)

    def _request(self, console: Console) -> None:
        row = self.requests.row(0, named=True)
        console.print(
            f"request {row['request']}: {name_of(row)}, device {row['dev']}, queue {row['vq']},"
            f" head {row['head']}, {row['readable']:,} bytes read, {row['writable']:,} writable"
        )
        table = table_of("moment", "at", "since it was added", "stage", "took")
        ends = {end: name for name, _, end in STAGES}
        seen = [name for name in MOMENTS if row[name] is not None]
        for name in sorted(seen, key=lambda name: (row[name], MOMENTS.index(name))):
            took = row.get(f"ns_{ends.get(name)}")
            stage = ("", "") if took is None else (ends[name], us(took))
            at = row[name]
            table.add_row(name, f"{at / 1e9:.9f}", us(at - row["add"]), *stage)
        console.print(table)

    def _queues(self, console: Console) -> None:
        table = table_of(
            "queue", "life", "count", "MiB", "notify", "irq", "quiet", "batch", "taken", "depth",
        )  # fmt: skip
        for row in queues(self.events, self.requests).iter_rows(named=True):
            table.add_row(
                f"{row['dev']}.{row['vq']}",
                str(row["life"]),
                f"{row['requests']:,}",
                f"{row['bytes'] / (1 << 20):.1f}",
                share(row["notifications_per_request"]),
                share(row["interrupts_per_request"]),
                share(row["suppressed"]),
                number(row["chains_per_kick"]),
                number(row["used_per_interrupt"]),
                f"{number(row['depth'])} ≤ {row['deepest']}",
            )
        console.print(table)
        console.print(_LEGEND, style="dim", soft_wrap=True)
        quantiles = [f"p{q * 100:g}" for q in QUANTILES]
        table = table_of("queue", "life", "stage", "count", *quantiles)
        last = None
        for row in stages(self.requests).iter_rows(named=True):
            key = tuple(row[name] for name in QUEUE)
            name = (f"{row['dev']}.{row['vq']}", str(row["life"])) if key != last else ("", "")
            last = key
            times = [us(row[quantile]) for quantile in quantiles]
            table.add_row(*name, row["stage"], f"{row['count']:,}", *times)
        console.print(table)


def table_of(first: str, *others: str) -> Table:
    """A table of numbers, with what they are of on the left."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="left" if name == "stage" else "right")
    return table


def us(ns: float) -> str:
    """A time in µs."""
    return f"{ns / 1000:,.1f} µs"


def share(value: float | None) -> str:
    """A ratio in per cent."""
    return "-" if value is None else f"{value:.0%}"


def number(value: float | None) -> str:
    """A mean or a ratio."""
    return "-" if value is None else f"{value:.1f}"
