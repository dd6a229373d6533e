# SPDX-License-Identifier: GPL-2.0-only
"""Features that drivers accept by the registers' log, and whether they have read the offer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from pykit.spec import bits
from pykit.spec.arrays import Bools, Ints
from pykit.spec.registers import LEGACY, MMIO, PCI, Registers, earlier, registers

if TYPE_CHECKING:
    from pykit.spec.rows import Rows
    from pykit.spec.view import View

#: No window shows more words of 32 features than this.
_WORDS = 1 << 8


def accepted_words(view: View) -> tuple[Bools, Bools, Ints]:
    """Return, by register access: writes that accept features, those behind a read, and the word.

    The writes are of other values than 0, in a log that has the reset before them. A write is
    behind a read of the same word of the offer since that reset, or repeats one that was, where
    the driver may have resumed.
    """
    return view.keep("accepted words", _accepted_words)


def _accepted_words(view: View) -> tuple[Bools, Bools, Ints]:
    regs = registers(view)
    mine = regs.of(PCI + MMIO + LEGACY)
    offer = mine & regs.on("device_feature") & ~regs.write
    writes = mine & regs.writes("driver_feature") & (regs.value != 0) & regs.begun
    word = np.where(offer, _word(regs, "device"), _word(regs, "driver"))
    read = earlier(offer, regs.span * _WORDS + word % _WORDS) >= 0
    same = np.stack([regs.dev, word, regs.value]).T[writes]
    number = np.full(len(regs), -1)
    number[writes] = np.unique(same, axis=0, return_inverse=True)[1].reshape(-1)
    again = (earlier(writes & read, number) >= 0) & ~np.isin(regs.dev, _never_resumed(view))
    return writes, read | again, word


def words_beyond(view: View) -> Rows:
    """Return writes that accept features from 64 on, whose ``word`` of the offer was read.

    Columns: ``word``, ``offered`` (what was read of it last), ``value``. No event on a negotiation
    has such features.
    """
    regs = registers(view)
    writes, _, word = accepted_words(view)
    offer = regs.of(PCI + MMIO) & regs.reads("device_feature")
    read = earlier(offer, regs.span * _WORDS + word % _WORDS)
    last = word > bits.VERSION_1 // 32
    return regs.where(
        writes & regs.known & last & (read >= 0), word=word, offered=regs.value_at(read, 0)
    )


def _never_resumed(view: View) -> list[int]:
    """Return devices whose driver's steps were traced, without one that resumes."""
    if not view.recorded("driver"):
        return []
    steps = view.of("driver").select("dev", "stage").drop_nulls()
    resumed = steps.filter(pl.col("stage") == bits.RESTORE)["dev"]
    never: list[int] = steps.filter(~pl.col("dev").is_in(resumed.implode()))["dev"].to_list()
    return sorted({*never})


def _word(regs: Registers, side: str) -> Ints:
    """By access: which 32 features the window of this side shows; 0 where there is no choice."""
    selected = earlier(regs.writes(f"{side}_feature_select"), regs.span)
    return np.where(regs.of(("legacy",)), 0, regs.value_at(selected, 0))
