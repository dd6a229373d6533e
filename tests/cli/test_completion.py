# SPDX-License-Identifier: GPL-2.0-only
"""Completion of the shell, and man pages: both from the text of --help."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tools.cli_reference import tree

from .command import pykit


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("pykit bi", "bisect"),
        ("pykit run --driver-f", "--driver-fault"),
        ("pykit run suspe", "suspend"),
        ("pykit run --kernel debian-7", "debian-7.2"),
    ],
)
def test_bash_completes(tmp_path: Path, line: str, offered: str) -> None:
    words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    done = pykit(cwd=tmp_path, **words, _PYKIT_COMPLETE="complete_bash")
    assert (done.returncode, done.stdout.split()) == (0, [offered])


def test_every_command_has_a_page(tmp_path: Path) -> None:
    pytest.importorskip("click_man", reason="click-man is not installed: make setup")
    from tools.man_pages import write

    pages = {path.name: path for path in write(tmp_path)}
    assert set(pages) == {f"{context.command_path.replace(' ', '-')}.1" for _, context in tree()}
    text = pages["pykit-why.1"].read_text()
    assert "at which index, whose turn it is" in text
    assert r"\fB\-\-attach\fP SOCKET" in text
    if (groff := shutil.which("groff")) is None:
        pytest.skip("groff is not installed: the pages are not formatted")
    for page in pages.values():
        done = subprocess.run(
            [groff, "-Kutf8", "-man", "-Tutf8", "-ww", page],
            capture_output=True,
            text=True,
            check=True,
        )
        assert not done.stderr, page
