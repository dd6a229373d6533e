# SPDX-License-Identifier: GPL-2.0-only
"""Which cells are run: of which families, by name, tag and kernel."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pykit.errors import UsageError
from pykit.families import family
from pykit.families.family import Cell
from pykit.toml import choice


@dataclass(frozen=True)
class Plan:
    """Cells, in the order of their families' files."""

    cells: tuple[Cell, ...]


def plan(patterns: Sequence[str], tags: Sequence[str] = (), kernels: Sequence[str] = ()) -> Plan:
    """The cells that a pattern matches (all without one), with one of the tags, on these kernels.

    A pattern is a family ("blk"), a family's file, or a shell pattern of cells' names
    ("blk/packed*").

    Raises UsageError for a family's mistake, and where nothing is left.
    """
    cells: dict[str, Cell] = {}
    for pattern in patterns or family.names():
        name, slash, rest = pattern.partition("/")
        if pattern.endswith(".toml"):
            name, slash = pattern, ""
        found = family.load(name).cells
        if slash:
            kept = [cell for cell in found if fnmatch.fnmatchcase(cell.name, pattern)]
            if not kept:
                near = choice(rest, (cell.name.partition("/")[2] for cell in found), "cell")
                raise UsageError(f"family {name}: {near}")
            found = tuple(kept)
        cells |= {cell.name: cell for cell in found}
    chosen = tuple(
        cell
        for cell in cells.values()
        if (not tags or {*tags} & {*cell.tags})
        and (not kernels or cell.axes.get("kernel") in kernels)
    )
    if not chosen:
        known = {tag for cell in cells.values() for tag in cell.tags}
        on = {cell.axes.get("kernel", "none named") for cell in cells.values()}
        raise UsageError(
            f"no cell is left: their tags are {', '.join(sorted(known)) or 'none'}, "
            f"their kernels {', '.join(sorted(on))}"
        )
    return Plan(chosen)


def on_kernel(chosen: Plan, kernel: str) -> Plan:
    """The same cells on another kernel, whatever their families say."""
    return Plan(
        tuple(
            replace(cell, axes={**cell.axes, "kernel": kernel}, kernel=kernel)
            for cell in chosen.cells
        )
    )
