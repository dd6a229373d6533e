# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

from pykit.trace.capture import Plug
from pykit.trace.pciconfig import accesses
from tests.trace.test_survey import PCI, survey

LINES = [
    "7@3.000000:pci_cfg_write virtio-blk 01:00.0 @0x4 <- 0x507",
    "7@3.000001:pci_cfg_read virtio-blk 01:00.0 @0xa4 -> 0x1",
    "7@3.000002:pci_cfg_write e1000 00:02.0 @0x4 <- 0x507",
    "7@3.000003:pci_cfg_write virtio-blk 01:00.0 @0x98",
]


def test_accesses_of_surveyed_devices(tmp_path: Path) -> None:
    found = accesses(LINES, survey(tmp_path, PCI), {"vd0": 3}, [])
    columns = ("dev", "offset", "value", "write", "ts")
    assert found.select(columns).rows() == [
        (3, 4, 0x507, 1, 3_000_000_000),
        (3, 0xA4, 1, 0, 3_000_001_000),
    ]


def test_reads_of_the_survey_are_left_out(tmp_path: Path) -> None:
    line = "7@1.000500:pci_cfg_{} virtio-blk 01:00.0 @0x0 {} 0x1af4"
    lines = [line.format("read", "->"), line.format("write", "<-")]
    found = accesses(lines, survey(tmp_path, PCI), {"vd0": 3}, [])
    assert found["write"].to_list() == [1]


def test_one_place_of_two_devices(tmp_path: Path) -> None:
    """The later one has it from its plugging on."""
    second = {**PCI, "device": "vd1", "begin_ns": 4_000_000_000, "end_ns": 4_000_000_001}
    plugs = [Plug("vd0", 0, 500_000_000), Plug("vd1", 0, 3_000_001_000)]
    lines = [LINES[0], LINES[0].replace("000000", "000002")]
    found = accesses(lines, survey(tmp_path, PCI, second), {"vd0": 0, "vd1": 1}, plugs)
    assert found["dev"].to_list() == [0, 1]


def test_what_the_iommu_does_for_a_device(tmp_path: Path) -> None:
    lines = [
        "7@3.000000:vtd_switch_address_space Device 01:00.0 switching address space"
        " (iommu enabled=1)",
        "7@3.000001:vtd_dmar_fault sid 0x100 fault 6 addr 0x104fc5000 write 0",
        "7@3.000002:vtd_dmar_fault sid 0x10 fault 6 addr 0x1000 write 0",
        "7@3.000003:vtd_switch_address_space Device 00:02.0 switching address space"
        " (iommu enabled=0)",
        "7@3.000004:vtd_dmar_fault sid 0x100 fault 6",
    ]
    found = accesses(lines, survey(tmp_path, PCI), {"vd0": 3}, [])
    columns = ("kind", "dev", "enabled", "addr", "write")
    assert found.select(columns).rows() == [
        ("dev_translation", 3, 1, None, None),
        ("dev_dma_fault", 3, None, 0x104FC5000, 0),
    ]
