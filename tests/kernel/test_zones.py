# SPDX-License-Identifier: GPL-2.0-only
"""Zoned disks: what rules look at in a run in which all hold, and in one with a wrong driver."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pykit import steps
from pykit.errors import Exit

Run = Callable[..., steps.RunResult]

#: Clauses that the scenario exercises, so that a pass of it says something about them.
LOOKED_AT = (
    *("BI-DE-10", "BI-DE-12", "BI-DE-14", "BI-DE-16", "BI-DE-17", "BI-DE-19", "BI-DE-20"),
    *("BI-DR-05", "BO-DE-19", "BO-DE-20", "BO-DE-21", "BO-DE-22", "BO-DE-23", "BO-DE-24"),
    *("BO-DE-25", "BO-DE-26", "BO-DE-29", "BO-DE-32", "BO-DE-33", "BO-DE-35", "BO-DE-36"),
    *("BO-DE-38", "BO-DE-39", "BO-DE-41", "BO-DR-18", "BO-DR-20", "BO-DR-21", "BO-DR-22"),
    *("BO-DR-23", "BO-DR-24", "BO-DR-26", "BO-DR-27", "BO-DR-28", "BZ-DE-01", "BZ-DE-02"),
)
#: What the requests of ``zones-wrong`` break, and what they make the device refuse.
BROKEN = ("BO-DR-18", "BO-DR-20", "BO-DR-22", "BO-DR-24", "BO-DR-28")
REFUSED = ("BO-DE-27", "BO-DE-28", "BO-DE-31")


@pytest.fixture(scope="module")
def zones(run: Run) -> steps.RunResult:
    return run("zones")


def test_everything_held(zones: steps.RunResult) -> None:
    assert zones.outcome.kind == "clean", zones.outcome.message
    assert zones.verdicts.having("fail") == ()
    assert zones.exit_code == Exit.OK


@pytest.mark.parametrize("name", LOOKED_AT)
def test_the_scenario_exercises(zones: steps.RunResult, name: str) -> None:
    verdict = zones.verdicts.of(name)
    assert verdict.verdict == "pass", verdict.message


def test_a_wrong_driver_fails_alone(run: Run) -> None:
    result = run("zones-wrong")
    assert set(result.verdicts.having("fail")) == set(BROKEN)
    for name in REFUSED:
        assert result.verdicts.of(name).verdict == "pass"
