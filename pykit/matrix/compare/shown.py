# SPDX-License-Identifier: GPL-2.0-only
"""Write differences, and the result of a merge, as lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from pykit.matrix.compare.diff import CellChange, Diff, Kind
from pykit.matrix.compare.merge import Merged

#: So many cells are named of those with one and the same change.
_NAMED = 3


def changes(found: Diff) -> Iterator[str]:
    """A line a change, the same one in many cells once; then how much was compared."""
    for kind in get_args(Kind):
        groups: dict[tuple[str, ...], list[CellChange]] = {}
        for change in found.changes:
            if change.kind == kind:
                groups.setdefault(change.rules or (change.what,), []).append(change)
        for group in groups.values():
            yield f"{kind}: {group[0].what}"
            yield f"    {_cells([change.cell for change in group])}"
    across = ", ".join(f"{a} {old} → {new}" for a, (old, new) in found.pairs.across.items())
    count = len(found.pairs.both)
    worse = sum(change.worse for change in found.changes)
    where = f" across {across}" if across else ""
    yield f"{count} cells compared{where}, {worse} changes for worse"


def merged(done: Merged) -> Iterator[str]:
    """Lines on cells in several directories, on missing cells, and the counts."""
    if done.twice:
        yield f"in more than one directory, with the same verdicts: {_cells(done.twice)}"
    if done.missing:
        yield f"missing: {_cells(done.missing)}"
    yield ", ".join(f"{count} {status}" for status, count in done.view.counts.items() if count)


def _cells(names: tuple[str, ...] | list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
