# SPDX-License-Identifier: GPL-2.0-only
"""Captures of faulty drivers and devices: the rule that names the fault fails, and no other."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pykit import spec, trace

DATA = Path(__file__).parents[1] / "data"


@pytest.mark.parametrize(
    ("name", "rule", "message"),
    [
        ("used-len-zero", "DX-25", "used len 0, written are 1 bytes"),
        ("zero-length-descriptor", "DX-19", "the device can read 2560 bytes, not 2576"),
    ],
)
def test_named(tmp_path: Path, name: str, rule: str, message: str) -> None:
    shutil.unpack_archive(DATA / f"{name}.tar.xz", tmp_path)
    verdicts = spec.check(trace.load(tmp_path / "capture"))
    assert message in verdicts.of(rule).message
    assert verdicts.having("fail") == (rule,)
