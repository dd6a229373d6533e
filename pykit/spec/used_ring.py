# SPDX-License-Identifier: GPL-2.0-only
"""What the access tracer saw of a driver's split rings: their indices, and the used ring."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import polars as pl

from pykit.spec import bits

if TYPE_CHECKING:
    from pykit.spec.lives import Life
    from pykit.spec.view import View

#: An access by the kit's own tracepoints.
OWN = pl.col("symbol").str.starts_with("pykit_").fill_null(False)
#: A read by them.
OWN_READ = OWN & (pl.col("write") == 0)


def split_queues(view: View) -> Iterator[tuple[Life, str, pl.DataFrame]]:
    """Yield each split queue that the access tracer saw: its life, its name, its accesses."""
    yield from view.keep("accesses to split queues", lambda view: tuple(_split_queues(view)))


def _split_queues(view: View) -> Iterator[tuple[Life, str, pl.DataFrame]]:
    seen = view.of("acc_ring").filter(pl.col("life").is_not_null() & pl.col("vq").is_not_null())
    for (dev, number, vq), rows in seen.group_by("dev", "life", "vq", maintain_order=True):
        life = view.life(int(str(dev)), int(str(number)))
        if life.has(bits.RING_PACKED) is False:
            yield life, f"{life.name}, queue {vq}", _with_whole_indices(rows)


def _with_whole_indices(rows: pl.DataFrame) -> pl.DataFrame:
    """Give each store of one byte of the available index the value that the index has then.

    The first such store of a queue, before the whole index was stored, follows an index of 0.
    """
    stores = (pl.col("area") == "avail") & (pl.col("write") == 1)
    half = stores & (pl.col("size") == 1) & pl.col("offset").is_in([2, 3])
    if rows.filter(half).is_empty():
        return rows
    at = rows.with_row_index("at").filter(half | (stores & (pl.col("field") == "idx")))
    index, fields, values = 0, rows["field"].to_list(), rows["value"].to_list()
    for place, offset, size, value in at.select("at", "offset", "size", "value").iter_rows():
        if value is None:
            continue
        shift = 8 * (offset - 2)
        index = (index & ~(0xFF << shift)) | value << shift if size == 1 else value
        fields[place], values[place] = "idx", index
    return rows.with_columns(
        pl.Series("field", fields, dtype=rows.schema["field"]),
        pl.Series("value", values, dtype=rows.schema["value"]),
    )


def in_used_ring(life: Life) -> pl.Expr:
    """Whether an access is to the used ring.

    It ends with its entries where EVENT_IDX is not negotiated: what is behind may be the driver's
    own (DX-32 has accesses to what would be avail_event).
    """
    inside = pl.col("area") == "used"
    return inside if life.has(bits.EVENT_IDX) else inside & (pl.col("field") != "event")


def stores_to_used(life: Life, rows: pl.DataFrame) -> pl.DataFrame:
    """Return a queue's stores to its used ring, which is the device's to write.

    Zeros that are stored while the available index is 0, or was not stored yet, clear a ring that
    is not in use: they are left out.
    """
    index = (pl.col("area") == "avail") & (pl.col("field") == "idx") & (pl.col("write") == 1)
    stored = pl.when(index).then(pl.col("value")).forward_fill().fill_null(0)
    clears = (pl.col("value") == 0) & (pl.col("index") == 0)
    mine = in_used_ring(life) & (pl.col("write") == 1)
    return rows.with_columns(index=stored).filter(mine & ~clears)


def used_ring_spoilt(view: View, dev: int, life: int, vq: int) -> bool:
    """Return whether the driver wrote to the used ring of a split queue, avail_event included."""
    spoilt = view.keep("spoilt used rings", _spoilt)
    return (dev, life, vq) in spoilt


def _spoilt(view: View) -> set[tuple[int, int, int]]:
    found = set()
    for life, _, rows in split_queues(view):
        if stores_to_used(life, rows).height:
            found.add((life.dev, life.number, int(rows["vq"][0])))
    return found
