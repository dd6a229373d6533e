# SPDX-License-Identifier: GPL-2.0-only
"""The configuration space of block devices (section 5.2.4)."""

from __future__ import annotations

from typing import NamedTuple

from pykit.spec import bits


class Field(NamedTuple):
    """A field: where it stands, how wide it is (bytes), and the feature that brings it."""

    name: str
    offset: int
    width: int
    feature: int | None


CAPACITY = Field("capacity", 0, 8, None)
SIZE_MAX = Field("size_max", 8, 4, bits.BLK_SIZE_MAX)
SEG_MAX = Field("seg_max", 12, 4, bits.BLK_SEG_MAX)
GEOMETRY = Field("geometry", 16, 4, bits.BLK_GEOMETRY)
BLK_SIZE = Field("blk_size", 20, 4, bits.BLK_BLK_SIZE)
TOPOLOGY = Field("topology", 24, 8, bits.BLK_TOPOLOGY)
WRITEBACK = Field("writeback", 32, 1, bits.BLK_CONFIG_WCE)
UNUSED0 = Field("unused0", 33, 1, None)
NUM_QUEUES = Field("num_queues", 34, 2, bits.BLK_MQ)
MAX_DISCARD_SECTORS = Field("max_discard_sectors", 36, 4, bits.BLK_DISCARD)
MAX_DISCARD_SEG = Field("max_discard_seg", 40, 4, bits.BLK_DISCARD)
DISCARD_ALIGNMENT = Field("discard_sector_alignment", 44, 4, bits.BLK_DISCARD)
MAX_ZEROES_SECTORS = Field("max_write_zeroes_sectors", 48, 4, bits.BLK_WRITE_ZEROES)
MAX_ZEROES_SEG = Field("max_write_zeroes_seg", 52, 4, bits.BLK_WRITE_ZEROES)
MAY_UNMAP = Field("write_zeroes_may_unmap", 56, 1, bits.BLK_WRITE_ZEROES)
UNUSED1 = Field("unused1", 57, 3, None)
MAX_ERASE_SECTORS = Field("max_secure_erase_sectors", 60, 4, bits.BLK_SECURE_ERASE)
MAX_ERASE_SEG = Field("max_secure_erase_seg", 64, 4, bits.BLK_SECURE_ERASE)
ERASE_ALIGNMENT = Field("secure_erase_sector_alignment", 68, 4, bits.BLK_SECURE_ERASE)
ZONE_SECTORS = Field("zone_sectors", 72, 4, bits.BLK_ZONED)
MAX_OPEN_ZONES = Field("max_open_zones", 76, 4, bits.BLK_ZONED)
MAX_ACTIVE_ZONES = Field("max_active_zones", 80, 4, bits.BLK_ZONED)
MAX_APPEND_SECTORS = Field("max_append_sectors", 84, 4, bits.BLK_ZONED)
WRITE_GRANULARITY = Field("write_granularity", 88, 4, bits.BLK_ZONED)
ZONE_MODEL = Field("model", 92, 1, bits.BLK_ZONED)
UNUSED2 = Field("unused2", 93, 3, bits.BLK_ZONED)

#: Descriptors of a request beside its data: header and status. seg_max does not count them.
FRAME = 2

#: The zone characteristics (struct virtio_blk_zoned_characteristics), without padding.
ZONE_FIELDS = (
    *(ZONE_SECTORS, MAX_OPEN_ZONES, MAX_ACTIVE_ZONES, MAX_APPEND_SECTORS, WRITE_GRANULARITY),
    ZONE_MODEL,
)

#: All fields. The model is the last one: a driver may give up for it.
FIELDS = (
    *(CAPACITY, SIZE_MAX, SEG_MAX, GEOMETRY, BLK_SIZE, TOPOLOGY, WRITEBACK, UNUSED0, NUM_QUEUES),
    *(MAX_DISCARD_SECTORS, MAX_DISCARD_SEG, DISCARD_ALIGNMENT),
    *(MAX_ZEROES_SECTORS, MAX_ZEROES_SEG, MAY_UNMAP, UNUSED1),
    *(MAX_ERASE_SECTORS, MAX_ERASE_SEG, ERASE_ALIGNMENT),
    *(UNUSED2, *ZONE_FIELDS),
)

#: Request types with ranges: largest range, most ranges, in sectors and in number.
LIMITS = {
    bits.T_DISCARD: (MAX_DISCARD_SECTORS, MAX_DISCARD_SEG),
    bits.T_WRITE_ZEROES: (MAX_ZEROES_SECTORS, MAX_ZEROES_SEG),
    bits.T_SECURE_ERASE: (MAX_ERASE_SECTORS, MAX_ERASE_SEG),
}
