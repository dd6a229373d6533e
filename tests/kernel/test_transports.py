# SPDX-License-Identifier: GPL-2.0-only
"""The default scenario on the other transports: one boot each, for every test that looks."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from pykit import steps
from pykit.errors import Exit
from pykit.spec import bits

Run = Callable[..., steps.RunResult]

NAMES = ["pci-legacy", "mmio", pytest.param("mmio-legacy", marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=NAMES)
def result(request: pytest.FixtureRequest, run: Run) -> steps.RunResult:
    return run(transport=request.param)


def legacy(result: steps.RunResult) -> bool:
    return result.events.capture.devices[0].legacy


def test_everything_held(result: steps.RunResult) -> None:
    assert result.outcome.kind == "clean", result.outcome.message
    assert result.verdicts.having("fail") == ()
    assert result.exit_code == Exit.OK
    assert result.verdicts.summary()["pass"] >= (65 if legacy(result) else 80)


def test_both_sides_were_seen_and_agree(result: steps.RunResult) -> None:
    events = result.events
    assert (events.lost, events.losses) == (0, ())
    assert events.of("add").height == events.of("dev_pop").height > 1500
    for name in ("XC-01", "XC-02", "XC-03"):
        assert result.verdicts.of(name).verdict == "pass"


def test_two_devices_and_a_second_life_of_the_first(result: steps.RunResult) -> None:
    lives = {(0, 0), (0, 1), (1, 0)}
    for kind in ("add", "dev_pop"):
        assert set(result.events.of(kind).select("dev", "life").unique().iter_rows()) == lives


def test_the_negotiation_is_the_interfaces(result: steps.RunResult) -> None:
    features = result.events.of("features")
    written = result.events.of("dev_status").filter(pl.col("status") > 0)["status"].unique()
    version_1 = (features["acked"] & (1 << bits.VERSION_1) > 0).all()
    features_ok = (written & bits.FEATURES_OK > 0).any()
    if legacy(result):
        assert not version_1
        assert not features_ok
        assert features["offered"].max() < 1 << 32
    else:
        assert version_1
        assert features_ok


def test_clauses_of_the_modern_interface(result: steps.RunResult) -> None:
    expected = "not-applicable" if legacy(result) else "pass"
    for name in ("RF-DE-01", "RF-DR-01", "IN-DR-05", "ST-DE-01", "ST-DE-02", "FB-DE-02"):
        assert result.verdicts.of(name).verdict == expected, name
    assert result.verdicts.of("IN-DR-01").verdict == "pass"
