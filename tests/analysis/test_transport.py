# SPDX-License-Identifier: GPL-2.0-only
"""The transport of each device, as `pykit show` prints it."""

from __future__ import annotations

from pykit.analysis.transport import devices, lines
from pykit.trace import QmpAnswer
from tests.spec.machine import run
from tests.spec.survey import surveyed


def test_a_pci_device() -> None:
    log = surveyed()
    vector = {"structure": "common", "register": "queue_vector", "offset": 0x1A, "size": 2}
    log.add("register", dev=1, life=0, vq=0, value=1, write=0, **vector)
    answer = {"vring-num": 256, "used-idx": 0}
    log.qmp = [QmpAnswer("end", "vd0", "x-query-virtio-queue-status", 0, answer)]
    (found,) = devices(log.build())
    assert (found["id"], found["transport"], found["device_id"]) == ("vd0", "pci", 0x1042)
    assert [cap["name"] for cap in found["capabilities"]] == [
        "notify", "device", "isr", "common", "pci",
    ]  # fmt: skip
    assert found["virtqueues"][0] == {"queue": 0, "size": 256, "vector": 1}
    text = list(lines([found]))
    assert (
        text[0] == "device 1 vd0 virtio-blk-pci: pci at 01:00.0, 1af4:1042 (1af4:1100) revision 1"
    )
    assert "  notify        at 0x50: BAR 4 offset 0x3000 length 0x1000 multiplier 4" in text
    assert "  BAR 4: memory at 0xfe800000, 16,384 bytes" in text
    assert "  MSI-X vectors: 2, queues: 1, configuration generation: 0" in text
    assert "  queue 0: size 256, vector 1" in text
    assert any(line.startswith("  accepted: ") and "VERSION_1" in line for line in text)


def test_an_mmio_device() -> None:
    log = run()
    log.device_type = "virtio-blk-device"
    log.add("survey_mmio", dev=1, reading=0, state="plug", start=0xFEB00000)
    for offset, value in {0: 0x74726976, 4: 2, 8: 2, 0xC: 0x554D4551}.items():
        register = {"region": "mmio", "offset": offset, "len": 4, "value": value}
        log.add("survey_register", dev=1, reading=0, **register)
    (found,) = devices(log.build())
    assert found["transport"] == "mmio"
    first = next(lines([found]))
    assert first.endswith("virtio-blk-device: mmio, version 0x2, device 0x2, vendor 0x554d4551")


def test_no_survey() -> None:
    assert devices(run().build()) == []


def test_a_register_that_changed_is_not_shown() -> None:
    """Another queue was selected while the survey read."""
    log = surveyed()
    select = {"region": "common", "offset": 0x16, "len": 2, "value": 1}
    log.add("survey_register", dev=1, reading=0, **select)
    (found,) = devices(log.build())
    assert found["selected"] is None
