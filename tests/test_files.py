# SPDX-License-Identifier: GPL-2.0-only
"""Files of others: only regular ones are opened, and errors name them."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from pathlib import Path
from typing import NamedTuple

import pytest

from pykit.cli.ending import _one_line
from pykit.errors import UsageError
from pykit.files import NotRegularError, full_directories, naming, parse_json, read_regular
from pykit.paths import write_atomically
from pykit.toml import TomlFile


def test_regular_files_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "inside").symlink_to("file")
    assert read_regular(tmp_path / "inside", tmp_path) == b"text"
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for name, kind in {"pipe": "a pipe", "zero": "a device", "socket": "a socket"}.items():
            with pytest.raises(NotRegularError, match=f"^{kind}, not a regular file"):
                read_regular(tmp_path / name)
    with pytest.raises(NotRegularError, match="a directory"):
        read_regular(tmp_path)


def test_a_link_that_leads_out(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "secret").write_text("secret")
    (inner / "file").symlink_to("../secret")
    (inner / "folder").symlink_to(tmp_path)
    for name in ("file", "folder/secret"):
        with pytest.raises(NotRegularError, match="outside"):
            read_regular(inner / name, inner)
    assert read_regular(inner / "file") == b"secret"


@pytest.mark.parametrize("text", ["[" * 200_000, "NaN", "-Infinity", "1e999", '{"a": [1e400]}'])
def test_json_beyond_python(text: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+\Z"):
        parse_json(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = " + "[" * 100_000, r"file\.toml: nested too deeply"),
        ("a = 1\n[b]\nc = [1.0, inf]\n", r"file\.toml:3: b\.c\[1\]: not a finite number"),
        ("a = nan\n", r"file\.toml:1: a: not a finite number"),
    ],
)
def test_toml_beyond_python(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "file.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        TomlFile(path)


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_atomically(tmp_path / "verdicts.json", b"{}")
    assert _one_line(caught.value, []) == (
        f"no space left on the device: {tmp_path}/verdicts.json: free some, then run again"
    )


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_a_full_disk_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "full/run"
    out.parent.mkdir()

    def usage(path: Path) -> Usage:
        return Usage(1 << 30, 0, 0 if path == out.parent else 1 << 29)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    assert full_directories([out, tmp_path]) == [out]
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert _one_line(error, ["run", "blk", "--to", str(out)]) == (
        f"no space left on the device: {out}: free some, then run again"
    )


def test_a_name_that_is_there_stays(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, naming(tmp_path):
        (tmp_path / "absent").read_bytes()
    assert caught.value.filename == str(tmp_path / "absent")
