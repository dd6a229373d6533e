# SPDX-License-Identifier: GPL-2.0-only
"""The record of chains in flight that front-end and back-end share across connections.

Layout: QEMU's docs/interop/vhost-user.rst, Inflight I/O tracking. A queue's part has a header and a
state for each entry of its descriptor area.
"""

from __future__ import annotations

import struct

#: Payload of GET_INFLIGHT_FD and SET_INFLIGHT_FD: size and offset of the record in its file; how
#: many queues it is for, and of what size.
INFLIGHT = struct.Struct("=QQHH")
#: What stands behind it: QEMU takes no message without, as its structure in C has that.
INFLIGHT_PADDING = bytes(4)
#: The only version of the layout; a part that was never used has 0.
INFLIGHT_VERSION = 1
#: Split: features, version, entries, head of the last batch, used index.
SPLIT_HEADER = struct.Struct("<QHHHH")
#: In flight or not, the next one of its batch, a number that says which was taken first.
SPLIT_STATE = struct.Struct("<B5xHQ")
#: Packed: features, version, entries, first free state, the same before; used position, the same
#: before; used wrap counter, the same before.
PACKED_HEADER = struct.Struct("<QHHHHHHBB10x")
#: In flight or not, next state, last one of the list, how many, which was taken first; the
#: descriptor: id, flags, length, address.
PACKED_STATE = struct.Struct("<BxHHHQHHIQ")
#: Each queue's part begins at a multiple of this.
INFLIGHT_ALIGN = 64


def inflight_bytes(size: int) -> int:
    """Bytes of a queue's part, for either layout."""
    length = PACKED_HEADER.size + PACKED_STATE.size * size
    return -(-length // INFLIGHT_ALIGN) * INFLIGHT_ALIGN
