# SPDX-License-Identifier: GPL-2.0-only
"""Follow a running guest: activity of each queue since the last look, by QEMU's growing log.

Events from inside the guest arrive when the run has ended. QEMU's log has no decisions of the
driver, so suppressed notifications do not appear here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl
from rich.console import Console

from pykit.analysis.queues import QUANTILES
from pykit.analysis.shown import number, share, table_of
from pykit.errors import UsageError
from pykit.trace.qemu import parse

#: Bytes of the log that are taken at once.
_MOST = 16 << 20
_OPEN = {"vdev": pl.UInt64, "vq": pl.UInt16, "elem": pl.UInt64, "ts": pl.Int64}
_QUEUE = ("vdev", "vq")
_LEGEND = """\
notify, irq: notifications and interrupts per request that came back; batch: chains per
notification; taken: used entries per interrupt; depth: mean and highest; p50 …: from where
the device took a chain to its used entry
"""


@dataclass(frozen=True)
class LiveLook:
    """New activity in the log: ``seconds`` of its time (null if unknown), a row for each queue.

    Queues are named DEV.VQ in the order in which devices were first used.
    """

    seconds: float | None
    queues: pl.DataFrame

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data."""
        return {"seconds": self.seconds, "queues": self.queues.to_dicts()}

    def render(self, console: Console) -> None:
        """Print it, if there was anything."""
        if self.queues.is_empty():
            return
        span = "" if self.seconds is None else f"{self.seconds:.1f} s of the log"
        quantiles = [f"p{q * 100:g}" for q in QUANTILES]
        table = table_of(
            "queue", "count", "per s", "notify", "irq", "batch", "taken", "depth",
            *(f"{name} µs" for name in quantiles),
        )  # fmt: skip
        for row in self.queues.iter_rows(named=True):
            rate = f"{row['requests'] / self.seconds:,.0f}" if self.seconds else "-"
            table.add_row(
                row["queue"],
                f"{row['requests']:,}",
                rate,
                share(row["notifications_per_request"]),
                share(row["interrupts_per_request"]),
                number(row["chains_per_notification"]),
                number(row["used_per_interrupt"]),
                f"{number(row['depth'])} ≤ {row['deepest'] or 0}",
                *("-" if row[name] is None else f"{row[name] / 1000:,.0f}" for name in quantiles),
            )
        console.print(span, style="dim")
        console.print(table)

    @staticmethod
    def legend(console: Console) -> None:
        """Return the columns' meanings."""
        console.print(_LEGEND, style="dim", soft_wrap=True)


