# SPDX-License-Identifier: GPL-2.0-only
"""Numbers that the specification gives names to."""

from __future__ import annotations

# Device status, section 2.1.
ACKNOWLEDGE = 1
DRIVER = 2
DRIVER_OK = 4
FEATURES_OK = 8
NEEDS_RESET = 64
#: What a status register reads as when the device is gone.
NO_DEVICE = 0xFF
FAILED = 128

# Descriptor flags, section 2.7.5.
NEXT = 1
WRITE = 2
INDIRECT = 4
DESC_BYTES = 16

#: What a vector register of MSI-X has for an event without a vector, section 4.1.4.3.
NO_VECTOR = 0xFFFF

# Stages of a driver (pykit_driver), operations on the status (pykit_status).
BEGIN, PROBED, PROBE_FAILED, REMOVE, REMOVED, FREEZE, RESTORE = range(7)
STATUS_WRITE, STATUS_READ, STATUS_RESET = range(3)

# Device types, section 5.
NET_ID = 1
BLK_ID = 2
CONSOLE_ID = 3
ENTROPY_ID = 4
BALLOON_ID = 5
SCSI_ID = 8
NINEP_ID = 9
INPUT_ID = 18
VSOCK_ID = 19
FS_ID = 26

# Feature bits for all devices, section 6.
NOTIFY_ON_EMPTY = 24
ANY_LAYOUT = 27
INDIRECT_DESC = 28
EVENT_IDX = 29
VERSION_1 = 32
ACCESS_PLATFORM = 33
RING_PACKED = 34
IN_ORDER = 35
ORDER_PLATFORM = 36
SR_IOV = 37
NOTIFICATION_DATA = 38
NOTIF_CONFIG_DATA = 39
RING_RESET = 40
ADMIN_VQ = 41
SUSPEND = 43

#: Bits for the queue and negotiation mechanisms that version 1.4 describes.
COMMON_BITS = frozenset(
    {NOTIFY_ON_EMPTY, ANY_LAYOUT, INDIRECT_DESC, EVENT_IDX, VERSION_1, ACCESS_PLATFORM}
    | {RING_PACKED, IN_ORDER, ORDER_PLATFORM, SR_IOV, NOTIFICATION_DATA, NOTIF_CONFIG_DATA}
    | {RING_RESET, ADMIN_VQ, SUSPEND}
)
#: Bits that version 1.4 keeps for later versions.
RESERVED_BITS = frozenset(range(44, 50))
#: Bits whose meaning is the device type's; 41 and 42 are shared with other uses.
DEVICE_BITS = frozenset({*range(24), *range(50, 64)})
#: Bits that only PCI devices can have.
PCI_BITS = frozenset({SR_IOV, ADMIN_VQ})

# Feature bits of block devices, section 5.2.3.
BLK_SIZE_MAX = 1
BLK_SEG_MAX = 2
BLK_GEOMETRY = 4
BLK_RO = 5
BLK_BLK_SIZE = 6
BLK_FLUSH = 9
BLK_TOPOLOGY = 10
BLK_CONFIG_WCE = 11
BLK_MQ = 12
BLK_DISCARD = 13
BLK_WRITE_ZEROES = 14
BLK_LIFETIME = 15
BLK_SECURE_ERASE = 16
BLK_ZONED = 17
#: 0 (barrier) and 7 (SCSI) are the legacy interface's.
BLK_BITS = frozenset({0, 1, 2, 4, 5, 6, 7, *range(9, 18)})

#: Net features, section 5.1.3; 41 and 42 were one implementation's.
NET_BITS = frozenset({0, 1, 2, 3, *range(5, 24), *range(50, 58), *range(59, 64)})

#: Bits that are described, by device type.
TYPE_BITS = {NET_ID: NET_BITS, BLK_ID: BLK_BITS}

