# SPDX-License-Identifier: GPL-2.0-only
"""The cache does not grow without end."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pykit.paths import used


def test_what_nobody_used_for_long_is_let_go(tmp_path: Path) -> None:
    long_ago = time.time() - 31 * 24 * 3600
    for name in ("mine", "old", "young", ".new-left"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "memory").write_bytes(b"x")
        if name != "young":
            os.utime(tmp_path / name, (long_ago, long_ago))
    (tmp_path / ".old.lock").touch()
    os.utime(tmp_path / ".old.lock", (long_ago, long_ago))
    used(tmp_path / "mine")
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "young"}
    used(tmp_path / "young")
    assert (tmp_path / "mine" / "memory").exists()
