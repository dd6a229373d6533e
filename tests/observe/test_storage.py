# SPDX-License-Identifier: GPL-2.0-only
"""What is seen of the file behind a disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pykit.observe import look_at_storage, storage

SIZE = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.truncate(SIZE)
    return path


def test_an_empty_disk_has_nothing_allocated(disk: Path) -> None:
    assert look_at_storage(disk) == (SIZE, 0)


def test_what_is_written_is_allocated(disk: Path) -> None:
    with disk.open("r+b") as file:
        file.write(os.urandom(SIZE // 4))
    seen = look_at_storage(disk)
    if seen is None:
        pytest.skip("this file system does not show what is deallocated")
    assert SIZE // 4 <= seen.allocated < SIZE // 2


def test_what_is_no_regular_file_is_left_out(tmp_path: Path) -> None:
    assert look_at_storage(Path("/dev/null")) is None
    assert look_at_storage(tmp_path) is None
    assert look_at_storage(tmp_path / "absent") is None


def test_a_file_system_that_stores_no_zeroes_is_left_out(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.write_bytes(b"x" * SIZE)
    monkeypatch.setattr(storage, "_keeps_zeroes", lambda device, folder: False)
    assert look_at_storage(disk) is None
