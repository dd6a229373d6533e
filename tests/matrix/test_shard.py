# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pykit.errors import UsageError
from pykit.matrix.plan.shard import parse_shard, shard

from ..report.conftest import PATIENT
from .conftest import planned

NAMES = st.lists(st.text(max_size=8), unique=True, max_size=40)


@PATIENT
@given(NAMES, st.integers(1, 12), st.randoms(use_true_random=False))
def test_shards_are_a_partition_whatever_the_order(
    names: list[str], n: int, chance: random.Random
) -> None:
    cells = [planned(name) for name in names]
    parts = [shard(cells, i, n) for i in range(1, n + 1)]
    assert sorted(cell.name for part in parts for cell in part) == sorted(names)
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    shuffled = chance.sample(cells, len(cells))
    for i, part in enumerate(parts, 1):
        assert {c.name for c in shard(shuffled, i, n)} == {c.name for c in part}
        assert [c.name for c in part] == [n for n in names if n in {c.name for c in part}]


def test_which_cells_they_are_does_not_change() -> None:
    cells = [planned(f"blk/{number}") for number in range(10)]
    assert [cell.name for cell in shard(cells, 1, 3)] == ["blk/1", "blk/4", "blk/5", "blk/7"]


@pytest.mark.parametrize(("i", "n"), [(0, 1), (2, 1), (1, 0), (-1, 4)])
def test_there_is_no_such_shard(i: int, n: int) -> None:
    with pytest.raises(UsageError):
        shard([], i, n)


def test_how_a_shard_is_said() -> None:
    assert parse_shard("2/4") == (2, 4)
    for text in ("", "0/4", "5/4", "1/0", "1", "a/b", "1/4/2", "-1/4", "1 / 4"):
        with pytest.raises(UsageError, match="say 1/4"):
            parse_shard(text)
