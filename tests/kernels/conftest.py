# SPDX-License-Identifier: GPL-2.0-only
"""A machine whose only apt source is a small archive of our own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pykit.kernels import debian
from pykit.kernels.mirrors import AptSource

from .fake_archive import FakeArchive


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeArchive:
    """An empty archive that is the only one of this machine, and an empty cache."""
    if not shutil.which("apt-get"):
        pytest.skip("no apt on this machine")
    root = tmp_path / "debian"
    root.mkdir()
    trusted = (("Trusted", "yes"),)
    uri = f"file:{root}"
    monkeypatch.setattr(
        debian,
        "machine_sources",
        lambda: [
            AptSource(uri, "bookworm", ("main",), trusted),
            AptSource(uri, "bookworm-security", ("main",), trusted),
        ],
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return FakeArchive(root)
