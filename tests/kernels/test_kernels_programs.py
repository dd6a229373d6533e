# SPDX-License-Identifier: GPL-2.0-only
"""Programs with their libraries, from one suite or from two."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pykit.arch import ARM64
from pykit.errors import InfraError
from pykit.kernels import programs, toolchain
from pykit.kernels.programs import PackagedProgram

from .fake_archive import FakeArchive

LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")
WANTED = PackagedProgram("tools", ("bookworm-backports", "bookworm"), ("tool",), ("extra",))


def quietly(_: str) -> None:
    """Report no progress."""


def fill(archive: FakeArchive) -> None:
    """A tool of backports, whose C library only the suite below has, in the old place."""
    echo = Path("/bin/echo").read_bytes()
    archive.add("bookworm-backports", "tool", "10", {"usr/bin/tool": echo}, "libfirst, perl")
    archive.add("bookworm-backports", "extra", "10", {"usr/lib/extra": b"x"}, "libhuge")
    archive.add("bookworm", "tool", "7", {"usr/bin/old": echo}, "libfirst")
    archive.add("bookworm", "perl", "5", {"usr/bin/perl": echo})
    archive.add("bookworm", "libhuge", "1", {"usr/lib/huge": b"x"})
    archive.add("bookworm", "libfirst", "1", {}, "libc6 (>= 2), libc6-dev")
    old = toolchain.LOADER.relative_to("usr")
    found = {
        str(old.parent / name): (LIBRARIES / name).resolve().read_bytes()
        for name in ("libc.so.6", old.name)
        if (LIBRARIES / name).exists()
    }
    archive.add("bookworm", "libc6", "2", found)


def test_a_tool_of_two_suites_runs(archive: FakeArchive, tmp_path: Path) -> None:
    if not (LIBRARIES / "libc.so.6").exists():
        pytest.skip("no amd64 C library where Debian has it")
    fill(archive)
    folder = programs.unpacked(WANTED, tmp_path / "place", quietly)
    done = subprocess.run([folder / "usr/bin/tool", "a b"], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("a b\n", "")
    there = {path.name for path in folder.rglob("*")}
    assert "extra" in there
    assert not there & {"old", "perl", "huge"}
    assert not (folder / "lib").exists()
    assert programs.version_of(WANTED, tmp_path / "place") == "10"
    archive.root.rename(tmp_path / "gone")
    assert programs.unpacked(WANTED, tmp_path / "place", quietly) == folder


def test_a_package_of_another_architecture_is_left_as_it_is(
    archive: FakeArchive, tmp_path: Path
) -> None:
    tool = Path("/bin/echo").read_bytes()
    archive.add("bookworm", "tool", "7", {"sbin/tool": tool}, "libone before zlib1g", "arm64")
    archive.add("bookworm", "libone", "1", {"lib/one.so": b"1"}, arch="arm64")
    archive.add("bookworm", "zlib1g", "1", {"usr/lib/z.so": b"z"}, arch="arm64")
    for name in ("tool", "libone", "zlib1g"):
        archive.add("bookworm", name, "9", {f"usr/lib/{name}-of-amd64": b"x"})
    wanted = PackagedProgram("tools", ("bookworm",), ("tool",), arch=ARM64)
    folder = programs.unpacked(wanted, tmp_path / "place", quietly)
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert there == {".pykit.json", "usr/sbin/tool", "usr/lib/one.so", "usr/lib/z.so"}
    assert (folder / "usr/sbin/tool").read_bytes() == tool


def test_a_package_that_no_suite_has(archive: FakeArchive, tmp_path: Path) -> None:
    archive.add("bookworm", "tool", "7", {"usr/bin/tool": b""})
    with pytest.raises(InfraError, match=r"no extra in bookworm-backports, bookworm: name a"):
        programs.unpacked(WANTED, tmp_path / "place", quietly)
    assert programs.version_of(WANTED, tmp_path / "place") == ""
