# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's other drivers under the probe: whole lives, and no findings but the known."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from pykit import steps
from pykit.errors import Exit
from pykit.spec import bits
from pykit.trace.kinds import BROKEN, DELETED, SET_UP

pytestmark = pytest.mark.slow

Run = Callable[..., steps.RunResult]

#: Device ids of the scenario: the type that the driver takes it for, and its queues.
DEVICES = {
    "net0": (1, 3),
    "scsi0": (8, 4),
    "serial0": (3, 64),
    "balloon0": (5, 3),
    "keyboard0": (18, 2),
    "rng0": (4, 1),
    "files0": (9, 1),
}
#: Those whose drivers take back what the device has not used.
TAKE_BACK = {"net0", "serial0"}


@pytest.fixture(scope="module", params=[None, "debian-6.1", "debian-7.2"])
def others(request: pytest.FixtureRequest, run: Run) -> steps.RunResult:
    return run("others", kernel_name=request.param)


def of(result: steps.RunResult, name: str, kind: str) -> pl.DataFrame:
    """What the probe tells of a device."""
    mine = (pl.col("source") == "probe") & (pl.col("dev") == result.events.devices[name])
    return result.events.of(kind).filter(mine).sort("row")


def test_only_what_is_known_is_found(others: steps.RunResult) -> None:
    assert others.outcome.kind == "clean", others.outcome.message
    assert (others.events.lost, others.events.losses) == (0, ())
    assert others.verdicts.having("fail") == ()
    assert set(others.verdicts.having("waived")) == {"DX-06", "IN-DR-08", "RS-DE-03", "ST-DE-01"}
    # The balloon's one buffer; the rest is virtio-scsi's.
    for name in ("IN-DR-08", "RS-DE-03", "ST-DE-01"):
        assert others.verdicts.of(name).violations == 1
    assert others.exit_code == Exit.OK


@pytest.mark.parametrize("name", DEVICES)
def test_a_whole_life(others: steps.RunResult, name: str) -> None:
    number, queues = DEVICES[name]
    driver = of(others, name, "driver")
    assert set(driver["id"]) == {number}
    assert driver["stage"].to_list() == [bits.BEGIN, bits.PROBED, bits.REMOVE, bits.REMOVED]
    (frozen,) = of(others, name, "features").filter(pl.col("stage") == 2)["acked"]
    assert frozen & 1 << bits.VERSION_1
    status = of(others, name, "status")
    written = status.filter(pl.col("op") == bits.STATUS_WRITE)["status"]
    assert any(value & bits.DRIVER_OK for value in written)
    ops = of(others, name, "queue")["op"].to_list()
    assert [ops.count(op) for op in (SET_UP, DELETED)] == [queues, queues]
    # virtio_console declares its queues broken before the reset.
    assert ops.count(BROKEN) == (queues if name == "serial0" else 0)
    for kind in ("add", "desc", "kick", "notify", "used", "interrupt"):
        assert of(others, name, kind).height, kind
    # It is reset before its queues are deleted; what was not used is taken back in between.
    leaves = driver.filter(pl.col("stage") == bits.REMOVE)["row"].item()
    resets = status.filter(pl.col("op") == bits.STATUS_RESET, pl.col("row") > leaves)["row"]
    deleted = of(others, name, "queue").filter(pl.col("op") == DELETED)["row"].to_list()
    reset = resets.to_list()[0]
    assert reset < min(deleted)
    taken = of(others, name, "detach")["row"].to_list()
    assert bool(taken) == (name in TAKE_BACK)
    assert all(reset < row < max(deleted) for row in taken)


def test_headers_and_commands_of_the_network_are_known(others: steps.RunResult) -> None:
    given = of(others, "net0", "add").filter(pl.col("readable") > 0)
    assert 0 < given.height == of(others, "net0", "opening").height
    for name in ("NT-DR-06", "NT-DR-07", "NT-DR-08"):
        assert others.verdicts.of(name).verdict == "pass"


def test_what_devices_write_first_is_known(others: steps.RunResult) -> None:
    for name in ("net0", "scsi0", "serial0", "files0"):
        back = of(others, name, "used").filter(pl.col("len") > 0)
        assert 0 < of(others, name, "reply").height <= back.height
    for name in ("NT-DE-03", "NT-DE-04", "NT-DE-05", "SC-DE-03", "CO-DE-02", "NP-DE-02"):
        assert others.verdicts.of(name).verdict == "pass"
