# SPDX-License-Identifier: GPL-2.0-only
"""Computations on columns, against plain loops."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pykit.spec import arrays
from pykit.spec.arrays import Ints

NUMBERS = st.integers(0, 0xFFFF)


def column(values: list[int]) -> Ints:
    return np.array(values, dtype=np.int64)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-9, 9)), max_size=30))
def test_grouped(pairs: list[tuple[int, int]]) -> None:
    pairs.sort(key=lambda pair: pair[0])
    group, values = column([g for g, _ in pairs]), column([v for _, v in pairs])
    sums, tops = arrays.grouped_cumsum(values, group), arrays.grouped_max(values, group)
    for i, (name, _) in enumerate(pairs):
        mine = [v for g, v in pairs[: i + 1] if g == name]
        assert sums[i] == sum(mine)
        assert tops[i] == max(mine)
        assert arrays.within(group)[i] == len(mine) - 1


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1))), st.integers(0, 3))
def test_last_before(entries: list[tuple[int, int]], wanted: int) -> None:
    keys = column([key for key, _ in entries])
    at = np.arange(len(entries)) * 2
    for when in range(len(entries) * 2 + 1):
        (found,) = arrays.last_before(keys, at, column([wanted]), column([when]))
        before = [i for i, (key, _) in enumerate(entries) if key == wanted and 2 * i < when]
        assert found == (before[-1] if before else -1)


@given(NUMBERS, NUMBERS, st.integers(0, 0x7FFF))
def test_need_event(event: int, old: int, count: int) -> None:
    new = (old + count) % arrays.WRAP
    (need,) = arrays.need_event(column([event]), column([new]), column([old]))
    assert need == ((event - old) % arrays.WRAP < count)


def test_steps_wrap() -> None:
    group = column([0, 0, 0, 1])
    steps = arrays.steps16(column([65535, 1, 0, 7]), group, column([65534, 0, 0, 7]))
    assert steps.tolist() == [1, 2, -1, 0]


def test_excess_is_told_once() -> None:
    group = column([0, 0, 0, 0, 1])
    reported = arrays.exceeds_more(column([0, 1, 1, 2, 1]), group)
    assert reported.tolist() == [False, True, False, True, True]
