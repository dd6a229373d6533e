# SPDX-License-Identifier: GPL-2.0-only
"""What an agent prints of its kernel, for the survey."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pykit.guests.kitsteps import MAPPED_LINES, REPORTED_LINES
from pykit.observe.mapped import read_mapped, read_reported

LIST = """\
0x00000000059f667f-0x00000000d6177aef    8192 memremap+0x164/0x230 phys=0x00000000000f5000 ioremap
0x00000000e26693d4-0x00000000b15e80ab   20480 vp_map+0x140/0x270 [virtio_pci] phys=0x0000000140000000 ioremap
0x000000001e26693d-0x000000001b15e80a    8192 bpf_prog_alloc+0x5c/0x120 pages=1 vmalloc N0=1
0x0000000013a8348b-0x00000000647a6168    4096 unpurged vm_area
"""  # noqa: E501
AREAS = [[0xF5000, 4096, "memremap"], [0x140000000, 16384, "vp_map"]]


def test_what_the_kernel_lists_is_brought_out(tmp_path: Path) -> None:
    """The lines of the kit's own step, and what reads them."""
    (tmp_path / "list").write_text(LIST)
    lines = MAPPED_LINES.replace("/proc/vmallocinfo", str(tmp_path / "list"))
    done = subprocess.run(["sh", "-uc", lines], capture_output=True, text=True, check=True)
    found = read_mapped(done.stdout)
    assert found is not None
    # This machine's pages may be larger than those of the list.
    if found["page"] == 4096:
        assert found["areas"] == AREAS


@pytest.mark.parametrize(
    ("printed", "found"),
    [
        ("", None),
        ("mapped \n", None),
        ("sh: od: not found\nmapped  f5000:8192:memremap", None),
        ("mapped 4096", {"page": 4096, "areas": []}),
        ("mapped 4096 f5000:4096:memremap", {"page": 4096, "areas": []}),
        ("a\nmapped 4096 10:8192:x.isra.0", {"page": 4096, "areas": [[16, 4096, "x.isra.0"]]}),
        ("mapped 4096 f5000:8192", None),
        ("mapped 4096 f5000:-8192:x", None),
    ],
)  # fmt: skip
def test_lines(printed: str, found: object) -> None:
    assert read_mapped(printed) == found


IOMEM = """\
fec00000-fec003ff : IOAPIC 0
feb00000-feb001ff : LNRO0005:00
  feb00000-feb001ff : LNRO0005:00 LNRO0005:00
feb00e00-feb00fff : virtio-mmio.0
"""
LOG = """\
<5>[    0.000000] Linux version 6.1
<3>[    1.000000] virtio-mmio virtio-mmio.0: no device
<4>[    1.000001] virtio-mmio virtio-mmio.0: a warning
<2>[    1.000002][    T1] virtio-mmio virtio-mmio.0: twice
<3>[    1.000003] ata1: an error
"""


@pytest.mark.parametrize(
    ("log", "found"),
    [
        (LOG, {0xFEB00000: 0, 0xFEB00E00: 2}),
        (LOG.partition("\n")[2], None),
    ],
)
def test_what_the_kernel_reports_is_counted(tmp_path: Path, log: str, found: object) -> None:
    (tmp_path / "iomem").write_text(IOMEM)
    (tmp_path / "log").write_text(log)
    lines = REPORTED_LINES.replace("/proc/iomem", str(tmp_path / "iomem"))
    lines = lines.replace("dmesg -r", f"cat {tmp_path}/log")
    lines = lines.replace("/tmp/pykit-log", str(tmp_path / "copy"))
    done = subprocess.run(["sh", "-uc", lines], capture_output=True, text=True, check=True)
    assert read_reported(done.stdout) == found


@pytest.mark.parametrize(
    ("printed", "found"),
    [
        ("", None),
        ("reported 1", {}),
        ("reported 0 feb00000:1", None),
        ("a\nreported 1 feb00000:12 ", {0xFEB00000: 12}),
        ("reported 1 feb00000:x", None),
    ],
)
def test_lines_of_reports(printed: str, found: object) -> None:
    assert read_reported(printed) == found
