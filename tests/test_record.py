# SPDX-License-Identifier: GPL-2.0-only
"""The bundle of pykit record: one static program, and a page on its use."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from pykit.errors import UsageError
from pykit.record import make_bundle


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("clang"):
        pytest.skip("clang is not installed")
    return make_bundle(tmp_path_factory.mktemp("bundle") / "recorder")


def test_the_program_needs_no_library(program: Path) -> None:
    with program.open("rb") as file:
        assert not any(
            segment["p_type"] == "PT_INTERP" for segment in ELFFile(file).iter_segments()
        )
    assert program.stat().st_size < 2_000_000
    assert "pykit check FILE" in (program.parent / "README").read_text()


def test_it_says_what_it_takes(program: Path) -> None:
    helped = subprocess.run([program, "-h"], capture_output=True, text=True, check=False)
    assert (helped.returncode, helped.stdout.splitlines()[0]) == (
        0,
        "usage: pykit-record [-o FILE] [-b MIB] [COMMAND...]",
    )
    odd = subprocess.run([program, "-b", "3"], capture_output=True, text=True, check=False)
    assert (odd.returncode, odd.stdout) == (2, "")


def test_a_directory_with_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="not an empty directory"):
        make_bundle(tmp_path)
