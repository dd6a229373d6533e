# SPDX-License-Identifier: GPL-2.0-only
"""A guest with no code of the kit in it: a driver's events are made of its accesses."""

from __future__ import annotations

from pathlib import Path

import pytest

from pykit import spec, trace
from tests.trace.conftest import unpack


@pytest.fixture(scope="module")
def seabios(tmp_path_factory: pytest.TempPathFactory) -> trace.Events:
    """SeaBIOS 1.16.2 on QEMU 7.2: three requests of a disk."""
    folder: Path = unpack("seabios-access.tar.xz", tmp_path_factory.mktemp("seabios"))
    return trace.load(folder / "capture")


def test_most_rules_for_a_driver_are_decided(seabios: trace.Events) -> None:
    verdicts = spec.check(seabios)
    assert verdicts.having("fail") == ()
    assert verdicts.having("waived") == ("IN-DR-01", "PM-DR-05", "RS-DR-01")
    open_ = [v.rule.id for v in verdicts.rules if v.verdict == "inconclusive"]
    assert len([name for name in open_ if "-DR-" in name or name in ("DX-17", "DX-36")]) <= 11
    # Of its rings, of its requests, and what was so without the access tracer.
    passed = {"CL-DR-01", "SX-DR-01", "DX-01", "DX-19", "DX-25", "XC-01", "XC-02", "XC-03"}
    assert passed | {"FB-DR-01", "IN-DR-05", "RF-DR-01"} <= set(verdicts.having("pass"))
    # It reads no flag of the device's, and decides nothing by one.
    assert verdicts.of("NA-DR-07").verdict == "not-applicable"


def test_the_device_saw_the_same(seabios: trace.Events) -> None:
    pairs = {
        ("used", "dev_fill"): ("len", "index"),
        ("blk_start", "dev_blk_start"): ("sector", "type"),
        ("add", "dev_pop"): ("avail_idx",),
    }
    for (driver, device), columns in pairs.items():
        made, logged = seabios.of(driver), seabios.of(device)
        assert made.select(columns).rows() == logged.select(columns).rows()
        assert len(made) == 3
