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
        (["io", "--replace", "virtio_ring"], "write MODULE=FILE"),
        (["io", "--replace", "virtio_ring=no.ko"], "no.ko: cannot be read: No such file"),
        (["io", "--replace", "virtio_ring=mine.ko"], "mine.ko: not an ELF file"),
        (["io", "--boot", "vng", "--replace", "virtio_ring=mine.ko"], "need --boot direct"),
        (["io", "--module", "no.ko"], "no.ko: cannot be read: No such file"),
        (["io", "--module", "mine.ko"], "mine.ko: not an ELF file, so not a kernel module"),
        (["seabios", "--replace", "virtio_blk=mine.ko"], "boots firmware, which loads no modules"),
        (["io/*packed*", "--module", "mine.ko"], "module has no effect on cells of a matrix"),
    ],
)
def test_mistakes(tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "mine.ko").write_text("no module")
    done = pykit("run", *arguments, folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "runs").exists()
