# SPDX-License-Identifier: GPL-2.0-only
"""One run, seen by five: the probe, our driver, QEMU's trace, the ring watcher, the access tracer.

All tell the same heads, lengths and indices, in the same order on each queue.
"""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pykit import steps
from pykit.scenario.model import SCENARIOS
from pykit.trace.access import read_accesses
from pykit.trace.rebuilt import Rebuilt, driver_events

QUEUE = ["dev", "life", "vq"]
#: The driver's own accesses, and not those by which the kit looks at the ring.
CORE = "^virtqueue_"


TRANSPORTS = [
    "pci",
    pytest.param("pci-legacy", marks=pytest.mark.slow),
    pytest.param("mmio", marks=pytest.mark.slow),
    pytest.param("mmio-legacy", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module", params=TRANSPORTS)
def seen(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> steps.RunResult:
    """The default scenario with our driver and everybody who can look on."""
    return watched(tmp_path_factory, observe=("access", "rings"), transport=request.param)


def watched(folders: pytest.TempPathFactory, **axes: Any) -> steps.RunResult:
    """Run the default scenario with our driver, the probe and these observers."""
    text = (SCENARIOS / "blk.toml").read_text()
    both = text.replace('["pykit_virtio_blk"]', '["pykit_probe", "pykit_virtio_blk"]')
    assert both != text
    path = folders.mktemp("five") / "five.toml"
    path.write_text(both)
    return steps.run(
        str(path),
        kernel_name=None,
        runner="direct",
        fault=None,
        # QEMU's options end at commas, and each observer has files of its own.
        to=folders.mktemp("a,b:c d"),
        say=lambda line: None,
        **axes,
    )


def reported(result: steps.RunResult, kind: str, source: str = "", **fields: str) -> pl.DataFrame:
    """Fields of the events of a kind, queue by queue in their order: ``new="old"``."""
    rows = result.events.of(kind)
    rows = rows.filter(pl.col("source") == source) if source else rows
    return rows.sort(*QUEUE, "seq", "row").select(*QUEUE, **fields)


def accessed(result: steps.RunResult, write: int, **fields: str) -> pl.DataFrame:
    """Values that the driver wrote to, or read from, fields: ``name="area.field"``."""
    rows = result.events.of("acc_ring").filter(
        pl.col("write") == write, pl.col("symbol").str.contains(CORE)
    )
    rows = rows.sort(*QUEUE, "row")
    columns = []
    for name, place in fields.items():
        area, field = place.split(".")
        columns.append(rows.filter(area=area, field=field).select(*QUEUE, **{name: "value"}))
    for other in columns[1:]:
        assert_frame_equal(columns[0].select(QUEUE), other.select(QUEUE))
    return columns[0].hstack([frame.to_series(-1) for frame in columns[1:]])


def same(one: pl.DataFrame, other: pl.DataFrame) -> None:
    assert one.height > 1500
    assert_frame_equal(one, other, check_dtypes=False)


def test_it_ran_clean(seen: steps.RunResult) -> None:
    assert seen.outcome.kind == "clean", seen.outcome.message
    assert seen.verdicts.having("fail") == ()
    assert (seen.events.lost, seen.events.losses) == (0, ())
    sources = set(seen.events.base["source"].unique())
    # QEMU 7.2 gives a plugin no values of registers, and none any of ports: its log has them.
    assert sources >= {"driver", "probe", "qemu", "access", "rings"}
    assert sources - {"registers"} == {
        "driver", "probe", "qemu", "access", "rings", "survey",
    }  # fmt: skip


def test_heads_and_avail_indices(seen: steps.RunResult) -> None:
    """What driver and probe traced, the CPU stored, stood in memory and QEMU counted."""
    driver = reported(seen, "add", "driver", head="head", idx="avail_idx")
    same(driver, reported(seen, "add", "probe", head="head", idx="avail_idx"))
    same(driver, accessed(seen, 1, head="avail.ring", idx="avail.idx"))
    same(driver, reported(seen, "ring_avail", head="head", idx="avail_idx"))
    same(driver.drop("head"), reported(seen, "dev_pop", idx="avail_idx"))


def test_lengths_and_used_places(seen: steps.RunResult) -> None:
    driver = reported(seen, "used", "driver", id="id", len="len", index="index")
    same(driver, reported(seen, "used", "probe", id="id", len="len", index="index"))
    same(driver.drop("index"), accessed(seen, 0, id="used.id", len="used.len"))
    same(driver, reported(seen, "ring_used", id="id", len="len", index="index"))
    same(driver.drop("id"), reported(seen, "dev_fill", len="len", index="index"))


#: Of each kind, what a trace inside the guest and the access tracer both have.
MADE = {
    "add": "readable writable chain num_free head avail_idx slots indirect",
    "desc": "addr len head slot flags next pos table",
    "kick": "old new event event_idx needed",
    "used": "id len index accepted",
    "notify": "",
    "blk_start": "sector status_addr bytes type head segments",
    "blk_done": "sector type len head status",
}


def test_a_drivers_events_are_made_of_its_accesses(seen: steps.RunResult) -> None:
    """Add by add, kick by kick, entry by entry what the probe traced inside."""
    made_of_accesses(seen)


def made_of_accesses(seen: steps.RunResult) -> Rebuilt:
    """Compare the events that are made of accesses with the probe's, and return them."""
    events = seen.events
    read = read_accesses(seen.directory / "capture", events.devices, events.capture.plugs)
    made = driver_events(read, frozenset(events.devices.values()), events.of("register"))
    for kind in MADE.keys() & made.kinds:
        columns = {name: name for name in MADE[kind].split()}
        probed = reported(seen, kind, "probe", **columns)
        mine = made.rows.filter(kind=kind).sort(*QUEUE, "seq").select(*QUEUE, **columns)
        if kind == "kick":
            # The core looks between the probe's two looks, and the device may write meanwhile.
            looks = reported(seen, kind, "probe", first="event", then="event_after")
            steady = looks["first"] == looks["then"]
            assert steady.sum() > 0.9 * len(steady)
            event = pl.when(steady).then("event")
            mine, probed = mine.with_columns(event), probed.with_columns(event)
        assert_frame_equal(mine, probed, check_dtypes=False)
    return made


@pytest.mark.slow
def test_a_packed_rings_events_are_made_of_accesses(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    seen = watched(tmp_path_factory, observe=("access",), ring="packed")
    assert (seen.outcome.kind, seen.verdicts.having("fail")) == ("clean", ())
    made = made_of_accesses(seen)
    # The probe looks behind the add, when the device may have written over the list.
    columns = {name: name for name in ("addr", "len", "head", "slot", "id", "flags", "pos")}
    probed = reported(seen, "slot", "probe", **columns)
    mine = made.rows.filter(kind="slot").sort(*QUEUE, "seq").select(*QUEUE, **columns)
    assert mine.height == probed.height
    available = (probed["flags"] & 1 << 7 > 0) != (probed["flags"] & 1 << 15 > 0)
    assert available.sum() > 0.9 * probed.height
    assert_frame_equal(mine.filter(available), probed.filter(available), check_dtypes=False)


def test_an_entry_is_seen_between_two_looks(seen: steps.RunResult) -> None:
    """By the host's clock: not before QEMU wrote it, and not long after."""
    looks = seen.events.of("ring_used").sort(*QUEUE, "row")
    fills = seen.events.of("dev_fill").sort(*QUEUE, "row")
    assert (looks["ts"] >= fills["ts"]).all()
    assert (looks["before"].cast(pl.Int64) < looks["ts"]).all()


def test_program_order(seen: steps.RunResult) -> None:
    """On each CPU instructions are counted up; an entry is stored before its index."""
    rows = seen.events.table.filter(source="access")
    for (_,), mine in rows.group_by("cpu"):
        assert mine.sort("row")["insns"].cast(pl.Int64).is_sorted()
    stores = seen.events.of("acc_ring").filter(
        pl.col("write") == 1, pl.col("area") == "avail", pl.col("field").is_in(["ring", "idx"])
    )
    for _, queue in stores.group_by(QUEUE):
        fields = queue.sort("row")["field"].to_list()
        assert set(fields[::2]) == {"ring"}
        assert set(fields[1::2]) == {"idx"}


def test_notifications_are_register_writes(seen: steps.RunResult) -> None:
    """ioeventfd hides them from QEMU's own trace of registers, and not from the CPU."""
    if any("which queue" in line or "ports" in line for line in seen.events.capture.unseen):
        pytest.skip("this QEMU does not show it on this transport")
    registers = seen.events.of("acc_register").filter(pl.col("vq").is_not_null())
    assert (
        registers.group_by(QUEUE)
        .len()
        .sort(QUEUE)
        .equals(reported(seen, "notify", "driver").group_by(QUEUE).len().sort(QUEUE))
    )
