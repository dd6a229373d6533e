# SPDX-License-Identifier: GPL-2.0-only
"""Message framing (section 2.7.4): what the device reads comes before what it writes."""

from __future__ import annotations

import numpy as np

from pykit.spec import bits
from pykit.spec.model import Result, breaches, rule
from pykit.spec.rings import SPLIT
from pykit.spec.view import View


@rule("MF-DR-01", needs="driver:desc")
def readable_before_writable(view: View) -> Result:
    return misplaced(view, SPLIT)


def misplaced(view: View, layout: int) -> Result:
    """Chains with a readable element behind a writable one, up to where a chain loops."""
    rings, adds, chains = view.rings, view.adds, view.chains
    piece = np.flatnonzero(chains.element & chains.good & (rings.layout[chains.q] == layout))
    chain = chains.chain[piece]
    writable = chains.flags[piece] & bits.WRITE != 0
    far = len(chains.q)
    first_writable = np.full(len(adds.q), far, dtype=np.int64)
    np.minimum.at(first_writable, chain[writable], piece[writable])
    last_readable = np.full(len(adds.q), -1, dtype=np.int64)
    np.maximum.at(last_readable, chain[~writable], piece[~writable])
    judged = np.zeros(len(adds.q), dtype=np.bool_)
    judged[chain] = True
    found = breaches(
        last_readable > first_writable,
        lambda i: (
            f"{rings.name(adds.q[i])}: the chain at head {adds.head[i]} has a readable element"
            " behind a writable one"
        ),
        adds.row,
        chains.row[np.maximum(last_readable, 0)] if far else adds.row,
    )
    return Result(int(judged.sum()), found, why="no chain's descriptors were seen")
