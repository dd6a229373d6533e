# SPDX-License-Identifier: GPL-2.0-only
"""What the bench of I/O paths makes of its guest's reports, and one short run of it."""

from __future__ import annotations

import io
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from rich.console import Console

from pykit import bench
from pykit.bench.io_guest import PATHS, PEER, IoReading, count_accesses, reading
from pykit.errors import InfraError

BY_NAME = {path.name: path for path in PATHS}


def access(what: str, address: int, size: int, region: str) -> str:
    return (
        f"12@1796011642.964148:memory_region_ops_{what} cpu 0 mr 0x55d0c1 addr {address:#x} "
        f"value 0x1 size {size} name '{region}'"
    )


def test_a_report_is_read() -> None:
    figures = (
        "requests 320\nns 16000000\nmedian 70\np99 900\nlongest 950\ninterrupts {}\ndoorbells 150"
    )
    found = reading(figures.format(147))
    assert found == IoReading(320, 16_000_000, 70, 900, 950, 147, 150)
    assert not found.stalled
    assert reading(figures.format(-5333)).stalled
    with pytest.raises(InfraError, match=r"reported .requests 320.*ns"):
        reading("requests 320")


def test_doorbells_are_no_other_accesses() -> None:
    log = [
        access("write", 0xFE003000, 2, "virtio-pci-notify-virtio-blk"),
        access("read", 0xFE001000, 1, "virtio-pci-isr-virtio-blk"),
        access("write", 0xC050, 2, "virtio-pci"),
        access("write", 0xC052, 1, "virtio-pci"),
        access("read", 0xC050, 2, "virtio-pci"),
        access("write", 0xFEE000B0, 4, "apic-msi"),
        "12@1796011642.964148:memory_region_ops_write cpu 0 mr 0x55d0c1 addr 0xfe0",
        "12@1796011642.964148:virtio_notify vdev 0x1 vq 0x2",
    ]
    assert count_accesses(log, BY_NAME[PEER]) == (3, 4, 2)


def test_data_by_registers_is_counted_in_bytes() -> None:
    log = [
        access("write", 0x1F7, 1, "ide"),
        *[access("read", 0x1F0, 2, "ide")] * 2048,
        access("read", 0xC000, 1, "piix-bmdma"),
        access("read", 0xFE000000, 4, "ahci"),
    ]
    assert count_accesses(log, BY_NAME["IDE, PIO"]) == (2050, 4098, 0)


def measured() -> bench.IoPaths:
    def each(*readings: IoReading) -> dict[str, dict[str, list[IoReading]]]:
        return {
            name: {load: list(readings) for load in ("depth 1", "depth 16", "2 x depth 16")}
            for name in BY_NAME
        }

    counts = IoReading(100, 1, 1, 1, 1, 50, doorbells=25, accesses=100, moved=400)
    clocked = IoReading(100, 1, 1, 1, 1, 0, span=500_000, idle=100_000)
    timed = each(*(IoReading(100, ns, ns, ns, ns, 0) for ns in (100, 200, 400)))
    timed[PEER] = {load: [IoReading(100, 200, 200, 200, 200, 0)] * 3 for load in timed[PEER]}
    return bench.IoPaths("6.99", "9.9", "tcg", timed, each(counts, counts), each(clocked))


def test_rates_are_compared_round_by_round() -> None:
    result = measured()
    assert result.speed("AHCI", "depth 16") == [2, 1, 0.5]
    assert result.latency("AHCI") == [0.5, 1, 2]
    assert result.scaling("AHCI") == [1, 1, 1]
    assert result.exits("AHCI", "depth 1") == [1.25, 1.25]
    assert result.instructions("AHCI", "depth 1") == [4000]
    assert {line.what for line in result.lines()} == {
        f"reads by {name}" for name in BY_NAME if name != PEER
    }


def test_tables_and_plots(tmp_path: Path) -> None:
    result = measured()
    out = io.StringIO()
    Console(file=out, width=240).print(result.table())
    assert "1 (0.50-2)" in out.getvalue()
    paths = result.as_json()["paths"]
    assert paths["AHCI"]["exits, depth 1"] == 1.25  # type: ignore[index]
    result.write(tmp_path)
    assert (
        "| AHCI | 1.25 | 1.25 | 0.50 | 0.50 | 4 | 4,000 | 4,000 |"
        in (tmp_path / "tables.md").read_text()
    )
    for name in ("exits.svg", "speed.svg"):
        words = [element.text for element in ET.parse(tmp_path / name).iter() if element.text]
        assert set(BY_NAME) <= set(words)


@pytest.mark.boot
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="no QEMU: make setup")
def test_what_paravirtual_devices_save() -> None:
    result = bench.io_paths(None, rounds=1)
    (by_ports,) = result.exits("IDE, PIO", "depth 1")
    (virtio,) = result.exits(PEER, "depth 1")
    assert by_ports > 1024 > 4 > virtio
    assert result.each("IDE, PIO", "depth 1", "moved")[0] >= 4096
    for name in BY_NAME:
        assert result.instructions(name, "depth 16")[0] > 1000
        assert result.each(name, "depth 1", "interrupts")[0] > 0.9
        assert result.exits(name, "depth 16")[0] <= result.exits(name, "depth 1")[0]
