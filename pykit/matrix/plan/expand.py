# SPDX-License-Identifier: GPL-2.0-only
"""Combine axis values: all combinations, or enough that every pair of values meets."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import covertable

Row = dict[str, str]
Values = Mapping[str, Sequence[str]]

#: Combinations of one group; and pairs of values, which pairwise() takes some seconds to cover.
MOST_CELLS, MOST_PAIRS = 20_000, 4_000


def pairs(values: Values) -> int:
    """How many pairs of values of two axes there are."""
    sizes = [len(labels) for labels in values.values()]
    return sum(one * other for one, other in itertools.combinations(sizes, 2))


def product(values: Values, excludes: Sequence[Values]) -> list[Row]:
    """Every combination that no exclusion names, the last axis turning fastest."""
    rows = (dict(zip(values, row, strict=True)) for row in itertools.product(*values.values()))
    return [row for row in rows if not any(_holds(where, row) for where in excludes)]


def pairwise(values: Values, excludes: Sequence[Values]) -> list[Row]:
    """So few combinations that each two values of two axes are together in one at least.

    All first values are one of them, so that there is a row to compare with. The same axes always
    give the same rows, in the order of product().
    """
    if len(values) < 2:
        return product(values, excludes)
    first = {axis: labels[0] for axis, labels in values.items()}
    allowed = not any(_holds(where, first) for where in excludes)
    found = covertable.make(
        {axis: list(labels) for axis, labels in values.items()},
        strength=2,
        constraints=[_never(where) for where in excludes],
        presets=[first] if allowed else [],
    )
    order = {axis: {label: n for n, label in enumerate(labels)} for axis, labels in values.items()}
    rows = [{axis: str(row[axis]) for axis in values} for row in found]
    return sorted(rows, key=lambda row: [order[axis][row[axis]] for axis in values])


def _holds(where: Values, row: Row) -> bool:
    return all(row[axis] in labels for axis, labels in where.items())


def _never(where: Values) -> dict[str, Any]:
    conditions = [
        {"operator": "in", "left": axis, "values": list(labels)} for axis, labels in where.items()
    ]
    return {"operator": "not", "condition": {"operator": "and", "conditions": conditions}}
