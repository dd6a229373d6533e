# SPDX-License-Identifier: GPL-2.0-only
"""Columns that grow at their end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pykit.trace.growing import Growing


@settings(deadline=None)
@given(
    st.sampled_from(["u1", "u2", "i4", "u4", "i8", "u8"]),
    st.lists(st.integers(0, 5000), max_size=20),
)
def test_parts_become_one_column(dtype: str, sizes: list[int]) -> None:
    column, parts, start = Growing(dtype), [np.zeros(0, dtype)], 0
    for size in sizes:
        parts.append(np.arange(start, start + size).astype(dtype))
        column.add(parts[-1])
        start += size
    series = column.series("x")
    assert series.name == "x"
    assert series.to_numpy().dtype == np.dtype(dtype)
    np.testing.assert_array_equal(series.to_numpy(), np.concatenate(parts))


def test_a_large_column_outlives_what_made_it() -> None:
    column = Growing(np.int64)
    for start in range(0, 4 << 20, 1 << 20):
        column.add(np.arange(start, start + (1 << 20)))
    series = column.series("x")
    del column
    assert series.len() == 4 << 20
    assert bool((series.diff().drop_nulls() == 1).all())


def test_nothing_is_added_to_a_finished_column() -> None:
    column = Growing(np.uint8)
    column.add(np.zeros(10, np.uint8))
    series = column.series("x")
    with pytest.raises(BufferError):
        column.add(np.zeros(1 << 20, np.uint8))
    assert series.sum() == 0
