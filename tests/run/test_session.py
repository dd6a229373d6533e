# SPDX-License-Identifier: GPL-2.0-only
"""What is looked at before a guest is started."""

from __future__ import annotations

import collections
from pathlib import Path

import pytest

from pykit.errors import InfraError, UsageError
from pykit.run import require_free
from pykit.run.session import require_space
from pykit.scenario import load_scenario

Usage = collections.namedtuple("Usage", "total used free")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(UsageError, match="empty"):
        require_free(tmp_path)
    with pytest.raises(UsageError, match="empty"):
        require_free(tmp_path / "mine")


def test_new_and_empty_directories_are_free(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    require_free(tmp_path / "empty")
    require_free(tmp_path / "new" / "deep")


def test_a_full_disk_is_said_before_the_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(1 << 40, 1 << 40, 10 << 20))
    with pytest.raises(InfraError, match="10 MiB free") as raised:
        require_space(tmp_path / "pykit-x", load_scenario("blk"))
    assert str(tmp_path) in str(raised.value)
    assert "TMPDIR" in str(raised.value)


def test_a_directory_whose_name_qemu_takes_for_a_template(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="placeholder"):
        require_free(tmp_path / "a%d")
