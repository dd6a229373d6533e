# SPDX-License-Identifier: GPL-2.0-only
"""Features in QMP's answers: names to bits, and the negotiation of devices already in use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from pykit.trace.capture import STATUS_QUERY, CaptureInfo

_VERSION_1 = 32
_READY = "VIRTIO_CONFIG_S_DRIVER_OK"

#: QEMU's names of feature bits.
NAMES = {
    "VIRTIO_F_NOTIFY_ON_EMPTY": 24,
    "VIRTIO_F_ANY_LAYOUT": 27,
    "VIRTIO_RING_F_INDIRECT_DESC": 28,
    "VIRTIO_RING_F_EVENT_IDX": 29,
    "VHOST_USER_F_PROTOCOL_FEATURES": 30,
    "VIRTIO_F_VERSION_1": 32,
    "VIRTIO_F_IOMMU_PLATFORM": 33,
    "VIRTIO_F_RING_PACKED": 34,
    "VIRTIO_F_IN_ORDER": 35,
    "VIRTIO_F_ORDER_PLATFORM": 36,
    "VIRTIO_F_SR_IOV": 37,
    "VIRTIO_F_NOTIFICATION_DATA": 38,
    "VIRTIO_F_RING_RESET": 40,
    "VHOST_F_LOG_ALL": 26,
    "VIRTIO_BLK_F_SIZE_MAX": 1,
    "VIRTIO_BLK_F_SEG_MAX": 2,
    "VIRTIO_BLK_F_GEOMETRY": 4,
    "VIRTIO_BLK_F_RO": 5,
    "VIRTIO_BLK_F_BLK_SIZE": 6,
    "VIRTIO_BLK_F_SCSI": 7,
    "VIRTIO_BLK_F_BARRIER": 0,
    "VIRTIO_BLK_F_FLUSH": 9,
    "VIRTIO_BLK_F_TOPOLOGY": 10,
    "VIRTIO_BLK_F_CONFIG_WCE": 11,
    "VIRTIO_BLK_F_MQ": 12,
    "VIRTIO_BLK_F_DISCARD": 13,
    "VIRTIO_BLK_F_WRITE_ZEROES": 14,
    "VIRTIO_BLK_F_LIFETIME": 15,
    "VIRTIO_BLK_F_SECURE_ERASE": 16,
    "VIRTIO_BLK_F_ZONED": 17,
    "VIRTIO_NET_F_CSUM": 0,
    "VIRTIO_NET_F_GUEST_CSUM": 1,
    "VIRTIO_NET_F_CTRL_GUEST_OFFLOADS": 2,
    "VIRTIO_NET_F_MTU": 3,
    "VIRTIO_NET_F_MAC": 5,
    "VIRTIO_NET_F_GSO": 6,
    "VIRTIO_NET_F_GUEST_TSO4": 7,
    "VIRTIO_NET_F_GUEST_TSO6": 8,
    "VIRTIO_NET_F_GUEST_ECN": 9,
    "VIRTIO_NET_F_GUEST_UFO": 10,
    "VIRTIO_NET_F_HOST_TSO4": 11,
    "VIRTIO_NET_F_HOST_TSO6": 12,
    "VIRTIO_NET_F_HOST_ECN": 13,
    "VIRTIO_NET_F_HOST_UFO": 14,
    "VIRTIO_NET_F_MRG_RXBUF": 15,
    "VIRTIO_NET_F_STATUS": 16,
    "VIRTIO_NET_F_CTRL_VQ": 17,
    "VIRTIO_NET_F_CTRL_RX": 18,
    "VIRTIO_NET_F_CTRL_VLAN": 19,
    "VIRTIO_NET_F_CTRL_RX_EXTRA": 20,
    "VIRTIO_NET_F_GUEST_ANNOUNCE": 21,
    "VIRTIO_NET_F_MQ": 22,
    "VIRTIO_NET_F_CTRL_MAC_ADDR": 23,
    "VIRTIO_NET_F_HASH_REPORT": 57,
    "VIRTIO_NET_F_RSS": 60,
    "VIRTIO_NET_F_RSC_EXT": 61,
    "VIRTIO_NET_F_STANDBY": 62,
    "VIRTIO_NET_F_SPEED_DUPLEX": 63,
}


def feature_bits(answer: dict[str, Any]) -> int | None:
    """Return QEMU's list of features as bits, None if it has an unknown name."""
    value = int(answer.get("unknown-dev-features", 0))
    for text in [*answer.get("dev-features", []), *answer.get("transports", [])]:
        bit = NAMES.get(str(text).partition(":")[0])
        if bit is None:
            return None
        value |= 1 << bit
    return value


def asked_features(
    info: CaptureInfo, devices: Mapping[str, int], rows: pl.DataFrame
) -> pl.DataFrame:
    """Return an event ``features`` for each device in use before observation started.

    ``rows`` have no life of such a device; the one in QMP's answer becomes life 0. The columns are
    those of ``rows`` that the event has.
    """
    seen = set(rows.filter(pl.col("life").is_not_null())["dev"].to_list())
    found = []
    for answer in info.qmp:
        dev = devices.get(answer.device)
        if answer.query != STATUS_QUERY or dev is None or dev in seen:
            continue
        words = [str(word).partition(":")[0] for word in answer.answer["status"]["statuses"]]
        offered = feature_bits(answer.answer.get("host-features", {}))
        acked = feature_bits(answer.answer.get("guest-features", {}))
        if _READY not in words or offered is None or acked is None:
            continue
        # Without it a driver may have used the legacy interface, where the offer is another.
        if acked & 1 << _VERSION_1:
            seen.add(dev)
            features = {"offered": offered, "driver": acked, "acked": acked, "stage": 0}
            place = {"ts": answer.time_ns, "dev": dev, "life": 0}
            found.append({"source": "qmp", "kind": "features", **place, **features})
    names = ("ts", "source", "kind", "dev", "life", "offered", "driver", "acked", "stage")
    return pl.DataFrame(found, schema={name: rows.schema[name] for name in names})
