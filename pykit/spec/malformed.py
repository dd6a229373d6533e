# SPDX-License-Identifier: GPL-2.0-only
"""Block requests that no device can serve: it may refuse them, or stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pykit.spec import bits
from pykit.spec.arrays import Bools, Ints
from pykit.spec.rings import SPLIT

if TYPE_CHECKING:
    from pykit.spec.view import View


def bytes_of(view: View) -> tuple[Ints, Ints]:
    """By chain: bytes to read and to write, in memory where that was seen, else as handed over.

    The device overwrites descriptors of a packed ring: there only indirect tables count.
    """
    rings, adds, chains = view.rings, view.adds, view.chains
    read, written = (np.zeros(len(adds.q), dtype=np.int64) for _ in range(2))
    writes = chains.flags & bits.WRITE != 0
    for total, mine in ((read, ~writes), (written, writes)):
        mine = mine & chains.element
        np.add.at(total, chains.chain[mine], chains.len[mine])
    tables = np.zeros(len(adds.q), dtype=np.bool_)
    tables[chains.chain[chains.table == 1]] = True
    seen = chains.whole & (tables | (rings.layout[adds.q] == SPLIT))
    return np.where(seen, read, adds.readable), np.where(seen, written, adds.writable)


def without_request(view: View) -> Bools:
    """By chain: it has fewer bytes than a header to read, or none for the status to write."""
    read, written = bytes_of(view)
    short: Bools = (read < bits.HEADER_BYTES) | (written < 1)
    return short


def malformed_requests(view: View) -> Bools:
    """By chain: it is of a block device, and holds no request, or one with half a segment."""
    return view.keep("malformed requests", _find)


def _find(view: View) -> Bools:
    rings, adds, requests = view.rings, view.adds, view.requests
    if not len(rings.queue):
        return np.zeros(len(adds.q), dtype=np.bool_)
    found = without_request(view)
    halved = np.isin(requests.type, bits.RANGE_TYPES) & (requests.bytes % bits.RANGE_BYTES != 0)
    found[requests.chain[halved & (requests.chain >= 0)]] = True
    found &= rings.device()[adds.q] == bits.BLK_ID
    return found
