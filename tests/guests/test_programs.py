# SPDX-License-Identifier: GPL-2.0-only
"""Programs of a guest of another architecture: found with all that they load, below their root."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pykit.arch import ARM64
from pykit.errors import InfraError
from pykit.guests import programs

NAME = "blkzone"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Packages unpacked: a program by an absolute link, its libraries, and what loads them."""
    host = Path(shutil.which("ls") or "/bin/ls").resolve()
    for name in ("usr/bin", "usr/sbin", "usr/lib/own"):
        (tmp_path / name).mkdir(parents=True)
    shutil.copy(host, tmp_path / "usr/bin/tool")
    (tmp_path / "usr/sbin" / NAME).symlink_to("/bin/tool")
    for library in programs.libraries(host):
        inside = Path("usr", library.relative_to("/"))
        to = inside if "ld-linux" in library.name else Path("usr/lib/own", library.name)
        (tmp_path / to).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, tmp_path / to)
    monkeypatch.setattr(programs, "package", lambda *_: tmp_path)
    return tmp_path


def test_a_program_with_all_that_it_loads(root: Path) -> None:
    found = programs.find(NAME, ARM64)
    assert found.path == Path("/usr/sbin", NAME)
    assert found.files[found.path] == root / "usr/bin/tool"
    names = {path.name for path in found.files}
    assert "libc.so.6" in names
    assert any(path.parent == Path("/usr/lib64") for path in found.files)
    assert all(file.is_relative_to(root) and file.is_file() for file in found.files.values())


def test_what_the_packages_lack_is_named(root: Path) -> None:
    (root / "usr/lib/own/libc.so.6").unlink()
    with pytest.raises(InfraError, match=rf"packages of {NAME} for arm64 have no libc\.so\.6"):
        programs.find(NAME, ARM64)
    with pytest.raises(InfraError, match="no fio for arm64"):
        programs.find("fio", ARM64)


def test_the_loader_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    program = tmp_path / "program"
    shutil.copy("/bin/ls", program)
    found = programs.libraries(program)
    assert any(path.name.startswith("libc.so") for path in found)
    with monkeypatch.context() as without:
        without.setattr(subprocess, "run", lambda *_, **__: pytest.fail("asked again"))
        assert programs.libraries(program) == found
    # Another program in its place.
    program.write_text("#!/bin/sh\n")
    assert programs.libraries(program) == []
