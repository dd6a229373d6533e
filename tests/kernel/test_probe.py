# SPDX-License-Identifier: GPL-2.0-only
"""The probe: what it tells of drivers that know nothing of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pykit import steps
from pykit.errors import Exit
from pykit.scenario.model import SCENARIOS
from pykit.spec import bits
from pykit.trace.kinds import BROKEN, DELETED, SET_UP, UNBROKEN

Run = Callable[..., steps.RunResult]

KERNELS = [
    None,
    pytest.param("debian-6.1", marks=pytest.mark.slow),
    pytest.param("debian-7.2", marks=pytest.mark.slow),
]

#: Rules that our driver passes and a stock one need not: it never reads max_write_zeroes_seg,
#: and whether QEMU has the used flag up in the moment of a decision is chance (4 times a run), as
#: it is how many entries QEMU returns that no interrupt was asked for (4 to 30 a run).
NOT_STOCK = {"BO-DR-11", "NA-DR-03", "NU-DE-02"}
#: Rules for which our own driver marks its buffers, and reads what a device must leave 0.
MARKED = {"BI-DE-04", "BO-DE-09", "SD-DE-01"}
#: The topic whose counts say nothing of what the probe sees: how many decisions meet a device that
#: is awake or asleep, suppressed or not, is how the two sides took turns. Where something else
#: runs on the machine it is 31 in a run beside 327 in the other.
TURNS = "notify"


@pytest.fixture(scope="module", params=KERNELS)
def stock(request: pytest.FixtureRequest, run: Run) -> steps.RunResult:
    """The default scenario with the kernel's own driver."""
    return run(driver="virtio_blk", kernel_name=request.param)


def test_the_stock_driver_keeps_the_rules(stock: steps.RunResult) -> None:
    assert stock.outcome.kind == "clean", stock.outcome.message
    assert stock.verdicts.having("fail") == ()
    assert stock.exit_code == Exit.OK
    assert (stock.events.lost, stock.events.losses) == (0, ())
    assert set(stock.events.table["source"].unique()) == {"probe", "qemu", "survey"}


def test_as_much_is_seen_as_of_our_own(stock: steps.RunResult, direct: steps.RunResult) -> None:
    ours, theirs = (set(result.verdicts.having("pass")) for result in (direct, stock))
    assert ours - theirs <= NOT_STOCK | MARKED
    for name in (ours & theirs) - NOT_STOCK:
        both = [result.verdicts.of(name) for result in (direct, stock)]
        if both[0].rule.topic != TURNS:
            assert both[1].checked * 4 >= both[0].checked, name


def variant(folder: Path, **changes: str) -> str:
    """The default scenario with some of its lines changed: from the line's start to its end."""
    text = (SCENARIOS / "blk.toml").read_text()
    for start, line in changes.items():
        text, count = re.subn(rf"^{start} = .*$", f"{start} = {line}", text, flags=re.MULTILINE)
        assert count, start
    path = folder / "variant.toml"
    path.write_text(text)
    return str(path)


@pytest.fixture(scope="module")
def both(run: Run, tmp_path_factory: pytest.TempPathFactory) -> steps.RunResult:
    """The default scenario with our driver, and the probe beside it."""
    folder = tmp_path_factory.mktemp("both")
    return run(variant(folder, modules='["pykit_probe", "pykit_virtio_blk"]'))


#: What the driver has to serialise, and so both observers tell in the same order.
SERIAL = ("queue", "add", "desc", "kick", "used", "callback", "blk_start", "blk_range", "blk_done")
#: Fields that say when or by whose count something was traced.
OWN = {"row", "ts", "time", "source", "cpu", "seq", "before"}
#: What the device may write between two looks, and who looks first, by kind.
RACED = {
    "add": {"used_idx": "driver"},
    "used": {"used_idx": "driver"},
    "callback": {"used_idx": "probe"},
    "queue": {},
}
QUEUE = ["dev", "life", "vq"]


def reported(result: steps.RunResult, source: str, kind: str) -> pl.DataFrame:
    """One observer's events of a kind, each queue's in their order."""
    table = result.events.of(kind).filter(pl.col("source") == source)
    return table.sort(*QUEUE, "seq", maintain_order=True)


def ahead(low: pl.Series, high: pl.Series) -> pl.Series:
    """How far one 16-bit index is ahead of another."""
    return (high.cast(pl.Int64) - low.cast(pl.Int64)) % (1 << 16)


