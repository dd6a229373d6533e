# SPDX-License-Identifier: GPL-2.0-only
"""Features by the names that rows of cases have for them."""

from __future__ import annotations

from collections.abc import Iterable

from pykit.spec import bits

FEATURES = {
    "event-idx": bits.EVENT_IDX,
    "indirect": bits.INDIRECT_DESC,
    "in-order": bits.IN_ORDER,
    "access-platform": bits.ACCESS_PLATFORM,
    "any-layout": bits.ANY_LAYOUT,
    "notif-config-data": bits.NOTIF_CONFIG_DATA,
    "notification-data": bits.NOTIFICATION_DATA,
    "ring-reset": bits.RING_RESET,
    "sr-iov": bits.SR_IOV,
    "admin": bits.ADMIN_VQ,
    "suspend": bits.SUSPEND,
    "blk-ro": bits.BLK_RO,
    "blk-flush": bits.BLK_FLUSH,
    "blk-topology": bits.BLK_TOPOLOGY,
    "blk-config-wce": bits.BLK_CONFIG_WCE,
    "blk-discard": bits.BLK_DISCARD,
    "blk-write-zeroes": bits.BLK_WRITE_ZEROES,
    "blk-lifetime": bits.BLK_LIFETIME,
    "blk-secure-erase": bits.BLK_SECURE_ERASE,
    "blk-zoned": bits.BLK_ZONED,
    "blk-mq": bits.BLK_MQ,
    "blk-size-max": bits.BLK_SIZE_MAX,
}


def mask(names: Iterable[str]) -> int:
    """The bits of features.

    Raises:
        ValueError: a name is unknown.
    """
    found = 0
    for name in names:
        if name not in FEATURES:
            raise ValueError(f"unknown feature {name!r} (choose from {', '.join(FEATURES)})")
        found |= 1 << FEATURES[name]
    return found


def names(features: int) -> str:
    """The names of the features whose bits are set; a number where a bit has none."""
    known = {bit: name for name, bit in FEATURES.items()}
    return ", ".join(known.get(bit, f"bit {bit}") for bit in range(64) if features >> bit & 1)
