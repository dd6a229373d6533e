# SPDX-License-Identifier: GPL-2.0-only
"""One clock for both sides: a known difference is found again, within the error that is claimed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from pykit.trace import Events, load
from pykit.trace.align import LOG_STEP_NS, Alignment, align
from pykit.trace.frames import Frames

HOST = 1_700_000_000_000_000_000


def frames_of(table: pl.DataFrame) -> Frames:
    wide = table.with_columns(pl.col("row").cast(pl.UInt32))
    fields = {kind: ["before"] if kind == "add" else [] for kind in table["kind"].unique()}
    return Frames.split(wide, fields, {"before": pl.Int64})


def requests(
    count: int, offset: int, drift: float, seed: int, queues: int = 2
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Requests of both sides with random delays, and their true times in the guest's clock."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    true: list[tuple[int, int]] = []
    now = 10**9
    for _ in range(count):
        now += int(rng.integers(20_000, 5_000_000))
        queue = {"dev": 0, "life": 0, "vq": int(rng.integers(queues))}
        pop = now + int(rng.integers(1, 200_000))
        fill = pop + int(rng.integers(1, 400_000))
        taken = fill + int(rng.integers(1, 200_000))
        # The vCPU may wait between its looks at the clock, and another take an interrupt then.
        reported = now + int(rng.integers(taken - now))
        late = int(rng.integers(now, reported + 1))
        events = (
            ("callback", now - 5_000),
            ("interrupt", late),
            ("add", reported),
            ("used", taken),
        )
        for kind, at in events:
            before = now - 3_000 if kind == "add" else None
            rows.append({**queue, "kind": kind, "source": "driver", "ts": at, "before": before})
        for kind, at in (("dev_pop", pop), ("dev_fill", fill)):
            host = HOST + offset + at + round(drift * at)
            stamp = host // LOG_STEP_NS * LOG_STEP_NS
            rows.append({**queue, "kind": kind, "source": "qemu", "ts": stamp, "before": None})
            true.append((stamp, at))
        now = taken
    table = pl.DataFrame(rows, infer_schema_length=None).sort("ts").with_row_index("row")
    seq = pl.int_range(1, pl.len() + 1).over("source", "vq").alias("seq")
    return table.with_columns(seq), pl.DataFrame(true, schema=["host", "guest"], orient="row")


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(2, 60),
    offset=st.integers(-(10**15), 10**15),
    drift=st.floats(-2e-4, 2e-4),
    seed=st.integers(0, 2**32),
)
def test_a_known_difference_is_found(count: int, offset: int, drift: float, seed: int) -> None:
    table, true = requests(count, offset, drift, seed)
    found = align(frames_of(table), 0)
    if isinstance(found, str):
        # Two requests on two queues may be one after the other: nothing bounds both sides.
        assert count < 8
        return
    wrong = (found.to_guest(true["host"]) - true["guest"]).abs().max()
    assert isinstance(wrong, int)
    assert wrong <= found.worst_ns + 2 * LOG_STEP_NS
    assert found.error_ns <= found.worst_ns


def test_many_pairs_narrow_it_down() -> None:
    table, true = requests(4000, 123_456_789, 3e-5, 1)
    found = align(frames_of(table), 0)
    assert isinstance(found, Alignment)
    assert found.pairs == 8000
    assert found.error_ns < 20_000
    wrong = (found.to_guest(true["host"]) - true["guest"]).abs().max()
    assert isinstance(wrong, int)
    assert wrong < 100_000


def test_no_effect_before_its_cause() -> None:
    table, _ = requests(3000, -5, -1e-5, 2)
    found = align(frames_of(table), 0)
    assert isinstance(found, Alignment)
    host = table.filter(source="qemu")
    host = host.with_columns(ts=found.to_guest(host["ts"]))
    queue = ["dev", "life", "vq"]
    place = pl.int_range(pl.len()).over(queue).alias("place")

    def times(kind: str) -> pl.DataFrame:
        side = host if kind.startswith("dev_") else table
        return side.filter(kind=kind).with_columns(place).select(*queue, "place", "ts")

    for cause, effect in (("callback", "dev_pop"), ("dev_fill", "used")):
        both = times(cause).join(times(effect), on=[*queue, "place"], suffix="_effect")
        assert both.height == 3000
        assert (both["ts"] <= both["ts_effect"] + LOG_STEP_NS).all()


def test_a_clock_that_was_set_is_no_clock() -> None:
    table, _ = requests(200, 0, 0.0, 3)
    half = table["ts"].max()
    assert isinstance(half, int)
    middle = table.filter(source="qemu")["ts"].median()
    late = (pl.col("source") == "qemu") & (pl.col("ts") > middle)
    set_back = table.with_columns(ts=pl.when(late).then(pl.col("ts") - 10**9).otherwise("ts"))
    assert "clock was set" in str(align(frames_of(set_back), 0))


def test_without_both_sides_or_with_losses() -> None:
    table, _ = requests(10, 0, 0.0, 4)
    assert "lost" in str(align(frames_of(table), 1))
    assert "both the guest and QEMU" in str(
        align(frames_of(table.filter(source="driver").drop("row").with_row_index("row")), 0)
    )


def test_a_real_capture(capture: Path) -> None:
    events = load(capture)
    found = events.alignment
    assert isinstance(found, Alignment)
    # Of a pop's log line and of the event that tells of a used entry.
    assert 0 < found.error_ns < 1_000_000
    table = events.table
    assert table["time"].null_count() == 0
    guest = table.filter(source="driver")
    assert (guest["time"] == guest["ts"]).all()
    both = table.filter(pl.col("kind").is_in(["dev_fill", "used"]))
    spread = both["time"].max() - both["time"].min()  # type: ignore[operator]
    assert spread < 60 * 10**9


def test_alignment_is_saved(capture: Path, tmp_path: Path) -> None:
    events = load(capture)
    events.write_parquet(tmp_path / "events.parquet")
    assert Events.read_parquet(tmp_path / "events.parquet").alignment == events.alignment
