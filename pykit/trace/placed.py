# SPDX-License-Identifier: GPL-2.0-only
"""Place a driver's events that were made of its accesses among all that was seen from outside."""

from __future__ import annotations

import polars as pl

from pykit.trace.align import LOG_STEP_NS
from pykit.trace.kinds import REGISTERS


def is_whole(made: pl.DataFrame, outside: pl.DataFrame) -> bool:
    """Return whether there are events of each queue of which QEMU took a chain.

    A device whose place QEMU does not give has none, and nothing is known of its driver.
    """
    if made.is_empty():
        return False
    place = ("dev", "life", "vq")
    popped = outside.filter(kind="dev_pop").select(place).unique()
    return popped.join(made.select(place).unique(), on=place, how="anti").is_empty()


def with_registers(made: pl.DataFrame, outside: pl.DataFrame) -> pl.DataFrame:
    """Return all that was seen, at its end the driver's events: those of its registers among them.

    QEMU's log cuts times to microseconds. What the driver does to a ring behind a write to the
    status comes long after, since the tracer then asks QEMU where the rings are.
    """
    mine = (pl.col("source") == "registers") & pl.col("kind").is_in(REGISTERS)
    both = pl.concat([outside.filter(mine), made], how="diagonal_relaxed")
    late = pl.col("ts") + pl.when(pl.col("source") == "registers").then(LOG_STEP_NS - 1).otherwise(
        0
    )
    both = both.sort(late, maintain_order=True)
    return pl.concat([outside.filter(~mine), both], how="diagonal_relaxed")
