# SPDX-License-Identifier: GPL-2.0-only
"""Choose cells by matrix, name, tag and kernel."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pykit.errors import UsageError
from pykit.matrix.plan import matrixfile
from pykit.matrix.plan.cell import MatrixCell
from pykit.matrix.plan.names import slug
from pykit.toml import choice

Cells = tuple[MatrixCell, ...]


def select(
    patterns: Sequence[str],
    tags: Sequence[str] = (),
    kernels: Sequence[str] = (),
    within: Sequence[str] = (),
) -> Cells:
    """Return cells in the order of their matrix files.

    Args:
        patterns: matrices ("io"), files of matrices, or shell patterns of cells' names
            ("io/packed*"); without any, all matrices.
        tags: cells need one of them, if there are any.
        kernels: cells of other kernels are left out. A kernel that no chosen cell names is taken
            in place of each matrix's first.
        within: shell patterns of the names, with or without the matrix; cells need to match one.

    Raises UsageError for a mistake in a matrix, and where no cell is left.
    """
    cells: dict[str, MatrixCell] = {}
    files: dict[str, Path] = {}
    for pattern in patterns or matrixfile.names():
        name, slash, rest = pattern.partition("/")
        if pattern.endswith(".toml"):
            name, slash = pattern, ""
        loaded = matrixfile.load(name)
        if files.setdefault(loaded.name, loaded.path).resolve() != loaded.path.resolve():
            raise UsageError(
                f"{loaded.path} and {files[loaded.name]} are both matrix {loaded.name}: rename one"
            )
        found = loaded.cells
        if slash:
            kept = _matching(found, [pattern])
            if not kept:
                near = choice(rest, (cell.name.partition("/")[2] for cell in found), "cell")
                raise UsageError(f"matrix {name}: {near}")
            found = kept
        cells |= {cell.name: cell for cell in found}
    chosen = tuple(cell for cell in cells.values() if not tags or {*tags} & {*cell.tags})
    if within:
        chosen = _matching(chosen, within)
        if not chosen:
            some = ", ".join([*cells][:3])
            raise UsageError(f"no cell is called {', '.join(within)}: the names are {some}, …")
    if kernels:
        chosen = _on(chosen, kernels)
    if not chosen:
        known = {tag for cell in cells.values() for tag in cell.tags}
        on = {cell.axes.get("kernel", "none named") for cell in cells.values()}
        raise UsageError(
            f"no cell is left: their tags are {', '.join(sorted(known)) or 'none'}, "
            f"their kernels {', '.join(sorted(on))}"
        )
    return chosen


def _matching(cells: Iterable[MatrixCell], patterns: Sequence[str]) -> Cells:
    return tuple(
        cell
        for cell in cells
        if any(
            fnmatch.fnmatchcase(name, pattern)
            for pattern in patterns
            for name in (cell.name, cell.name.partition("/")[2])
        )
    )


def _on(cells: Cells, kernels: Sequence[str]) -> Cells:
    """The cells on these kernels; those of a matrix's first kernel stand in for a foreign one."""
    known = {cell.axes["kernel"] for cell in cells if "kernel" in cell.axes}
    found = [cell for cell in cells if cell.axes.get("kernel") in kernels]
    first: dict[str, str] = {}
    for cell in cells:
        if "kernel" in cell.axes:
            first.setdefault(cell.matrix, cell.axes["kernel"])
    for kernel in kernels:
        if kernel in known:
            continue
        for cell in cells:
            if cell.axes.get("kernel") == first.get(cell.matrix, kernel):
                [moved] = on_kernel((cell,), kernel)
                found.append(
                    replace(
                        moved,
                        name=f"{cell.name}-{slug(Path(kernel).name)}",
                        original=cell.name,
                    )
                )
    return tuple(found)


def on_kernel(cells: Sequence[MatrixCell], kernel: str) -> Cells:
    """The same cells on another kernel than their files name."""
    return tuple(
        replace(cell, axes={**cell.axes, "kernel": kernel}, kernel=kernel) for cell in cells
    )
