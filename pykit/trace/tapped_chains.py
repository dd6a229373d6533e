# SPDX-License-Identifier: GPL-2.0-only
"""Events of chains from what a tap wrote down of each: one record, and one of each descriptor.

A tap stands in the way of each request, so that it leaves to the reader what can be computed later:
the events ``add``, ``desc`` and ``blk_start`` of a chain, in this order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from pykit.trace.kinds import BASE, KINDS
from pykit.trace.requests import HEADER_BYTES

_WRITE, _INDIRECT = 2, 4
Records = npt.NDArray[np.void]
Columns = dict[str, npt.NDArray[Any]]

#: Files of chains and of their descriptors, and their columns with struct codes. A chain's row and
#: number are those of its event ``add``. ``inner`` counts descriptors of a table; ``blk`` says that
#: it is a block request.
CHAIN, DESCRIPTOR = "chain", "descriptor"
OF_CHAIN = (
    ("before", "Q"), ("num_free", "I"), ("head", "H"), ("avail_idx", "H"), ("slots", "H"),
    ("used_idx", "H"), ("inner", "H"), ("blk", "B"), ("type", "I"), ("sector", "Q"),
    ("status_addr", "Q"),
)  # fmt: skip
OF_DESCRIPTOR = (
    ("slot", "H"), ("addr", "Q"), ("len", "I"), ("flags", "H"), ("next", "H"), ("table", "B"),
)  # fmt: skip
#: The kinds that come of both.
MADE = ("add", "desc", "blk_start")


def expand(chains: Records, descriptors: Records) -> list[pl.DataFrame]:
    """Return the events of chains; those whose descriptors are not all there are left out."""
    counts = chains["slots"].astype(np.int64) + chains["inner"]
    ends = np.cumsum(counts)
    chains = chains[ends <= len(descriptors)]
    counts, ends = counts[: len(chains)], ends[: len(chains)]
    begins = ends - counts
    found = descriptors[: int(counts.sum())]
    buffer = (found["table"] == 1) | (found["flags"] & _INDIRECT == 0)
    write = found["flags"] & _WRITE != 0

    def total(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Sum of a column of descriptors, by chain."""
        sums = np.concatenate(([0], np.cumsum(values, dtype=np.int64)))
        return np.asarray(sums[ends] - sums[begins], np.int64)

    reads, writes = total(buffer & ~write), total(buffer & write)
    read, written = (
        total(np.where(chosen, found["len"], 0)) for chosen in (buffer & ~write, buffer & write)
    )
    add = {
        "before": chains["before"], "readable": read, "writable": written, "chain": reads + writes,
        "num_free": chains["num_free"], "head": chains["head"], "avail_idx": chains["avail_idx"],
        "slots": chains["slots"], "used_idx": chains["used_idx"],
        # Whose buffers they are the driver alone knows.
        "differs": np.zeros(len(chains), dtype=np.uint16),
        "indirect": (chains["inner"] > 0).astype(np.uint8),
    }  # fmt: skip
    chain = np.repeat(np.arange(len(chains)), counts)
    place = np.arange(len(found)) - begins[chain]
    desc = {name: found[name] for name, _ in OF_DESCRIPTOR} | {
        "head": chains["head"][chain],
        "pos": place - np.where(found["table"] == 1, chains["slots"][chain], 0),
    }
    requests = np.flatnonzero(chains["blk"])
    asked = chains[requests]
    out = read[requests] - HEADER_BYTES
    sent = out > 0
    start = {
        "sector": asked["sector"], "status_addr": asked["status_addr"], "type": asked["type"],
        "head": asked["head"],
        "bytes": np.maximum(np.where(sent, out, written[requests] - 1), 0),
        "segments": np.maximum(np.where(sent, reads[requests], writes[requests]) - 1, 0),
    }  # fmt: skip
    return [
        _frame("add", chains, 0, add),
        _frame("desc", chains[chain], 1 + place, desc),
        _frame("blk_start", asked, 1 + counts[requests], start),
    ]


def _frame(
    kind: str, chains: Records, behind: int | npt.NDArray[np.int64], fields: Columns
) -> pl.DataFrame:
    """Events of one kind, each so many events behind the first one of its chain."""
    base = {name: chains[name] for name in ("ts", "life", "vq")}
    order = {name: chains[name] + behind for name in ("row", "seq")}
    types = {name: BASE[name] for name in (*base, *order)} | KINDS[kind]
    columns = base | order | fields
    return pl.DataFrame(
        [pl.Series(name, columns[name]).cast(dtype) for name, dtype in types.items()]
    ).with_columns(kind=pl.lit(kind))
