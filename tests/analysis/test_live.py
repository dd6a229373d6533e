# SPDX-License-Identifier: GPL-2.0-only
"""A log that grows is shown look by look, and all looks together show what the whole does."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from pykit import analysis
from pykit.analysis.live import LiveLook, looks
from pykit.errors import UsageError
from pykit.trace import Events, load
from tests.trace.conftest import unpack

#: How many pieces the log comes in; cut wherever it is.
PIECES = 7
COUNTS = ("requests", "notifications", "interrupts")


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack("capture-6.12.tar.xz", tmp_path_factory.mktemp("capture"))


@pytest.fixture(scope="module")
def events(capture: Path) -> Events:
    return load(capture)


def grown(capture: Path, run: Path, queue: str | None = None) -> Iterator[LiveLook]:
    """Follow a run whose log comes in pieces, and then its capture.json."""
    run.mkdir()
    whole = (capture / "qemu.log").read_bytes()
    size = len(whole) // PIECES + 1
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]

    def more(seconds: float) -> None:
        assert seconds == 1.0
        if pieces:
            with (run / "qemu.log").open("ab") as log:
                log.write(pieces.pop(0))
        else:
            (run / "capture.json").write_text("{}")

    return looks(run, queue=queue, every=1.0, wait=more)


def test_all_looks_are_the_whole(capture: Path, events: Events, tmp_path: Path) -> None:
    seen = list(grown(capture, tmp_path / "run"))
    assert len(seen) == PIECES + 1
    rows = pl.concat([look.queues for look in seen])
    reported = (
        rows.group_by("queue").agg(pl.col(*COUNTS).sum(), pl.col("deepest").max()).sort("queue")
    )
    log = events.table.filter(source="qemu")

    def count(kind: str) -> pl.Series:
        mine = log.filter(pl.col("kind") == kind, pl.col("vq").is_not_null())
        return mine.group_by("dev", "vq").len().sort("dev", "vq")["len"]

    for name, kind in zip(COUNTS, ("dev_fill", "dev_kick", "dev_signal"), strict=True):
        assert reported[name].to_list() == count(kind).to_list(), name
    step = pl.when(pl.col("kind") == "dev_pop").then(1).otherwise(-1).cum_sum().over("dev", "vq")
    depth = log.filter(pl.col("kind").is_in(["dev_pop", "dev_fill"])).with_columns(depth=step)
    deepest = depth.group_by("dev", "vq").agg(pl.col("depth").max()).sort("dev", "vq")["depth"]
    assert reported["deepest"].to_list() == deepest.to_list()
    times = log["ts"]
    assert sum(look.seconds or 0 for look in seen) * 1e9 == pytest.approx(
        times.max() - times.min()  # type: ignore[operator]
    )


def test_times_reach_over_looks(capture: Path, events: Events, tmp_path: Path) -> None:
    """The slowest request took as long as the requests table says."""
    rows = pl.concat([look.queues for look in grown(capture, tmp_path / "run")])
    at_device = analysis.requests(events).select(pl.col("fill") - pl.col("pop")).to_series()
    longest = at_device.max()
    assert isinstance(longest, int)
    # A percentile of a look is between those of its requests; clocks drift by parts of a million.
    assert rows["p99"].max() <= longest + 1000  # type: ignore[operator]
    assert rows["p50"].min() >= at_device.min() - 1000  # type: ignore[operator]


def test_one_queue(capture: Path, tmp_path: Path) -> None:
    for look in grown(capture, tmp_path / "run", "0.1"):
        assert set(look.queues["queue"]) <= {"0.1"}


def test_it_is_printed(capture: Path) -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    (look,) = analysis.follow(capture, queue=None)
    look.legend(console)
    look.render(console)
    text = console.export_text()
    assert "0.1" in text
    assert "p99 µs" in text
    LiveLook(None, look.queues.clear()).render(console)
    assert console.export_text() == ""
    assert look.as_dict()["queues"]


def test_what_cannot_be_followed(capture: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such directory"):
        next(looks(tmp_path / "none", queue=None, every=1))
    with pytest.raises(UsageError, match=r"DEV\.VQ"):
        next(looks(capture, queue="first", every=1))
    (tmp_path / "capture.json").write_text("{}")
    with pytest.raises(UsageError, match=r"no qemu\.log"):
        next(looks(tmp_path, queue=None, every=1))
