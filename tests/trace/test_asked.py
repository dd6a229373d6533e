# SPDX-License-Identifier: GPL-2.0-only
"""Features by QEMU's names, and of devices that were in use before anybody looked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pykit import spec, trace
from pykit.trace.asked import feature_bits

BLK = ["VIRTIO_BLK_F_FLUSH: Flush command supported"]
MODERN = ["VIRTIO_F_VERSION_1: Device compliant for v1 spec (legacy)"]
READY = ["VIRTIO_CONFIG_S_DRIVER_OK: Driver setup and ready"]
TRAFFIC = (
    "virtio_queue_notify vdev 0x10 n 0 vq 0x20\n"
    "virtqueue_pop vq 0x20 elem 0x30 in_num 1 out_num 2\n"
    "virtio_blk_handle_write vdev 0x10 req 0x30 sector 32 nsectors 8\n"
)


def features(*names: str, transports: list[str] = MODERN) -> dict[str, Any]:
    return {"dev-features": list(names), "transports": transports}


def capture(folder: Path, *, statuses: list[str], guest: dict[str, Any]) -> Path:
    """As `pykit run --attach` leaves it, of one disk that is in use."""
    device = {"id": "disk", "type": "virtio-blk-pci", "options": {}, "driver": ""}
    info = {
        "schema": 1, "complete": True, "clock": "", "cpus": 1, "kernel": "", "qemu": "7.2.22",
        "outcome": {"kind": "clean", "message": ""}, "devices": [device], "steps": [],
    }  # fmt: skip
    reported = {
        "status": {"statuses": statuses},
        "host-features": features(*BLK),
        "guest-features": guest,
    }
    answer = {
        "at": "begin", "device": "disk", "query": "x-query-virtio-status", "queue": None,
        "time_ns": 1, "return": reported,
    }  # fmt: skip
    (folder / "capture.json").write_text(json.dumps(info))
    (folder / "qmp.json").write_text(json.dumps([answer]))
    (folder / "qemu.log").write_text(TRAFFIC)
    return folder


def test_names() -> None:
    assert feature_bits(features(*BLK)) == 1 << 32 | 1 << 9
    assert feature_bits(features("VIRTIO_NET_F_MRG_RXBUF", transports=[])) == 1 << 15
    assert feature_bits(features("VIRTIO_F_TELEPORT")) is None


def test_a_device_in_use(tmp_path: Path) -> None:
    events = trace.load(capture(tmp_path, statuses=READY, guest=features(*BLK)))
    (row,) = events.of("features").rows(named=True)
    assert (row["source"], row["dev"], row["life"]) == ("qmp", 0, 0)
    verdicts = spec.check(events)
    assert verdicts.of("FB-DR-01").checked == 1
    # Only QMP spoke: nothing to compare, and nothing but features is known.
    assert verdicts.of("XC-01").verdict == "inconclusive"
    assert verdicts.of("IN-DR-05").verdict == "inconclusive"
    assert verdicts.having("fail") == ()


@pytest.mark.parametrize(
    ("statuses", "guest"),
    [([], features(*BLK)), (READY, features(*BLK, transports=[])), (READY, features("WHAT"))],
    ids=["no driver", "maybe legacy", "unknown feature"],
)
def test_what_is_not_known(tmp_path: Path, statuses: list[str], guest: dict[str, Any]) -> None:
    events = trace.load(capture(tmp_path, statuses=statuses, guest=guest))
    assert events.of("features").is_empty()
    assert spec.check(events).having("pass") == ()
