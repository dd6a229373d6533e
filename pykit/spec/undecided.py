# SPDX-License-Identifier: GPL-2.0-only
"""Queues in use of which neither a decision to notify nor a notification was traced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pykit.spec.arrays import Ints, first_of

if TYPE_CHECKING:
    from pykit.spec.view import View


def first_adds(view: View) -> Ints:
    """Return, for each of these queues, where its first chain stands in ``view.adds``.

    Whether the device asked for a notification is not known of them: a driver looks at what it asks
    for where it decides.
    """
    adds = view.adds
    begun = np.flatnonzero(first_of(adds.q))
    asked = view.rings.of("kick", "notify", "add_failed")["q"]
    found: Ints = begun[~np.isin(adds.q[begun], asked)]
    return found
