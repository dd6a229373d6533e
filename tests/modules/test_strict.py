# SPDX-License-Identifier: GPL-2.0-only
"""Complaints of a strict build, of sources of which some deserve them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pykit import paths
from pykit.errors import InfraError
from pykit.kernels import Kernel
from pykit.modules import complaints

from .conftest import source


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "checkout"
    (root / "kernel").mkdir(parents=True)
    (root / "Kbuild").write_text("obj-m += kernel/\n")
    (root / "kernel/blk.c").write_text(source())
    (tmp_path / "drivers/vhost").mkdir(parents=True)
    (tmp_path / "drivers/vhost/vhost.h").touch()
    strict = sys.modules["pykit.modules.strict"]
    monkeypatch.setattr(paths, "ROOT", root)
    monkeypatch.setattr(strict, "source_tree", lambda kernel, progress: tmp_path)
    monkeypatch.setattr(strict.shutil, "which", lambda name: f"/usr/bin/{name}")
    return root


def test_clean(kernel: Kernel, checkout: Path) -> None:
    assert complaints(kernel) == []
    assert not list(checkout.rglob("*.o"))


def test_a_warning_is_a_complaint(kernel: Kernel, checkout: Path) -> None:
    makefile = kernel.build_dir / "Makefile"
    makefile.write_text(makefile.read_text().replace(" -w ", " "))
    (checkout / "kernel/blk.c").write_text(source() + '#warning "look here"\n')
    (line,) = complaints(kernel)
    assert line.startswith("./kernel/blk.c:")
    assert "look here" in line


def test_a_build_that_fails_is_never_clean(kernel: Kernel) -> None:
    (kernel.build_dir / "Makefile").write_text("modules:\n\t@echo nothing works; false\n")
    assert any("nothing works" in line for line in complaints(kernel))


def test_without_sparse(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["pykit.modules.strict"].shutil, "which", lambda name: None)
    with pytest.raises(InfraError, match="sparse is not installed"):
        complaints(kernel)
