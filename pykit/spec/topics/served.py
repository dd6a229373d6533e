# SPDX-License-Identifier: GPL-2.0-only
"""A driver and the vhost back-end of the same guest that serves it: both sides of one queue."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from pykit.spec import bits
from pykit.spec.arrays import Ints, ints
from pykit.spec.model import Result, Violation, rule
from pykit.spec.rings import SPLIT
from pykit.spec.view import View

ONE_SIDE = "the queue was not seen from its set-up on, or set up more than once"
#: What both sides must know alike to read the same ring.
RING_BITS = (bits.INDIRECT_DESC, bits.EVENT_IDX)


@rule(
    "XC-04",
    needs=("driver:add", "vhost:vhost_get"),
    title="What the driver made available and took is what the vhost back-end got and returned.",
)
def both_ends_agree(view: View) -> Result:
    rings = view.rings
    started = view.of("vhost_serves").filter(pl.col("ended") == 0)
    served = set(started.select("dev", "life").iter_rows())
    checked, undecided = 0, 0
    found: list[Violation] = []
    for q, name in enumerate(rings.queue):
        if name[:2] not in served:
            continue
        if not (rings.alone[q] and rings.whole[q] and rings.layout[q] == SPLIT):
            undecided += 1
            continue
        count, wrong = _compare(view, q)
        checked += count
        found += [Violation(rows, f"{rings.name(q)}: {text}") for rows, text in wrong]
    return Result(checked, tuple(found), undecided, "no back-end serves a driver", ONE_SIDE)


def _compare(view: View, q: int) -> tuple[int, list[tuple[tuple[int, ...], str]]]:
    """How many entries of a queue were compared, and how they differ: rows and text."""
    dev, life, vq = view.rings.queue[q]
    place = (pl.col("dev") == dev) & (pl.col("life") == life) & (pl.col("vq") == vq)
    kinds = ("vhost_queue", "vhost_get", "vhost_used")
    queue, got, returned = (view.of(kind).filter(place).sort("seq") for kind in kinds)
    added = view.rings.of("add").of_queue(q)
    taken = np.flatnonzero((view.used.q == q) & view.used.fresh & (view.used.accepted == 1))
    wrong = list(_set_up(view, q, queue))
    chains = ("head", "readable", "writable")
    wrong += _entries(
        "chain",
        ints(added, "row"),
        ints(got, "row"),
        {name: (ints(added, name), ints(got, name)) for name in chains}
        | {"descriptors": (ints(added, "chain"), ints(got, "out") + ints(got, "in"))},
    )
    if got.height > len(added):
        row = int(ints(got, "row")[len(added)])
        wrong.append(((row,), f"{len(added)} chains made available, {got.height} got"))
    wrong += _entries(
        "used entry",
        view.used.row[taken],
        ints(returned, "row"),
        {
            "id": (view.used.id[taken], ints(returned, "id")),
            "len": (view.used.len[taken], ints(returned, "len")),
        },
    )
    if len(taken) > returned.height and not _left(view, dev, life):
        row = int(view.used.row[taken[returned.height]])
        wrong.append(((row,), f"{returned.height} chains returned, {len(taken)} taken"))
    return min(len(added), got.height) + min(len(taken), returned.height), wrong


def _set_up(view: View, q: int, queue: pl.DataFrame) -> Iterator[tuple[tuple[int, ...], str]]:
    """How the queue that the back-end serves is not the one that the driver set up."""
    dev, life, _ = view.rings.queue[q]
    negotiated = view.life(dev, life).negotiated
    for row, features, size in queue.select("row", "features", "size").iter_rows():
        if size != view.rings.size[q]:
            yield (row,), f"set up with {view.rings.size[q]} descriptors, served with {size}"
        differs = features ^ negotiated.acked if negotiated else 0
        for bit in RING_BITS:
            if differs >> bit & 1:
                yield (row,), f"the two sides do not agree on {bits.names_of(1 << bit)}"


def _entries(
    what: str, mine: Ints, theirs: Ints, columns: dict[str, tuple[Ints, Ints]]
) -> list[tuple[tuple[int, ...], str]]:
    """Entries that stand at the same place of both accounts and are not the same."""
    both = min(len(mine), len(theirs))
    found: list[tuple[tuple[int, ...], str]] = []
    for name, (a, b) in columns.items():
        for i in np.flatnonzero(a[:both] != b[:both]).tolist():
            text = f"{what} {i}: {name} is {a[i]} for the driver, {b[i]} for the back-end"
            found.append(((int(mine[i]), int(theirs[i])), text))
    return found


def _left(view: View, dev: int, life: int) -> bool:
    """Whether the back-end went while it served: its transport answers for it then."""
    ends = view.of("vhost_serves").filter(pl.col("ended") == 1)
    return (dev, life) in set(ends.select("dev", "life").iter_rows())
