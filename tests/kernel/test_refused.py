# SPDX-License-Identifier: GPL-2.0-only
"""A ring that is full: adds that fail, and the doorbells that Linux's core rings in them."""

from __future__ import annotations

import re
from collections.abc import Callable

import polars as pl
import pytest

from pykit import steps
from pykit.errors import Exit
from pykit.scenario.model import SCENARIOS

Run = Callable[..., steps.RunResult]

KERNELS = [
    None,
    pytest.param("debian-6.1", marks=pytest.mark.slow),
    pytest.param("debian-7.2", marks=pytest.mark.slow),
]
#: Without ioeventfd QEMU handles every doorbell by itself, and logs it.
OPTIONS = (
    "{ num-queues = 1, queue-size = 16, indirect_desc = false, ioeventfd = false, event_idx = %s }"
)
ENOSPC = -28


@pytest.fixture(
    scope="module",
    params=[
        ("virtio_blk", "true"),
        pytest.param(("virtio_blk", "false"), marks=pytest.mark.slow),
        (None, "true"),
    ],
)
def what(request: pytest.FixtureRequest) -> tuple[str | None, str]:
    """The driver, and whether EVENT_IDX is offered."""
    chosen: tuple[str | None, str] = request.param
    return chosen


@pytest.fixture(scope="module", params=KERNELS)
def crowded(
    request: pytest.FixtureRequest,
    what: tuple[str | None, str],
    run: Run,
    tmp_path_factory: pytest.TempPathFactory,
) -> steps.RunResult:
    driver, event_idx = what
    text, count = re.subn(
        r"(?m)^options = .*$",
        f"options = {OPTIONS % event_idx}",
        (SCENARIOS / "io.toml").read_text(),
    )
    assert count == 1
    path = tmp_path_factory.mktemp("crowded") / "crowded.toml"
    path.write_text(text)
    return run(str(path), driver=driver, kernel_name=request.param)


def test_adds_fail_and_say_why(crowded: steps.RunResult) -> None:
    refused = crowded.events.of("add_failed")
    assert refused.height
    assert set(refused["err"]) == {ENOSPC}
    assert (refused["slots"] > refused["num_free"]).all()


def test_the_core_rings_where_it_is_asked(
    crowded: steps.RunResult, what: tuple[str | None, str]
) -> None:
    """Our driver sees beforehand that there is no room."""
    rang = set(crowded.events.of("add_failed")["notified"])
    assert rang == ({1} if what[0] else {0})


def test_every_doorbell_is_told(crowded: steps.RunResult) -> None:
    reported = crowded.events.of("notify").filter(pl.col("life").is_not_null())
    handled = crowded.events.of("dev_kick").filter(pl.col("life").is_not_null())
    assert reported.height == handled.height > crowded.events.of("add_failed").height


def test_only_these_doorbells_are_found(
    crowded: steps.RunResult, what: tuple[str | None, str]
) -> None:
    driver, event_idx = what
    assert crowded.outcome.kind == "clean", crowded.outcome.message
    assert crowded.verdicts.having("fail") == ()
    rule = crowded.verdicts.of("NA-DR-07")
    refused = crowded.events.of("add_failed")
    # Nobody asks for what is not there. How often a ring is full with nothing new is chance.
    idle = refused.filter(pl.col("old") == pl.col("new")).height
    if driver is None or event_idx == "false":
        assert rule.violations == 0
    else:
        assert idle <= rule.violations <= refused.height
        assert rule.verdict == "waived" or not rule.violations
    if event_idx == "true":
        assert rule.checked >= idle
    assert crowded.verdicts.of("DX-16").verdict == "pass"
    assert crowded.exit_code == Exit.OK
