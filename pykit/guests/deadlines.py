# SPDX-License-Identifier: GPL-2.0-only
"""How much more time a guest gets because of what its kernel checks as it runs."""

from __future__ import annotations

from pathlib import Path

from pykit.kconfig.fragments import read_config

#: Each multiplies. Under TCG a kernel with KASAN and lockdep took 7 times the stock
#: kernel's time for the default scenario's fio, one with KCSAN twice; and a reserve.
_FACTORS = {"KASAN": 4, "KCSAN": 3, "PROVE_LOCKING": 2}


def factor(config: Path) -> int:
    """What a scenario's deadline is multiplied by for the kernel of that .config."""
    symbols = read_config(config)
    found = 1
    for symbol, times in _FACTORS.items():
        if symbols.get(symbol) == "y":
            found *= times
    return found
