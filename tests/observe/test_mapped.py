# SPDX-License-Identifier: GPL-2.0-only
"""What a guest says that its kernel has mapped."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pykit.guests.kitsteps import MAPPED_LINES
from pykit.observe.mapped import read_mapped

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
