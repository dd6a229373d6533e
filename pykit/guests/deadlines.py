# SPDX-License-Identifier: GPL-2.0-only
"""How much more time a guest gets, for its kernel's checks and for a slow machine."""

from __future__ import annotations

from pathlib import Path

from pykit.kconfig.fragments import read_config

#: Each multiplies. Under TCG a kernel with KASAN and lockdep took 7 times the stock
#: kernel's time for the default scenario's fio, one with KCSAN twice; and a reserve.
_FACTORS = {"KASAN": 4, "KCSAN": 3, "PROVE_LOCKING": 2}

#: A guest's time to boot, s, before its kernel's own factor. How fast the machine is shows only
#: then.
BOOT_S = 180.0
#: What a guest takes to boot on the machine that scenarios' deadlines were made on, under TCG, s,
#: by runner; and what a copy takes until its agent is there.
_USUAL_S = {"direct": 4.5, "vng": 6.0, "copy": 0.7}


def slowness(boot_s: float, config_factor: int, runner: str = "direct") -> float:
    """Return how much slower than usual this machine booted a guest; at least 1."""
    return max(1.0, boot_s / (_USUAL_S[runner] * config_factor))


def factor(config: Path) -> int:
    """Return what a scenario's deadline is multiplied by for the kernel of that .config."""
    symbols = read_config(config)
    found = 1
    for symbol, times in _FACTORS.items():
        if symbols.get(symbol) == "y":
            found *= times
    return found
