# SPDX-License-Identifier: GPL-2.0-only
"""A disk in a file gives back what is discarded, or zeroed with the flag unmap."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from pykit.device.blk import ServedDisk
from pykit.observe import look_at_storage
from pykit.spec import bits

SECTORS = 2048


@pytest.mark.parametrize(
    ("kind", "flags", "given_back"),
    [
        (bits.T_WRITE_ZEROES, bits.UNMAP, True),
        (bits.T_DISCARD, 0, True),
        (bits.T_WRITE_ZEROES, 0, False),
        (bits.T_SECURE_ERASE, 0, False),
    ],
)
def test_what_is_given_back(tmp_path: Path, kind: int, flags: int, given_back: bool) -> None:
    path = tmp_path / "disk"
    path.write_bytes(os.urandom(SECTORS * bits.SECTOR))
    before = look_at_storage(path)
    if before is None:
        pytest.skip("this file system does not show what is deallocated")
    disk = ServedDisk(path, 0, 1)
    # Begin and end are within a page, whose rest stays.
    rest = path.read_bytes()
    assert disk._clear(kind, struct.pack("<QII", 3, SECTORS - 5, flags)) == bits.S_OK
    after = look_at_storage(path)
    assert after is not None
    assert (before.allocated - after.allocated > SECTORS * bits.SECTOR // 2) == given_back
    kept = 3 * bits.SECTOR, (SECTORS - 2) * bits.SECTOR
    zeroes = bytes(kept[1] - kept[0])
    assert path.read_bytes() == rest[: kept[0]] + zeroes + rest[kept[1] :]