def test_both_ran_clean(both: steps.RunResult) -> None:
    assert both.outcome.kind == "clean", both.outcome.message
    assert both.exit_code == Exit.OK
    assert (both.events.lost, both.events.losses) == (0, ())


def test_the_order_is_the_same(both: steps.RunResult) -> None:
    table = both.events.table.filter(pl.col("kind").is_in(SERIAL))
    orders = [
        table.filter(pl.col("source") == source)
        .sort(*QUEUE, "seq", maintain_order=True)
        .select(*QUEUE, "kind")
        for source in ("driver", "probe")
    ]
    assert orders[0].height > 20_000
    assert_frame_equal(*orders)


@pytest.mark.parametrize("kind", [kind for kind in SERIAL if kind != "kick"])
def test_every_field_is_the_same(both: steps.RunResult, kind: str) -> None:
    driver, probe = (reported(both, source, kind) for source in ("driver", "probe"))
    raced = RACED.get(kind, {})
    fields = [name for name in driver.columns if name not in OWN | set(raced)]
    assert driver.height
    assert_frame_equal(driver.select(fields), probe.select(fields))
    for name, first in raced.items():
        early, late = (driver, probe) if first == "driver" else (probe, driver)
        assert (ahead(early[name], late[name]) < 1 << 15).all(), name


def test_decisions_are_the_same(both: steps.RunResult) -> None:
    """The probe looks at what the device asks for between the driver's two looks."""
    driver, probe = (reported(both, source, "kick") for source in ("driver", "probe"))
    fields = [*QUEUE, "pid", "old", "new", "event_idx", "needed"]
    assert driver.height > 1500
    assert_frame_equal(driver.select(fields), probe.select(fields))
    event_idx = driver["event_idx"] == 1
    for name in ("event", "event_after"):
        whole = ahead(driver["event"], driver["event_after"])
        inside = ahead(driver["event"], probe[name])
        assert (inside <= whole).filter(event_idx).all()
    still = driver["flags"] == driver["flags_after"]
    for name in ("flags", "flags_after"):
        assert (driver["flags"] == probe[name]).filter(still).sum() > 0.99 * still.sum()


def test_notifications_and_interrupts_are_the_same(both: steps.RunResult) -> None:
    """Neither is serialised with the rest: each is in an order of its own."""
    for kind in ("notify", "interrupt"):
        driver, probe = (reported(both, source, kind) for source in ("driver", "probe"))
        assert driver.height > 1000
        assert_frame_equal(driver.select(QUEUE), probe.select(QUEUE))
    assert (ahead(probe["used_idx"], driver["used_idx"]) < 1 << 15).all()


@pytest.fixture(scope="module", params=[None, "debian-6.1"])
def soft(
    request: pytest.FixtureRequest, run: Run, tmp_path_factory: pytest.TempPathFactory
) -> steps.RunResult:
    """The self-test of virtqueues under the probe: what a driver and device hardly ever do."""
    head, first, *_ = (SCENARIOS / "selftest.toml").read_text().split("[[step]]")
    head = re.sub("^modules = .*$", 'modules = ["pykit_probe", "pykit_selftest"]', head, flags=re.M)
    path = tmp_path_factory.mktemp("soft") / "soft.toml"
    path.write_text(f"{head}[[step]]{first}")
    return run(str(path), kernel_name=request.param)


@pytest.mark.slow
def test_what_hardly_ever_happens_is_traced(soft: steps.RunResult) -> None:
    # The core refuses the wrong ids.
    assert soft.outcome.kind == "refused-used", soft.outcome.message
    assert (soft.events.lost, soft.events.losses) == (0, ())
    # The device in software returns what is not outstanding, and lengths as it likes.
    assert soft.verdicts.having("fail") == ("DX-09", "DX-01", "DX-06")
    queues = soft.events.of("queue").filter(pl.col("source") == "probe")
    assert set(queues["op"]) == {SET_UP, DELETED, BROKEN, UNBROKEN}
    # One of a device, one of a queue, with each of eight rings.
    assert [(queues["op"] == op).sum() for op in (BROKEN, UNBROKEN)] == [16, 16]
    # Two ids that are wrong with each.
    assert (soft.events.of("used")["accepted"] == 0).sum() == 16
    assert soft.events.of("detach").height > 100
    stages = soft.events.of("driver")["stage"].to_list()
    for stage in (bits.PROBE_FAILED, bits.FREEZE, bits.RESTORE):
        assert stages.count(stage) == 8
    assert stages.count(bits.REMOVED) == stages.count(bits.PROBED)
