# SPDX-License-Identifier: GPL-2.0-only
"""Check where build products go, that the cache forgets, and that runs do not collide."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pykit import paths
from pykit.paths import fresh_directory, used


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


def test_a_checkout_builds_in_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    assert paths.build_dir() == tmp_path / "build"


@pytest.mark.parametrize("installed", [False, True])
def test_no_build_in_a_directory_that_is_not_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    """A checkout that cannot be written to, and an installed pykit, build in the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(paths, "INSTALLED", installed)
    if not installed:
        monkeypatch.setattr(os, "access", lambda path, mode: False)
    places = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(paths, "ROOT", tmp_path / name)
        folder = paths.build_dir()
        assert folder.parent == tmp_path / "cache" / "pykit" / "build"
        assert folder.is_dir()
        assert paths.build_dir() == folder
        places.add(folder)
    assert len(places) == 2


def test_runs_of_one_second_have_directories_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(fresh_directory, ["blk"] * 64))
    assert len(set(made)) == 64
    assert all(directory.is_dir() for directory in made)
