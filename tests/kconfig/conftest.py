# SPDX-License-Identifier: GPL-2.0-only
"""Where the small trees of these tests stand."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .tiny_tree import MakeTree, write_tree


@pytest.fixture
def make_tree(tmp_path: Path) -> MakeTree:
    """Writes a tree with the given Kconfig."""
    if not shutil.which("gcc"):
        pytest.skip("no compiler to ask")
    return lambda kconfig: write_tree(tmp_path / "linux", kconfig)