#: A feature, and sets of features of which each needs at least one (section 5.1.3.1).
_CTRL_VQ = ((17,),)
NET_REQUIRES: dict[int, tuple[tuple[int, ...], ...]] = {
    7: ((1,),),
    8: ((1,),),
    9: ((7, 8),),
    10: ((1,),),
    54: ((1,),),
    55: ((1,),),
    11: ((0,),),
    12: ((0,),),
    13: ((11, 12),),
    14: ((0,),),
    56: ((0,),),
    18: _CTRL_VQ,
    19: _CTRL_VQ,
    21: _CTRL_VQ,
    22: _CTRL_VQ,
    23: _CTRL_VQ,
    51: ((17,), (57, 60)),
    52: _CTRL_VQ,
    53: _CTRL_VQ,
    60: _CTRL_VQ,
    61: ((11, 12),),
}
REQUIRES = {NET_ID: NET_REQUIRES}
#: Features that bring virtqueues, by device type; a device may have fewer where one is declined.
QUEUE_FEATURES: dict[int, frozenset[int]] = {
    NET_ID: frozenset({17, 22, 60}),
    BLK_ID: frozenset({BLK_MQ}),
    CONSOLE_ID: frozenset({1}),
    ENTROPY_ID: frozenset(),
    BALLOON_ID: frozenset({1, 3, 5}),
    SCSI_ID: frozenset(),
    NINEP_ID: frozenset(),
    INPUT_ID: frozenset(),
    VSOCK_ID: frozenset(),
    FS_ID: frozenset({0}),
}

# Block requests, section 5.2.6.
T_IN = 0
T_OUT = 1
T_FLUSH = 4
T_GET_ID = 8
T_GET_LIFETIME = 10
T_DISCARD = 11
T_WRITE_ZEROES = 13
T_SECURE_ERASE = 14
T_ZONE_APPEND = 15
T_ZONE_REPORT = 16
T_ZONE_OPEN = 18
T_ZONE_CLOSE = 20
T_ZONE_FINISH = 22
T_ZONE_RESET = 24
T_ZONE_RESET_ALL = 26
#: Requests that act on the one zone that their sector names.
ZONE_MANAGING = (T_ZONE_OPEN, T_ZONE_CLOSE, T_ZONE_FINISH, T_ZONE_RESET)
ZONE_TYPES = (T_ZONE_APPEND, T_ZONE_REPORT, *ZONE_MANAGING, T_ZONE_RESET_ALL)
RANGE_TYPES = (T_DISCARD, T_WRITE_ZEROES, T_SECURE_ERASE)
S_OK, S_IOERR, S_UNSUPP = range(3)
#: The codes that zoned devices add.
S_INVALID_CMD, S_UNALIGNED_WP, S_OPEN_RESOURCE, S_ACTIVE_RESOURCE = range(3, 7)
S_ZONED_LAST = S_ACTIVE_RESOURCE
#: What our driver's status bytes hold before the device writes them (kernel/virtio_blk).
S_UNWRITTEN = 0xFF
# Zone models, types of zones and their states.
Z_NONE, Z_HOST_MANAGED, Z_HOST_AWARE = range(3)
ZT_CONVENTIONAL, ZT_SEQUENTIAL_REQUIRED, ZT_SEQUENTIAL_PREFERRED = 1, 2, 3
ZS_NOT_WP, ZS_EMPTY, ZS_IOPEN, ZS_EOPEN, ZS_CLOSED = range(5)
ZS_READ_ONLY, ZS_FULL, ZS_OFFLINE = 13, 14, 15
HEADER_BYTES = 16
SECTOR = 512
ID_BYTES = 20
RANGE_BYTES = 16
UNMAP = 1


def mask(bits: frozenset[int]) -> int:
    """The bits as one number."""
    return sum(1 << bit for bit in bits)


def names_of(value: int) -> str:
    """The numbers of the bits that are set, for messages."""
    return " ".join(str(bit) for bit in range(value.bit_length()) if value >> bit & 1) or "none"
