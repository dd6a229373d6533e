# SPDX-License-Identifier: GPL-2.0-only
"""Match the cells of two matrices, even where an axis differs in all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pykit.errors import UsageError
from pykit.matrix.results.view import CellView


@dataclass(frozen=True)
class CellPairs:
    """Two matrices, side by side.

    Attributes:
        across: the axes that they differ in as a whole: the old value and the new one.
    """

    across: Mapping[str, tuple[str, str]]
    both: tuple[tuple[CellView, CellView], ...]
    gone: tuple[CellView, ...]
    added: tuple[CellView, ...]


def pair(old: Sequence[CellView], new: Sequence[CellView]) -> CellPairs:
    """Match cells by name, or by scenario and the other axes where one differs as a whole.

    An axis does so if it has one value in all cells of the one matrix, and another in all of the
    other. One run is always the other's pair.

    Raises UsageError where two cells of one matrix cannot be distinguished then.
    """
    across = dict(_across(old, new))
    if len(old) == len(new) == 1:
        return CellPairs(across, ((old[0], new[0]),), (), ())
    olds = _by_key(old, {axis: values[0] for axis, values in across.items()})
    news = _by_key(new, {axis: values[1] for axis, values in across.items()})
    return CellPairs(
        across,
        tuple((cell, news[key]) for key, cell in olds.items() if key in news),
        tuple(cell for key, cell in olds.items() if key not in news),
        tuple(cell for key, cell in news.items() if key not in olds),
    )


def _across(
    old: Sequence[CellView], new: Sequence[CellView]
) -> Iterator[tuple[str, tuple[str, str]]]:
    for axis in dict.fromkeys(axis for cell in old for axis in cell.planned.axes):
        values = [{cell.planned.axes.get(axis) for cell in cells} for cells in (old, new)]
        if values[0] != values[1] and all(len(v) == 1 and None not in v for v in values):
            (one,), (other,) = values
            yield axis, (str(one), str(other))


def _by_key(cells: Sequence[CellView], across: Mapping[str, str]) -> dict[str, CellView]:
    found: dict[str, CellView] = {}
    for cell in cells:
        key = _key(cell, across)
        if key in found:
            raise UsageError(
                f"cells {found[key].name} and {cell.name} cannot be distinguished without "
                f"{', '.join(across)}"
            )
        found[key] = cell
    return found


def _key(cell: CellView, across: Mapping[str, str]) -> str:
    # Names leave out first values, so a name alone does not identify a cell.
    rest = {axis: value for axis, value in cell.planned.axes.items() if axis not in across}
    planned = cell.planned
    return f"{planned.matrix} {planned.scenario} {sorted(rest.items())}" if across else cell.name
