# SPDX-License-Identifier: GPL-2.0-only
"""The image of programs: made once, shared by guests, and not taken away from any."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from pykit.guests.initramfs import program_disk

pytestmark = pytest.mark.skipif(
    shutil.which("mkfs.ext4", path="/usr/sbin:/sbin") is None, reason="no mkfs.ext4: make setup"
)


def test_images_stay_while_somebody_uses_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = program_disk(["ls"])
    made = first.stat().st_ino
    assert program_disk(["ls"]).stat().st_ino == made
    second = program_disk(["cat"])
    assert first.exists()
    # Long unused, the one goes when another is made; used again, it stays.
    long_ago = time.time() - 40 * 86400
    for image in (first, second):
        os.utime(image, (long_ago, long_ago))
    assert program_disk(["cat"]) == second
    third = program_disk(["true"])
    assert not first.exists()
    assert second.exists()
    assert third.exists()
