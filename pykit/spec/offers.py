# SPDX-License-Identifier: GPL-2.0-only
"""What a device offers and accepts: known from the driver, which may read or write it wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pykit.spec.arrays import Bools
from pykit.spec.lives import Life
from pykit.spec.registers import Registers, earlier, registers
from pykit.spec.rows import Tally
from pykit.spec.view import View

Lives = frozenset[tuple[int, int]]


def misread(view: View) -> Lives:
    """Return lives (dev, life) whose driver read the features without selecting a half of them.

    By the registers' log. What the driver takes for the offer is whatever half was selected before.
    """
    return view.keep("misread offers", lambda view: _lives(view, _unselected))


def miswritten(view: View) -> Lives:
    """Return lives (dev, life) whose driver wrote the status in another width than its register's.

    By the registers' log. What such a write does is not defined, so that a device which does not
    accept it refuses nothing.
    """
    return view.keep("miswritten status", lambda view: _lives(view, _in_parts))


def _lives(view: View, chosen: Callable[[Registers], Bools]) -> Lives:
    if not {"register", "acc_register"} & view.kinds:
        return frozenset()
    regs = registers(view)
    at = np.flatnonzero(chosen(regs))
    return frozenset(zip(regs.dev[at].tolist(), regs.life[at].tolist(), strict=True))


def _unselected(regs: Registers) -> Bools:
    chosen = earlier(regs.on("device_feature_select") & regs.write, regs.span) >= 0
    found: Bools = regs.reads("device_feature") & regs.begun & ~chosen
    return found


def _in_parts(regs: Registers) -> Bools:
    width = np.where(regs.of(("mmio", "mmio-legacy")), 4, 1)
    found: Bools = regs.on("status") & regs.write & (regs.columns["size"] != width)
    return found


def accuse(tally: Tally, life: Life, holds: bool, row: int, text: str, *, doubtful: Lives) -> None:
    """Check something of a device; in the lives that are ``doubtful`` a violation is contested."""
    # Where a reset was written wrong as well, the log cannot tell lives.
    if holds or not {(life.dev, life.number), (life.dev, -1)} & doubtful:
        tally.check(holds, row, text)
    else:
        tally.contested()
