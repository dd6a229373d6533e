# SPDX-License-Identifier: GPL-2.0-only
"""Which of several devices of one type a QEMU log shows: where their registers are is known."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from pykit import pci
from pykit.trace import load
from tests.pci import MODERN
from tests.trace.test_survey import MMIO, PCI

#: The two disks' BARs, and where QEMU has the transports' regions and the devices.
BAR = {"one": 0xFEBF8000, "other": 0xFEBFC000}
REGION = {"one": 0x5607F51811A0, "other": 0x5607F52929D0}
DISK = {"one": 0x5607F51893F0, "other": 0x5607F529A260}


def surveyed(device: str) -> dict[str, Any]:
    config = bytearray(MODERN)
    struct.pack_into("<II", config, pci.BARS + 16, BAR[device] | 0xC, 0)
    return {**PCI, "device": device, "config": config.hex()}


def looked_at(device: str) -> str:
    """What QEMU logs of the survey's access to the common configuration."""
    return access(device, -1, 0x14, 15)


def access(device: str, cpu: int, offset: int, value: int, name: str = "common") -> str:
    how = "read" if cpu < 0 else "write"
    return (
        f"memory_region_ops_{how} cpu {cpu} mr {REGION[device]:#x} addr {BAR[device] + offset:#x}"
        f" value {value:#x} size 1 name 'virtio-pci-{name}-virtio-blk'\n"
    )


def notified(device: str) -> str:
    return f"virtio_queue_notify vdev {DISK[device]:#x} n 0 vq {DISK[device] + 64:#x}\n"


def begun(device: str, status: int) -> str:
    line = f"virtio_set_status vdev {DISK[device]:#x} val {status}\n"
    return access(device, 0, 0x14, status) + line


def capture(folder: Path, log: str, *readings: dict[str, Any], kind: str = "-pci") -> Path:
    devices = [
        {"id": name, "type": f"virtio-blk{kind}", "options": {}, "driver": ""} for name in DISK
    ]
    info = {
        "schema": 1, "complete": True, "clock": "", "cpus": 1, "kernel": "", "qemu": "7.2.22",
        "outcome": {"kind": "clean", "message": ""}, "devices": devices, "steps": [],
    }  # fmt: skip
    (folder / "capture.json").write_text(json.dumps(info))
    (folder / "qemu.log").write_text(log)
    survey = {"schema": 1, "readings": list(readings), "missed": []}
    (folder / "survey.json").write_text(json.dumps(survey))
    return folder


BOTH = [surveyed("other"), surveyed("one")]


def test_devices_in_use_lie_behind_their_transports(tmp_path: Path) -> None:
    """No register is written any more: a running QEMU is observed."""
    log = looked_at("other") + looked_at("one") + notified("other") + notified("one")
    assert load(capture(tmp_path, log, *BOTH)).devices == {"other": 0, "one": 1}


def test_a_status_write_is_to_a_region_that_was_surveyed(tmp_path: Path) -> None:
    log = begun("other", 1) + begun("one", 1) + looked_at("other") + looked_at("one")
    assert load(capture(tmp_path, log, *BOTH)).devices == {"other": 0, "one": 1}


def test_the_last_one_that_is_left_is_the_other(tmp_path: Path) -> None:
    log = begun("other", 1) + begun("one", 1) + looked_at("other")
    assert load(capture(tmp_path, log, surveyed("other"))).devices == {"other": 0, "one": 1}


@pytest.mark.parametrize("seen", ["", looked_at("one").replace("cpu -1", "cpu 0")])
def test_without_a_survey_they_are_numbered(tmp_path: Path, seen: str) -> None:
    log = seen + notified("other") + notified("one")
    named = load(capture(tmp_path, log, *(BOTH if seen else ()))).devices
    assert named == {"virtio-0": 0, "virtio-1": 1}


def test_slots_of_mmio(tmp_path: Path) -> None:
    slots = {"one": 0xFEB00000, "other": 0xFEB00200}
    log, readings = "", []
    for number, (device, at) in enumerate(reversed(slots.items())):
        region = f"mr {number + 1:#x} addr {at + 0x70:#x} value 0x1 size 4 name 'virtio-mmio'\n"
        log += f"memory_region_ops_write cpu 0 {region}"
        log += f"virtio_set_status vdev {DISK[device]:#x} val 1\n"
        log += f"memory_region_ops_read cpu -1 {region}"
        readings.append({**MMIO, "device": device, "address": at})
    found = load(capture(tmp_path, log, *readings, kind="-device"))
    assert found.devices == {"other": 0, "one": 1}


def test_the_access_tracer_has_asked_where_registers_are(tmp_path: Path) -> None:
    """A guest that ended before a survey; a place that two devices had says nothing."""
    folder = capture(tmp_path, begun("other", 1) + begun("one", 1))
    (folder / "survey.json").unlink()
    (folder / "access.bin").write_bytes(b"")
    spans = {**{name: BAR[name] for name in BAR}, "early one": 0x1000}
    areas = [
        {"device": name.removeprefix("early "), "address": at, "bytes": 1 << 14}
        for name, at in spans.items()
    ]
    answer = {"devices": [], "rings": [], "registers": areas}
    (folder / "access.json").write_text(json.dumps([answer]))
    assert load(folder).devices == {"other": 0, "one": 1}
    moved = {**answer, "registers": [{**area, "device": "third"} for area in areas]}
    (folder / "access.json").write_text(json.dumps([answer, moved]))
    assert load(folder).devices == {"virtio-blk-0": 0, "virtio-blk-1": 1}
