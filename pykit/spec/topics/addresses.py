# SPDX-License-Identifier: GPL-2.0-only
"""Addresses that a driver gives the device (section 6.1)."""

from __future__ import annotations

import numpy as np

from pykit.spec import bits
from pykit.spec.model import Result, rule
from pykit.spec.rows import Rows
from pykit.spec.view import View

#: No machine has physical addresses of more bits: 52 on x86 and on Arm.
_PHYSICAL = 52
_AREAS = ("desc", "avail", "used")


@rule("RF-DR-05", needs=("driver:queue", "driver:features"), local=True, contents=True)
def addresses_are_physical(view: View) -> Result:
    """Section 6.1: without ACCESS_PLATFORM on offer the driver gives physical addresses.

    Checked: each set-up of a queue and each descriptor: no address has a bit above the 52 that a
    physical one can have, as virtual addresses of kernels do. An address that a physical one could
    be is not compared with the machine's memory.

    Contested: a chain that came back. No device can serve what it cannot reach: something else
    stood there when it looked, and the device itself may have written what was seen.

    A life whose offer was not traced is left out.
    """
    offered = [view.life(dev, life).negotiated for dev, life, _ in view.rings.queue]
    plain = np.array(
        [seen is not None and not seen.offered >> bits.ACCESS_PLATFORM & 1 for seen in offered],
        dtype=np.bool_,
    )
    none = "no queue of a device without ACCESS_PLATFORM was set up"
    setups = view.events_of("queue")
    setups = setups.where((setups["op"] == 0) & plain[setups["q"]]) if len(setups) else setups
    high = np.zeros(len(setups), dtype=np.int64)
    for name in _AREAS:
        # Addresses above 2^63 are negative.
        high |= setups[name] >> _PHYSICAL
    found = setups.check(
        high == 0, "{queue}: an area is at {desc:#x}, {avail:#x} or {used:#x}", none=none
    )
    chains = Rows.of(view.rings, view.chains)
    chains = chains.where(plain[chains["q"]]) if len(chains) else chains
    returned = view.pairs.used_of[chains["chain"]] >= 0 if len(chains) else high == 0
    return found + chains.check(
        chains["addr"] >> _PHYSICAL == 0,
        "{queue}: a descriptor names the address {addr:#x}",
        unless=returned[: len(chains)],
    )
