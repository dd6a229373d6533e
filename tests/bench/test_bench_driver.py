# SPDX-License-Identifier: GPL-2.0-only
"""The driver bench: what follows from its samples, and a short one for real."""

from __future__ import annotations

import shutil

import pytest

from pykit import bench
from pykit.bench.driver import LIMIT, REPEATABLE, WORKLOADS, Sample
from pykit.errors import InfraError


def samples(**costs: list[float]) -> tuple[Sample, ...]:
    return tuple(
        Sample(mode, workload, cost, 4.0 if mode == "events" else 0.0)  # type: ignore[arg-type]
        for workload in WORKLOADS
        for mode, values in costs.items()
        for cost in values
    )


def measured(stock: list[float], ours: list[float], events: list[float]) -> bench.Driver:
    counted = samples(stock=stock, ours=ours, events=events)
    timed = samples(stock=[10.0, 20.0, 40.0], ours=[30.0, 22.0, 40.0], events=[70.0, 42.0, 80.0])
    return bench.Driver("6.99", 3, timed, counted)


def test_repeatable_instructions_decide() -> None:
    result = measured([1000, 1001, 1002], [1010, 1011, 1012], [1410, 1411, 1412])
    assert result.spread("randread") == pytest.approx(0.002, rel=0.01)
    assert result.decides("randread") == "instructions"
    assert result.ratio("randread") == pytest.approx(1011 / 1001)
    cost = result.event_cost("randwrite")
    assert cost == {"instructions": 100.0, "ns": 10.0, "events per I/O": 4.0}


def test_the_median_of_the_rounds_ratios_decides_where_instructions_scatter() -> None:
    result = measured([1000, 1000 * (1 + 2 * REPEATABLE), 1000], [900] * 3, [1300] * 3)
    assert result.decides("randread") == "time"
    assert result.ratio("randread") == pytest.approx(1.1)


def test_the_json_holds_what_the_table_shows() -> None:
    result = measured([1000] * 3, [1010] * 3, [1410] * 3)
    data = result.as_json()
    assert data["ratios"]["randread"]["ratio"] == 1.01  # type: ignore[index]
    assert data["ratios"]["randread"]["limit"] == LIMIT  # type: ignore[index]
    assert result.table()


def test_a_step_without_figures_is_an_error() -> None:
    from pykit.bench.driver import _samples

    with pytest.raises(InfraError, match="no figures"):
        list(_samples({"stock-1": ["sample stock randread"]}, icount=True))


@pytest.mark.boot
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="no QEMU: make setup")
def test_ours_costs_no_more_instructions_than_stock() -> None:
    result = bench.driver(None, rounds=3)
    for workload in WORKLOADS:
        assert result.decides(workload) == "instructions"
        assert result.ratio(workload) <= LIMIT + result.spread(workload)
        assert result.event_cost(workload)["instructions"] > 0
        assert result.event_cost(workload)["events per I/O"] > 8
