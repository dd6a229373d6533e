# SPDX-License-Identifier: GPL-2.0-only
"""Deliberate faults of what a device offers, asks for and keeps: no step of one chain."""

from __future__ import annotations

from collections.abc import Callable

from pykit.device import overwrite
from pykit.device.faults import FAULTS, DeviceFault, Ring
from pykit.device.memory import store16
from pykit.device.queue import Queue, SplitQueue
from pykit.spec import bits
from pykit.spec.bits import DESC_BYTES
from pykit.spec.blkconfig import WRITEBACK

#: What no device writes: flags of the used ring, event suppression flags.
_NO_FLAGS, _NO_SUPPRESSION = 1 << 1, 3
#: A feature of network devices, and a reserved bit.
_NET_FEATURE, _RESERVED = 3, 45


def _undefined_flags(queue: Queue) -> None:
    if isinstance(queue, SplitQueue):
        store16(queue.device, 0, _NO_FLAGS)
    else:
        store16(queue.device, 2, _NO_SUPPRESSION)


def _no_notifications(queue: Queue) -> None:
    """Never ask: by the flags, and by an index that is behind."""
    if isinstance(queue, SplitQueue):
        store16(queue.device, 0, 0 if queue.event_idx else 1)
        if queue.event_idx:
            store16(queue.device, 4 + 8 * queue.size, (queue.next - 1) % (1 << 16))
    else:
        store16(queue.device, 2, 1)


def _aligned_tables(queue: Queue) -> None:
    queue.table_align = DESC_BYTES


def _offers(*wanted: int, without: tuple[int, ...] = ()) -> Callable[[int], int]:
    added, gone = bits.mask(frozenset(wanted)), bits.mask(frozenset(without))
    return lambda offered: (offered | added) & ~gone


def _written_back(config: bytes) -> bytes:
    at = WRITEBACK.offset
    return config[:at] + b"\x01" + config[at + 1 :]


_OVERWRITTEN: tuple[tuple[str, str, Ring, overwrite.OverwrittenNow], ...] = (
    ("ids", "ids of descriptors", "packed", overwrite.ids_of_descriptors),
    ("links", "links of descriptors", "split", overwrite.links_of_descriptors),
    ("tables", "places of indirect tables", "both", overwrite.indirect_tables),
    ("entries", "ids of used entries", "split", overwrite.ids_of_used_entries),
)

for _more in (
    DeviceFault("flags-undefined", "ask by flags that are not defined", asks=_undefined_flags),
    DeviceFault("asks-never", "ask for no notification", asks=_no_notifications),
    DeviceFault(
        "number-unmasked",
        "take the bit that says 'no descriptor' for a part of a queue's number",
        unmasked=True,
        bugs=("B60",),
    ),
    DeviceFault("idles", "serve one chain a notification", idles=True),
    DeviceFault("size-ignored", "use a queue of 256 entries", size=256, bugs=("B16",)),
    DeviceFault(
        "size-kept", "use a queue by the size that it had at first", keeps_size=True, bugs=("B30",)
    ),
    DeviceFault(
        "table-aligned",
        "refuse indirect tables that are not aligned",
        begins=_aligned_tables,
        bugs=("B63",),
    ),
    DeviceFault(
        "read-only-written",
        "offer RO and do writes all the same",
        features=_offers(bits.BLK_RO),
        bugs=("B44",),
    ),
    DeviceFault(
        "writeback-kept",
        "offer CONFIG_WCE, with writeback set also where FLUSH is not accepted",
        features=_offers(bits.BLK_CONFIG_WCE),
        config=_written_back,
        bugs=("B39",),
    ),
    DeviceFault(
        "refuses-features", "refuse what the driver accepts of the offer", refuses="always"
    ),
    DeviceFault(
        "offers-other-type", "offer a feature of network devices", features=_offers(_NET_FEATURE)
    ),
    DeviceFault(
        "inflight-ignored", "begin anew, whatever the record says is in flight", records="ignored"
    ),
    DeviceFault("inflight-kept", "leave chains that were returned in the record", records="kept"),
    DeviceFault("offers-reserved", "offer a reserved feature", features=_offers(_RESERVED)),
    DeviceFault("no-flush", "do not offer FLUSH", features=_offers(without=(bits.BLK_FLUSH,))),
    DeviceFault(
        "no-version-1", "do not offer VERSION_1", features=_offers(without=(bits.VERSION_1,))
    ),
    DeviceFault(
        "cache-control-alone",
        "offer CONFIG_WCE without FLUSH",
        features=_offers(bits.BLK_CONFIG_WCE, without=(bits.BLK_FLUSH,)),
    ),
    *(
        DeviceFault(
            f"{what}-overwritten", f"overwrite {does}, again and again", ring=ring, beside=targets
        )
        for what, does, ring, targets in _OVERWRITTEN
    ),
):
    FAULTS[_more.name] = _more