class Follower:
    """Read a log from its start; each look continues where the last one ended."""

    def __init__(self, log: BinaryIO) -> None:
        self._log = log
        self._torn = b""
        self._until: int | None = None
        #: Queues by their pointers in QEMU, devices in the order in which they were driven.
        self._named: dict[int, tuple[int, int]] = {}
        self._devices: dict[int, int] = {}
        #: Chains that the device has taken and not returned.
        self._open = pl.DataFrame(schema=_OPEN)

    def look(self) -> tuple[LiveLook, bool]:
        """What has come since, and whether there was as much as is taken at once."""
        data = self._log.read(_MOST)
        *lines, self._torn = (self._torn + data).split(b"\n")
        text = [line.decode(errors="replace") for line in lines]
        events = parse(text)
        seconds = self._seconds(events)
        events = self._name(events)
        return LiveLook(seconds, self._queues(events)), len(data) == _MOST

    def under_way(self) -> dict[str, tuple[int, int]]:
        """Chains that the device has taken and not returned, by queue: how many, and when the
        first was taken, ns of the log's clock.
        """
        dev = pl.col("vdev").replace_strict(self._devices, return_dtype=pl.UInt32)
        rows = (
            self._open.with_columns(pl.format("{}.{}", dev, "vq").alias("queue"))
            .group_by("queue")
            .agg(pl.len(), pl.col("ts").min())
        )
        return {name: (count, since) for name, count, since in rows.iter_rows()}

    def _seconds(self, events: pl.DataFrame) -> float | None:
        times = events["ts"].drop_nulls()
        if times.is_empty():
            return None
        first, last = int(times[0]), int(times[-1])
        begun = first if self._until is None else self._until
        self._until = last
        return (last - begun) / 1e9

    def _name(self, events: pl.DataFrame) -> pl.DataFrame:
        """The queues' events with ``vdev`` and ``vq``; a queue's notifications name it."""
        marks = events.filter(pl.col("kind").is_in(["dev_kick", "dev_status"]))
        for kind, vdev, vq, queue, status in marks.select(
            "kind", "vdev", "n", "queue", "status"
        ).iter_rows():
            if kind == "dev_kick":
                self._named[queue] = (vdev, vq)
            elif not status:
                continue
            self._devices.setdefault(vdev, len(self._devices))
        names = pl.DataFrame(
            [(queue, *name) for queue, name in self._named.items()],
            schema={"queue": pl.UInt64, "of": pl.UInt64, "vq": pl.UInt16},
            orient="row",
        )
        events = events.join(names, on="queue", how="left", maintain_order="left")
        return events.with_columns(pl.coalesce("vdev", "of").alias("vdev")).with_row_index("at")

    def _queues(self, events: pl.DataFrame) -> pl.DataFrame:
        reset = events.filter(pl.col("kind") == "dev_status", pl.col("status") == 0)["vdev"]
        # A reset device returns nothing.
        before = self._open.filter(~pl.col("vdev").is_in(reset.implode()))
        mine = events.filter(pl.col("vq").is_not_null())
        steps = pl.concat(
            [
                before.select(*_QUEUE, "elem", "ts", step=pl.lit(1), new=pl.lit(False)),
                mine.filter(pl.col("kind").is_in(["dev_pop", "dev_fill"])).select(
                    *_QUEUE,
                    "elem",
                    "ts",
                    step=pl.when(pl.col("kind") == "dev_pop").then(1).otherwise(-1),
                    new=pl.lit(True),
                ),
            ],
            how="vertical_relaxed",
        )
        element = [*_QUEUE, "elem"]
        last = pl.col("step").shift(-1).over(element).is_null()
        self._open = steps.filter(last & (pl.col("step") > 0)).select(*_OPEN)
        taken = pl.when(pl.col("step").shift(1).over(element) > 0).then(
            pl.col("ts") - pl.col("ts").shift(1).over(element)
        )
        steps = steps.with_columns(
            depth=pl.col("step").cum_sum().over(_QUEUE),
            took=pl.when(pl.col("step") < 0).then(taken),
        ).filter("new")
        popped = pl.col("step") > 0
        rows = (
            mine.group_by(_QUEUE)
            .agg(
                (pl.col("kind") == "dev_kick").sum().alias("notifications"),
                (pl.col("kind") == "dev_signal").sum().alias("interrupts"),
            )
            .join(
                steps.group_by(_QUEUE).agg(
                    (~popped).sum().alias("requests"),
                    popped.sum().alias("chains"),
                    pl.col("depth").filter(popped).mean(),
                    pl.col("depth").filter(popped).max().alias("deepest"),
                    *(pl.col("took").quantile(q).alias(f"p{q * 100:g}") for q in QUANTILES),
                ),
                on=_QUEUE,
                how="left",
            )
            .with_columns(pl.col("requests", "chains").fill_null(0))
        )
        dev = pl.col("vdev").replace_strict(self._devices, return_dtype=pl.UInt32)

        def ratio(above: str, below: str, name: str) -> pl.Expr:
            return pl.when(pl.col(below) > 0).then(pl.col(above) / pl.col(below)).alias(name)

        return (
            rows.with_columns(dev.alias("dev"))
            .sort("dev", "vq")
            .select(
                pl.format("{}.{}", "dev", "vq").alias("queue"),
                "requests",
                "notifications",
                "interrupts",
                ratio("notifications", "requests", "notifications_per_request"),
                ratio("interrupts", "requests", "interrupts_per_request"),
                ratio("chains", "notifications", "chains_per_notification"),
                ratio("requests", "interrupts", "used_per_interrupt"),
                "depth",
                "deepest",
                *(f"p{q * 100:g}" for q in QUANTILES),
            )
        )


def looks(
    capture: Path,
    *,
    queue: str | None,
    every: float,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[LiveLook]:
    """A look at a run's log ``every`` so many seconds, until the run has left its capture.

    Raises UsageError for what is no run, or none with a log of QEMU's.
    """
    if queue is not None and not re.fullmatch(r"[0-9]{1,9}\.[0-9]{1,5}", queue):
        raise UsageError(f"unknown queue '{queue}': write DEV.VQ, such as 0.1")
    log, over = capture / "qemu.log", capture / "capture.json"
    if not capture.is_dir():
        raise UsageError(f"{capture}: no such directory: name the one of a run that is going on")
    while not log.is_file():
        if over.is_file():
            raise UsageError(f"{capture}: no qemu.log: a run is followed by QEMU's log")
        wait(every)
    with log.open("rb") as file:
        follower = Follower(file)
        while True:
            # Check this first: the log has everything written until then.
            last = over.is_file()
            seen, more = follower.look()
            if queue is not None:
                kept = seen.queues.filter(pl.col("queue") == queue)
                seen = LiveLook(seen.seconds, kept)
            yield seen
            if last and not more:
                return
            if not more:
                wait(every)
