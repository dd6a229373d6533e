# SPDX-License-Identifier: GPL-2.0-only
"""Modules of the user's in place of the kernel's: mistakes are one line, before anything boots."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def pykit(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pykit.cli", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--boot", "direct", "--replace", "virtio_ring"], "write MODULE=FILE"),
        (["--boot", "direct", "--replace", "virtio_ring=no.ko"], "no file no.ko"),
        (["--replace", "virtio_ring=mine.ko"], "--replace needs --boot direct"),
    ],
)
def test_mistakes(tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "mine.ko").write_text("no module")
    done = pykit("run", "io", *arguments, folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "runs").exists()
