# SPDX-License-Identifier: GPL-2.0-only
"""Queues on which the device owes an answer to each chain.

On the others the driver leaves buffers with the device until it has something to say (packets that
may come, events, entropy), or the device may wait for a third party (a peer that takes packets, a
file of the host that blocks).
"""

from __future__ import annotations

from collections.abc import Callable

from pykit.spec import bits

_SCSI_ID = 8
_SCSI_EVENTS = 1

#: By virtio device id (section 5): whether a queue carries requests.
_REQUESTS: dict[int, Callable[[int], bool]] = {
    bits.BLK_ID: lambda _: True,
    _SCSI_ID: lambda vq: vq != _SCSI_EVENTS,
}


def carries_requests(device: int | None, vq: int) -> bool:
    """Return whether every chain of a queue is a request that the device has to answer.

    ``device`` is the virtio device id, None if unknown: then nothing is owed.
    """
    known = _REQUESTS.get(device or 0)
    return known is not None and known(vq)
