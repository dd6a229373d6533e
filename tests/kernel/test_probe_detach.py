# SPDX-License-Identifier: GPL-2.0-only
"""The probe comes and goes while queues are in use: nothing breaks, and what it tells is right."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from pykit import steps
from pykit.errors import Exit
from pykit.scenario import load_scenario
from pykit.trace.kinds import DELETED, JOINED, LEFT, SET_UP

Run = Callable[..., steps.RunResult]


@pytest.mark.parametrize(
    "kernel_name",
    [
        None,
        pytest.param("debian-6.1", marks=pytest.mark.slow),
        pytest.param("debian-7.2", marks=pytest.mark.slow),
    ],
)
def test_it_comes_and_goes(run: Run, kernel_name: str | None) -> None:
    result = run("probe-detach", kernel_name=kernel_name)
    assert result.outcome.kind == "clean", result.outcome.message
    assert result.verdicts.having("fail") == ()
    assert result.exit_code == Exit.OK
    assert (result.events.lost, result.events.losses) == (0, ())
    turns = load_scenario("probe-detach").count
    reported = result.events.of("queue").filter(pl.col("source") == "probe").sort("row")
    for vq in (0, 1):
        mine = reported.filter(pl.col("vq") == vq)
        # Rebound while nobody looked, a second life is joined; a third begins under its eyes.
        busy, joined, begun = [SET_UP, *turns * [LEFT, JOINED], LEFT], [JOINED, LEFT], [SET_UP]
        assert mine["op"].to_list() == [*busy, *joined, *begun, DELETED]
        assert mine["life"].to_list() == [*len(busy) * [0], *len(joined) * [1], 2, 2]
    qemu = result.events.of("dev_status")["life"].drop_nulls()
    assert set(qemu) == {0, 1, 2}
    # As much of each span as of any: what was joined is followed from its first event on.
    assert result.verdicts.of("SA-DR-01").checked > 20 * turns
