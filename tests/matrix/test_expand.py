# SPDX-License-Identifier: GPL-2.0-only
"""Pairwise: every two values that may be together are, and what is excluded never is."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from pykit.matrix.plan.expand import pairwise, product

AXES = st.dictionaries(
    st.sampled_from("abcdef"),
    st.lists(st.sampled_from([f"v{n}" for n in range(5)]), min_size=1, max_size=4, unique=True),
    min_size=2,
    max_size=5,
)


@st.composite
def matrices(draw: st.DrawFn) -> tuple[dict[str, list[str]], list[dict[str, list[str]]]]:
    axes = draw(AXES)
    excludes = []
    for _ in range(draw(st.integers(0, 2))):
        chosen = draw(st.lists(st.sampled_from(sorted(axes)), min_size=2, max_size=2, unique=True))
        excludes.append({axis: [draw(st.sampled_from(axes[axis]))] for axis in chosen})
    return axes, excludes


@settings(max_examples=60, deadline=None)
@given(matrices())
def test_pairs(case: tuple[dict[str, list[str]], list[dict[str, list[str]]]]) -> None:
    axes, excludes = case
    every = product(axes, excludes)
    rows = pairwise(axes, excludes)
    assert all(row in every for row in rows)
    assert rows == pairwise(axes, excludes)
    for one, other in itertools.combinations(axes, 2):
        wanted = {(row[one], row[other]) for row in every}
        assert {(row[one], row[other]) for row in rows} == wanted
    first = {axis: values[0] for axis, values in axes.items()}
    assert (first in rows) == (first in every)
