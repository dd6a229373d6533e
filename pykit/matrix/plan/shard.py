# SPDX-License-Identifier: GPL-2.0-only
"""Parts of a plan that machines which know nothing of each other agree on."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import TypeVar

from pykit.errors import UsageError
from pykit.matrix.plan.planfile import CellIdentity

C = TypeVar("C", bound=CellIdentity)


def shard(cells: Iterable[C], i: int, n: int) -> tuple[C, ...]:
    """Part `i` of `n`, from 1, in the order in which the cells are given.

    Which cells are in it depends on their names alone; the parts differ by one cell at most.
    They are dealt by a hash, so that no part gets all of an expensive matrix.
    """
    if not 1 <= i <= n:
        raise UsageError(f"there is no shard {i}/{n}: say 1/{n} to {n}/{n}")
    given = tuple(cells)
    dealt = sorted(given, key=lambda c: (hashlib.sha256(c.name.encode()).digest(), c.name))
    mine = {cell.name for cell in dealt[i - 1 :: n]}
    return tuple(cell for cell in given if cell.name in mine)


def parse_shard(text: str) -> tuple[int, int]:
    """Read I/N; raise UsageError for any other text."""
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UsageError(f"{text!r} is no shard: say 1/4 for the first of four")
    return int(found[1]), int(found[2])
