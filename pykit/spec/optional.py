# SPDX-License-Identifier: GPL-2.0-only
"""Fields of devices' configuration spaces that are there with a feature only."""

from __future__ import annotations

from typing import NamedTuple

from pykit.spec import bits, blkconfig


class OptionalField(NamedTuple):
    """A field: where it stands, how wide it is (bytes), and the features of which one brings it."""

    name: str
    offset: int
    width: int
    features: tuple[int, ...]


#: By device id: sections 5.1.4 (the MAC address always exists), 5.2.4, 5.3.4, 5.5.4.
OPTIONAL = {
    bits.NET_ID: (
        OptionalField("status", 6, 2, (16,)),
        OptionalField("max_virtqueue_pairs", 8, 2, (22, 60)),
        OptionalField("mtu", 10, 2, (3,)),
        OptionalField("speed", 12, 4, (63,)),
        OptionalField("duplex", 16, 1, (63,)),
        OptionalField("rss_max_key_size", 17, 1, (57, 60)),
        OptionalField("rss_max_indirection_table_length", 18, 2, (60,)),
        OptionalField("supported_hash_types", 20, 4, (57, 60)),
    ),
    bits.BLK_ID: tuple(
        OptionalField(field.name, field.offset, field.width, (field.feature,))
        for field in blkconfig.FIELDS
        if field.feature is not None
    ),
    bits.CONSOLE_ID: (
        OptionalField("cols", 0, 2, (0,)),
        OptionalField("rows", 2, 2, (0,)),
        OptionalField("max_nr_ports", 4, 4, (1,)),
        OptionalField("emerg_wr", 8, 4, (2,)),
    ),
    bits.BALLOON_ID: (
        OptionalField("free_page_hint_cmd_id", 8, 4, (3,)),
        OptionalField("poison_val", 12, 4, (4,)),
    ),
}
