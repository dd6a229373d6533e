# SPDX-License-Identifier: GPL-2.0-only
"""Interrupts of MMIO transports: asked what for, handled, and acknowledged, in this order.

The access tracer sees a CPU's accesses in program order, to registers and to rings alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from pykit.spec.arrays import Bools, Ints, first_of, grouped_cumsum, ints
from pykit.spec.model import Result, breaches, rule
from pykit.spec.view import View

#: Registers of the transport (4.2.2).
INTERRUPT_STATUS, INTERRUPT_ACK = 0x60, 0x64
USED_BUFFER = 1
NOTHING = "no interrupt of an MMIO device was acknowledged"
MIXED = "the interrupt may have been about the configuration, or nothing was handled"


@dataclass(frozen=True)
class Acks:
    """Interrupts acknowledged. By acknowledgement: ``row dev life``; ``asked`` (its reason was
    read since the one before), ``handled`` and ``later`` (a used index was read between that
    and this, and between this and the next asking, by the same CPU), and whether it may have
    been for something else than used buffers."""

    row: Ints
    dev: Ints
    life: Ints
    asked: Bools
    handled: Bools
    later: Bools
    other: Bools


def acks(view: View) -> Acks:
    """Each CPU is a line of its own: an interrupt is handled where it arrives."""
    return view.keep("mmio acks", _read)


def _read(view: View) -> Acks:
    types = {view.events.devices.get(d.id): d.type for d in view.events.capture.devices}
    mine = [dev for dev, kind in types.items() if dev is not None and kind.endswith("-device")]
    register = pl.col("offset").is_in((INTERRUPT_STATUS, INTERRUPT_ACK))
    register &= (pl.col("kind") == "acc_register") & (
        (pl.col("write") == 1) == (pl.col("offset") == INTERRUPT_ACK)
    )
    index = (pl.col("area") == "used") & (pl.col("field") == "idx") & (pl.col("write") == 0)
    seen = (
        view.of("acc_register", "acc_ring")
        .filter(pl.col("dev").is_in(mine) & pl.col("life").is_not_null() & (register | index))
        .sort("dev", "life", "cpu", "row")
    )
    of_register = (seen["kind"] == "acc_register").to_numpy()
    asks = of_register & (ints(seen, "offset") == INTERRUPT_STATUS)
    ends = of_register & ~asks
    line = seen.select(pl.struct("dev", "life", "cpu").rle_id()).to_series().to_numpy()
    # A turn goes from one question to the next.
    turn = np.cumsum(asks | first_of(line))
    looks = grouped_cumsum((~of_register).astype(np.int64), turn)
    at = np.flatnonzero(ends)
    last = np.searchsorted(turn, turn[at], side="right") - 1
    before = np.searchsorted(turn, turn[at])
    value = seen["value"].to_numpy() if seen.height else np.zeros(0)
    unknown = seen["value"].is_null().to_numpy()
    dev, life = ints(seen, "dev")[at], ints(seen, "life")[at]
    told = view.of("config_change", "dev_config_signal").select("dev", "life").unique()
    changed = set(told.iter_rows())
    lives = zip(dev.tolist(), life.tolist(), strict=True)
    doubt = np.array([name in changed for name in lives], dtype=np.bool_)
    buffers = np.where(unknown, 0, value).astype(np.int64)[at] & USED_BUFFER == USED_BUFFER
    return Acks(
        row=ints(seen, "row")[at],
        dev=dev,
        life=life,
        asked=asks[before],
        handled=looks[at] > 0,
        later=looks[last] > looks[at],
        other=np.where(unknown[at], doubt, ~buffers),
    )


@rule("MN-DR-01", needs="access:acc_register")
def asked_first(view: View) -> Result:
    found = acks(view)
    wrong = breaches(
        ~found.asked,
        lambda i: f"device {found.dev[i]}, life {found.life[i]}: acknowledged, and not asked what",
        found.row,
    )
    return Result(len(found.row), wrong, why=NOTHING)


@rule("MN-DR-03", needs=("access:acc_register", "access:acc_ring"), also=("MR-DR-21",))
def acknowledged_last(view: View) -> Result:
    found = acks(view)
    judged = ~found.other & (found.handled | found.later)
    wrong = breaches(
        judged & ~found.handled,
        lambda i: (
            f"device {found.dev[i]}, life {found.life[i]}: "
            "acknowledged before its used buffers were looked at"
        ),
        found.row,
    )
    return Result(int(judged.sum()), wrong, int((~judged).sum()), NOTHING, MIXED)
