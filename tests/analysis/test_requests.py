# SPDX-License-Identifier: GPL-2.0-only
"""Requests, queues and exports of a real capture, against the events themselves."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from pathlib import Path

import polars as pl
import pytest
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as proto
from rich.console import Console

from pykit import analysis
from pykit.analysis.export import FORMS
from pykit.analysis.queues import queues, stages
from pykit.analysis.requests import QUEUE, STAGES
from pykit.analysis.timeline import depths, lanes
from pykit.errors import InfraError, UsageError
from pykit.trace import Events, load
from pykit.trace.align import LOG_STEP_NS, Alignment
from pykit.trace.kinds import JOINED, LEFT
from tests.trace.conftest import unpack


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack("capture-6.12.tar.xz", tmp_path_factory.mktemp("capture"))


@pytest.fixture(scope="module")
def events(capture: Path) -> Events:
    return load(capture)


@pytest.fixture(scope="module")
def requests(events: Events) -> pl.DataFrame:
    return analysis.requests(events)


def test_every_chain_is_a_request(events: Events, requests: pl.DataFrame) -> None:
    assert requests.height == events.of("add").height == 82
    assert requests["request"].to_list() == list(range(82))
    for name in ("add", "kick", "pop", "fill", "used", "done", "type", "status", "len"):
        assert requests[name].null_count() == 0, name
    assert requests["exit"].is_not_null().equals(requests["notified"], check_names=False)
    done = events.of("blk_done")
    assert sorted(requests["sector"]) == sorted(done["sector"])
    assert requests["len"].sum() == events.of("used")["len"].sum()


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "7.2"])
def test_no_effect_before_its_cause(kernel: str, tmp_path: Path) -> None:
    requests = analysis.requests(load(unpack(f"capture-{kernel}.tar.xz", tmp_path)))
    order = [(begin, end) for _, begin, end in STAGES]
    for cause, effect in (*order, ("add", "pop"), ("pop", "fill"), ("fill", "used")):
        both = requests.select(cause, effect).drop_nulls()
        assert both.height, (cause, effect)
        assert (both[cause] <= both[effect]).all(), (cause, effect)
    for name, begin, end in STAGES:
        assert requests[f"ns_{name}"].equals(requests[end] - requests[begin], check_names=False)
    # A request that went through all stages spent its time in them.
    alone = requests.drop_nulls([f"ns_{name}" for name, _, _ in STAGES])
    assert alone.height > 10
    whole = alone.select(pl.sum_horizontal(f"ns_{name}" for name, _, _ in STAGES)).to_series()
    assert whole.equals(alone["done"] - alone["add"], check_names=False)


def test_what_no_clock_was_fitted_to(events: Events) -> None:
    """The alignment knows chains and entries; doorbells and interrupts have to agree with it."""
    found = events.alignment
    assert isinstance(found, Alignment)
    room = found.worst_ns + LOG_STEP_NS
    for cause, effect in (("notify", "dev_kick"), ("dev_signal", "interrupt")):
        judged = 0
        for _, queue in events.table.filter(pl.col("vq").is_not_null()).group_by(*QUEUE):
            # A doorbell may be for several, and an interrupt: where there is one for each.
            sent = queue.filter(pl.col("kind") == cause)["time"]
            came = queue.filter(pl.col("kind") == effect)["time"]
            # QEMU rings the first one itself when the device is set up.
            came = came[1:] if effect == "dev_kick" else came
            if len(sent) == len(came):
                judged += len(sent)
                assert (came - sent).min() >= -room, (cause, effect)  # type: ignore[operator]
        assert judged, (cause, effect)


def test_without_the_device_there_are_the_drivers_moments(events: Events) -> None:
    inside = events.with_table(events.table.filter(pl.col("source") == "driver"))
    found = analysis.requests(inside)
    assert found.height == 82
    assert found["pop"].null_count() == 82
    assert found["used"].null_count() == 0


def test_the_probe_tells_the_same(events: Events, requests: pl.DataFrame) -> None:
    source = pl.col("source").cast(pl.String).replace("driver", "probe")
    probed = events.with_table(events.table.with_columns(source=source))
    assert analysis.requests(probed).equals(requests)


def test_queues(events: Events, requests: pl.DataFrame) -> None:
    table = queues(events, requests)
    assert table["requests"].sum() == 82
    assert table["notifications"].sum() == events.of("notify").height
    assert table["interrupts"].sum() == events.of("interrupt").height
    kicks = events.of("kick")
    assert (table["suppressed"] <= 1).all()
    assert (table["chains_per_kick"] * table["requests"] > 0).all()
    assert kicks.height <= 82
    deepest = max(count for depth in depths(requests) for _, count in depth.steps)
    assert table["deepest"].max() == deepest
    times = stages(requests)
    assert (times["p50"] <= times["p99"]).all()
    assert times.filter(stage="whole")["count"].sum() == 82


def test_lanes_hold_everything_once(requests: pl.DataFrame) -> None:
    seen = []
    for lane in lanes(requests):
        outer = [part for part in lane.slices if part.args]
        seen += [part.args["request"] for part in outer]
        ends = [part.end for part in outer]
        begins = [part.begin for part in outer]
        assert all(end <= begin for end, begin in zip(ends, begins[1:], strict=False))
        assert all(part.begin <= part.end for part in lane.slices)
    assert sorted(seen) == list(range(82))


@pytest.mark.parametrize("form", FORMS)
def test_export(capture: Path, events: Events, tmp_path: Path, form: str) -> None:
    path = tmp_path / f"out.{form}"
    analysis.write(capture, form, path)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    height = events.table.height
    if form == "parquet":
        assert Events.read_parquet(path).table.equals(events.table)
    elif form == "requests":
        assert pl.read_parquet(path).height == 82
    elif form == "csv":
        with path.open() as file:
            assert len(list(csv.reader(file))) == height + 1
    elif form == "chrome":
        drawn = json.loads(path.read_text())["traceEvents"]
        whole = [event for event in drawn if event["ph"] == "X" and event["args"]]
        assert len(whole) == 82
        assert all(event["dur"] >= 0 for event in drawn if event["ph"] == "X")
    elif form == "perfetto":
        trace = proto.Trace()
        trace.ParseFromString(path.read_bytes())
        kinds = [p.track_event.type for p in trace.packet if p.HasField("track_event")]
        assert kinds.count(proto.TrackEvent.TYPE_SLICE_BEGIN) > 82 * 5
        assert kinds.count(proto.TrackEvent.TYPE_SLICE_BEGIN) == kinds.count(
            proto.TrackEvent.TYPE_SLICE_END
        )
    else:
        again = load(path)
        assert again.lost == 0
        mine = events.table.filter(source="driver")
        assert again.table.height == mine.height
        assert again.table["ts"].to_list() == mine["ts"].to_list()
        if shutil.which("trace-cmd"):
            report = ["trace-cmd", "report", "-i", str(path)]
            said = subprocess.run(report, capture_output=True, text=True, check=True).stdout
            assert said.count("pykit_add:") == 82


def test_export_takes_nothing_away(capture: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine"
    path.write_text("precious")
    with pytest.raises(UsageError, match="exists"):
        analysis.write(capture, "csv", path)
    assert path.read_text() == "precious"
    with pytest.raises(UsageError, match="unknown format 'pdf'"):
        analysis.write(capture, "pdf", tmp_path / "other")
    with pytest.raises(InfraError, match="cannot be written"):
        analysis.write(capture, "csv", tmp_path / "none" / "there")
    assert sorted(tmp_path.iterdir()) == [path]


def test_show(capture: Path) -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    shown = analysis.show(capture, queue=None, request=None)
    shown.render(console)
    analysis.show(capture, queue="0.1", request=None).render(console)
    analysis.show(capture, queue=None, request=7).render(console)
    text = console.export_text()
    assert "request 7:" in text
    assert "storage" in text
    assert json.loads(json.dumps(shown.as_dict()))["lost"] == 0
    with pytest.raises(UsageError, match="unknown queue '9"):
        analysis.show(capture, queue="9.9", request=None)
    with pytest.raises(UsageError, match="unknown request 82: choose from 0 to 81"):
        analysis.show(capture, queue=None, request=82)


def test_who_came_later_pairs_what_he_saw(events: Events, requests: pl.DataFrame) -> None:
    """Of a queue that was left and joined again; ``seq`` begins anew there."""
    table = events.table
    queue = table.filter((pl.col("kind") == "queue") & (pl.col("vq") == 0) & (pl.col("op") == 0))
    mine = (pl.col("source") == "driver") & (pl.col("vq") == 0)
    used = table.filter(mine & (pl.col("kind") == "used"))
    # The observer is away from the moment before an entry is taken, for a few entries.
    left, back = used["row"][4], used["row"][8]
    away = mine & pl.col("row").is_between(left, back, closed="left")
    rest = (
        pl.when(mine & (pl.col("row") >= back))
        .then(pl.col("seq") - used["seq"][8] + 2)
        .otherwise("seq")
        .cast(table.schema["seq"])
        .alias("seq")
    )

    def mark(op: int, row: int, seq: int) -> pl.DataFrame:
        changes = {"op": op, "row": row, "seq": seq}
        return queue.with_columns(
            pl.lit(value).cast(table.schema[name]).alias(name) for name, value in changes.items()
        )

    kept = table.filter(~away | (pl.col("row").is_null())).with_columns(rest)
    parts = [kept.filter(pl.col("row") < back), kept.filter(pl.col("row") >= back)]
    cut = pl.concat(
        [parts[0], mark(LEFT, left, used["seq"][4]), mark(JOINED, back - 1, 1), parts[1]]
    )
    found = analysis.requests(events.with_table(cut))
    both = found.join(requests, on=("dev", "life", "vq", "add"), suffix="_true")
    assert both.height == found.height
    assert found.height < requests.height or found["used"].null_count()
    for name in ("used", "done", "status", "kick", "pop", "fill"):
        reported = both.filter(pl.col(name).is_not_null())
        assert reported.height, name
        assert (reported[name] == reported[f"{name}_true"]).all(), name
    assert both.filter(vq=1).drop_nulls("pop").height == requests.filter(vq=1).height
