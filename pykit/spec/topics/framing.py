# SPDX-License-Identifier: GPL-2.0-only
"""Message framing (section 2.7.4): readable elements of a chain come before writable ones."""

from __future__ import annotations

import numpy as np

from pykit.spec import bits
from pykit.spec.model import Result, rule
from pykit.spec.rings import SPLIT
from pykit.spec.rows import Rows
from pykit.spec.view import View


@rule("MF-DR-01", needs=("driver:add", "driver:desc"), contents=True)
def readable_before_writable(view: View) -> Result:
    """Section 2.7.4: all elements that the device writes stand behind all that it reads.

    Checked: each chain of a split queue whose descriptors were seen, up to where the chain meets
    a descriptor again: what follows in a loop has no place in an order.
    """
    return readable_first(view, SPLIT)


def readable_first(view: View, layout: int) -> Result:
    """Check that no chain has a readable element behind a writable one."""
    rings, adds, chains = view.rings, view.adds, view.chains
    element = np.flatnonzero(chains.element & chains.good & (rings.layout[chains.q] == layout))
    chain = chains.chain[element]
    writable = chains.flags[element] & bits.WRITE != 0
    first_writable = np.full(len(adds.q), len(chains.q), dtype=np.int64)
    np.minimum.at(first_writable, chain[writable], element[writable])
    last_readable = np.full(len(adds.q), -1, dtype=np.int64)
    np.maximum.at(last_readable, chain[~writable], element[~writable])
    seen = np.zeros(len(adds.q), dtype=np.bool_)
    seen[chain] = True
    table = Rows.of(rings, adds).plus(first_writable=first_writable, last_readable=last_readable)
    table = table.where(seen)
    readable = table["last_readable"]
    table = table.plus(readable_row=chains.row[readable])
    return table.check(
        readable <= table["first_writable"],
        "{queue}: the chain at head {head} has a readable element behind a writable one",
        none="no chain's descriptors were seen",
        shown=("row", "readable_row"),
    )
