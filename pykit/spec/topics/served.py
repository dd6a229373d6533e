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
from pykit.spec.rows import Tally
from pykit.spec.view import View

#: What both sides must have negotiated alike to read the same ring.
RING_BITS = (bits.INDIRECT_DESC, bits.EVENT_IDX)


@rule(
    "XC-04",
    needs=("driver:add", "driver:used", "vhost:vhost_get", "vhost:vhost_used"),
    title="What the driver made available and took is what the vhost back-end got and returned.",
)
def both_ends_agree(view: View) -> Result:
    """Cross-check: driver and vhost back-end of one guest traced the same chains and entries.

    Checked: each chain and each used entry that both traced, in the order of the ring: head,
    sizes and number of descriptors of a chain, id and len of an entry. Reported are also chains
    that the back-end got and the driver never made available, entries that the driver took and
    the back-end never returned, and a ring of another size or other ring features.

    - One side may be ahead where the trace ends: only what both traced is compared.
    - A back-end that is removed while it serves has its transport return what is left: the
      driver may then take more entries than the back-end returned.
    - Undecided: a queue that was not seen from its set-up on, or was set up more than once. Which
      events of the back-end belong to it is not known.
    """
    rings = view.rings
    started = view.of("vhost_attach").filter(pl.col("ended") == 0)
    served = set(started.select("dev", "life").iter_rows())
    tally = Tally(
        none="no back-end serves a driver",
        doubt="the queue was not seen from its set-up on, or set up more than once",
    )
    for q, name in enumerate(rings.queue):
        if name[:2] not in served:
            continue
        if rings.alone[q] and rings.whole[q] and rings.layout[q] == SPLIT:
            _compare(view, q, tally)
        else:
            tally.undecided()
    return tally.result()


def _compare(view: View, q: int, tally: Tally) -> None:
    """Compare all that both sides traced of a queue."""
    dev, life, vq = view.rings.queue[q]
    queue = view.rings.name(q)
    place = (pl.col("dev") == dev) & (pl.col("life") == life) & (pl.col("vq") == vq)
    kinds = ("vhost_queue", "vhost_get", "vhost_used")
    setups, got, returned = (view.of(kind).filter(place).sort("seq") for kind in kinds)
    added = view.rings.of("add").of_queue(q)
    taken = np.flatnonzero((view.used.q == q) & view.used.fresh & (view.used.accepted == 1))

    tally.check_together(0, _setups_that_differ(view, q, setups))
    rows = (ints(added, "row"), ints(got, "row"))
    sizes = ("head", "readable", "writable")
    chains = {name: (ints(added, name), ints(got, name)) for name in sizes}
    chains["descriptors"] = (ints(added, "chain"), ints(got, "out") + ints(got, "in"))
    _compare_entries(f"{queue}: chain", rows, chains, tally)
    if got.height > len(added):
        text = f"{queue}: {len(added)} chains made available, {got.height} got"
        tally.check_together(0, [Violation((int(rows[1][len(added)]),), text)])

    rows = (view.used.row[taken], ints(returned, "row"))
    entries = {
        "id": (view.used.id[taken], ints(returned, "id")),
        "len": (view.used.len[taken], ints(returned, "len")),
    }
    _compare_entries(f"{queue}: used entry", rows, entries, tally)
    if len(taken) > returned.height and not _removed(view, dev, life):
        text = f"{queue}: {returned.height} chains returned, {len(taken)} taken"
        tally.check_together(0, [Violation((int(rows[0][returned.height]),), text)])


def _setups_that_differ(view: View, q: int, setups: pl.DataFrame) -> Iterator[Violation]:
    """Ring sizes and ring features in which the back-end differs from the driver."""
    dev, life, _ = view.rings.queue[q]
    queue, size = view.rings.name(q), int(view.rings.size[q])
    negotiated = view.life(dev, life).negotiated
    for row, features, served in setups.select("row", "features", "size").iter_rows():
        if served != size:
            text = f"{queue}: set up with {size} descriptors, served with {served}"
            yield Violation((row,), text)
        differs = features ^ negotiated.acked if negotiated else 0
        for bit in RING_BITS:
            if differs >> bit & 1:
                name = bits.names_of(1 << bit)
                yield Violation((row,), f"{queue}: the two sides do not agree on {name}")


def _compare_entries(
    what: str, rows: tuple[Ints, Ints], columns: dict[str, tuple[Ints, Ints]], tally: Tally
) -> None:
    """Compare entries at the same place of both traces; ``rows`` and columns: driver, back-end."""
    both = min(len(rows[0]), len(rows[1]))
    differing = (
        Violation(
            (int(rows[0][i]), int(rows[1][i])),
            f"{what} {i}: {name} is {mine[i]} for the driver, {theirs[i]} for the back-end",
        )
        for name, (mine, theirs) in columns.items()
        for i in np.flatnonzero(mine[:both] != theirs[:both]).tolist()
    )
    tally.check_together(both, differing)


def _removed(view: View, dev: int, life: int) -> bool:
    """Whether the back-end was removed while it served."""
    ends = view.of("vhost_attach").filter(pl.col("ended") == 1)
    return (dev, life) in set(ends.select("dev", "life").iter_rows())
