# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import random

import pytest

from pykit.matrix.compare.noise import FEW, compare

LATENCY, THROUGHPUT = "latency_us_p50", "bytes_per_second"


def noisy(
    seed: int, cells: int, factor: float = 1.0, sigma: float = 0.1
) -> dict[str, tuple[float, float]]:
    chance = random.Random(seed)
    values = {}
    for number in range(cells):
        true = chance.uniform(50, 500)
        old, new = (true * chance.lognormvariate(0, sigma) for _ in range(2))
        values[f"c{number}"] = (old, new * factor)
    return values


@pytest.mark.parametrize("cells", [1, 3, FEW, 40, 400])
def test_noise_is_no_change(cells: int) -> None:
    for seed in range(50):
        found = compare(LATENCY, noisy(seed, cells))
        assert found.overall is None
        assert not found.cells


def test_all_are_slower() -> None:
    for seed in range(20):
        found = compare(LATENCY, noisy(seed, 40, factor=1.5))
        assert found.overall == "slower"
        assert found.low < found.median < found.high
        assert found.low > 1.25
        assert not found.cells


def test_one_is_slower_than_the_others() -> None:
    for seed in range(20):
        values = noisy(seed, 40)
        found = compare(LATENCY, {**values, "c7": (100.0, 400.0)})
        assert found.overall is None
        assert found.cells == {"c7": ("slower", 4.0)}


def test_more_is_better_where_it_is() -> None:
    assert compare(LATENCY, {"c": (100, 400)}).cells == {"c": ("slower", 4.0)}
    assert compare(LATENCY, {"c": (400, 100)}).cells == {"c": ("faster", 0.25)}
    assert compare(THROUGHPUT, {"c": (100, 400)}).cells == {"c": ("faster", 4.0)}
    assert compare("requests", {"c": (100, 200)}).cells == {}


def test_something_from_nothing() -> None:
    found = compare("notifications_per_request", {"c": (0, 0.5), "d": (0, 0)})
    assert found.cells == {"c": ("slower", 1000.0)}


def test_less_of_a_gain_is_no_loss() -> None:
    values = {f"c{number}": (100.0, 20.0) for number in range(20)} | {"odd": (100.0, 90.0)}
    found = compare(LATENCY, values)
    assert found.overall == "faster"
    assert not found.cells


def test_the_interval_is_that_of_the_median() -> None:
    # By the tables of the binomial distribution: of 10 the 2nd and 9th, of 25 the 8th and 18th.
    values = {f"c{n}": (1.0, 1.0 + n / 1000) for n in range(10)}
    assert (compare(LATENCY, values).low, compare(LATENCY, values).high) == (1.001, 1.008)
    values = {f"c{n}": (1.0, 1.0 + n / 1000) for n in range(25)}
    assert (compare(LATENCY, values).low, compare(LATENCY, values).high) == (1.007, 1.017)
