# SPDX-License-Identifier: GPL-2.0-only
"""For every rule: a log in which it holds, and ways to break it, by topic of the rule.

Logs come from a machine that conforms to the specification; a case alters its events as another
driver or device would have. The first line of a case's docstring says what breaks the rule.
"""

from tests.spec.cases import (
    block,
    cleanup,
    config,
    cross,
    features,
    framing,
    indirect,
    init,
    interrupts,
    liveness,
    mmio,
    notify,
    packed,
    packed_memory,
    packed_notify,
    packed_order,
    packed_used,
    pci_capabilities,
    pci_driver,
    pci_survey,
    reset,
    served,
    split,
    status,
    stores,
    survival,
    vhost,
)
from tests.spec.cases.base import CASES, Case

__all__ = [
    "CASES",
    "Case",
    "block",
    "cleanup",
    "config",
    "cross",
    "features",
    "framing",
    "indirect",
    "init",
    "interrupts",
    "liveness",
    "mmio",
    "notify",
    "packed",
    "packed_memory",
    "packed_notify",
    "packed_order",
    "packed_used",
    "pci_capabilities",
    "pci_driver",
    "pci_survey",
    "reset",
    "served",
    "split",
    "status",
    "stores",
    "survival",
    "vhost",
]
