# SPDX-License-Identifier: GPL-2.0-only
"""Real data, unpacked once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

DATA = Path(__file__).parent.parent / "data"


def unpack(name: str, target: Path) -> Path:
    shutil.unpack_archive(DATA / name, target)
    return target


@pytest.fixture(scope="session")
def ftrace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with the four saved tracefs instances."""
    return unpack("ftrace-6.12.tar.xz", tmp_path_factory.mktemp("ftrace"))


@pytest.fixture(scope="session")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole capture of both sides."""
    return unpack("capture-6.12.tar.xz", tmp_path_factory.mktemp("capture"))


@pytest.fixture(scope="session")
def firmware_log() -> Path:
    return DATA / "qemu-7.2-firmware.log"
