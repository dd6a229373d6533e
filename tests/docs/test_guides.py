# SPDX-License-Identifier: GPL-2.0-only
"""What guides have a reader do, done. That their commands parse is tests/cli/test_examples.py's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pykit.errors import Exit

GUIDES = Path(__file__).resolve().parents[2] / "docs/how-to"
PYKIT = [sys.executable, "-m", "pykit.cli"]


def block(guide: str, language: str) -> str:
    """The one code block of a language in a guide, without the list's indentation."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", (GUIDES / guide).read_text(), re.DOTALL)
    return re.sub(r"^ {3}", "", str(found), flags=re.MULTILINE)


def drive(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PYKIT, "drive", "--cases", "mine.toml", *arguments],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_row_of_the_guide_to_cases_is_one(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(block("add-a-case.md", "toml"))
    listed = drive(tmp_path, "--list")
    assert listed.returncode == Exit.OK, listed.stderr
    assert "second-sector-twice" in listed.stdout


@pytest.mark.slow
def test_the_row_finds_the_device_that_does_not_conform(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(block("add-a-case.md", "toml"))
    device = [*PYKIT, "device", "--socket", "{socket}"]
    good = drive(tmp_path, "--device", "blk", "--to", "good", "--", *device)
    assert (good.returncode, "1 handled" in good.stdout) == (Exit.OK, True), good.stdout
    bad = drive(tmp_path, "--device", "blk", "--to", "bad", "--", *device, "--fault", "data-wrong")
    assert (bad.returncode, "1 wrong-data" in bad.stdout) == (Exit.FAILED, True), bad.stdout
