# SPDX-License-Identifier: GPL-2.0-only
"""Rules of registers on QEMU's own devices, and the search for accesses before and after."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pykit import spec, trace
from pykit.spec.registers import earlier, later

DATA = Path(__file__).parents[1] / "data"


def test_nearest_accesses() -> None:
    key = np.array([0, 1, 0, 0, 1, 2])
    mask = np.array([True, True, False, True, False, True])
    assert earlier(mask, key).tolist() == [-1, -1, 0, 0, 1, -1]
    assert later(mask, key).tolist() == [3, -1, 3, -1, -1, -1]
    empty = np.zeros(0, dtype=np.int64)
    assert earlier(empty.astype(np.bool_), empty).tolist() == []


#: Rules that check something in each log.
CHECKED = {
    "pci": (
        "PM-DE-03 PM-DE-04 PM-DE-08 PM-DE-09 PM-DE-10 PM-DE-11 PM-DE-12 PM-DE-13 PM-DE-15 PM-DE-16"
        " DX-26 DX-34 PQ-DE-05 PQ-DE-06 PQ-DE-07 PR-DR-01 PK-DR-01 PK-DR-03 VE-DE-01 VE-DR-01"
        " VR-DE-01 VR-DE-02 PM-DR-04 PM-DR-07 PQ-DR-05"
    ),
    "mmio": (
        "MR-DE-01 MR-DE-02 MR-DE-03 MR-DE-04 MR-DE-05 MR-DE-06 MR-DE-08 MR-DR-01 MR-DR-04 MR-DR-14"
        " MR-DR-15 MR-DR-16 MR-DR-17 MR-DR-19 MR-DR-22 MI-DR-01 MI-DR-02"
    ),
    "mmio-legacy": "LG-ID-01 LG-RD-02 LG-SD-01 MR-DE-03 MR-DR-01 MR-DR-16",
}


@pytest.mark.parametrize("transport", CHECKED)
def test_rules_hold_on_real_devices(transport: str) -> None:
    verdicts = spec.check(trace.load_log(DATA / f"qemu-7.2-registers-{transport}.log"))
    assert not verdicts.having("fail")
    passed = set(verdicts.having("pass"))
    assert set(CHECKED[transport].split()) <= passed


@pytest.mark.parametrize("kept", ["_ops_read", "_ops_write"])
def test_half_of_the_accesses_judges_nothing(tmp_path: Path, kept: str) -> None:
    log = tmp_path / "qemu.log"
    lines = (DATA / "qemu-7.2-registers-pci.log").read_text().splitlines(keepends=True)
    log.write_text("".join(line for line in lines if "_ops_" not in line or kept in line))
    verdicts = spec.check(trace.load_log(log))
    for name in ("PM-DR-04", "PQ-DR-05", "PM-DE-09", "PL-DR-01", "PM-DR-07"):
        assert verdicts.of(name).verdict == "inconclusive"
