# SPDX-License-Identifier: GPL-2.0-only
"""Real data, unpacked once."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

DATA = Path(__file__).parent.parent / "data"


@pytest.fixture(scope="session")
def ftrace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with the four saved tracefs instances."""
    target = tmp_path_factory.mktemp("ftrace")
    with tarfile.open(DATA / "ftrace-6.12.tar.xz") as archive:
        archive.extractall(target, filter="data")
    return target


@pytest.fixture(scope="session")
def firmware_log() -> Path:
    return DATA / "qemu-7.2-firmware.log"
