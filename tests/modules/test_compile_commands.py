# SPDX-License-Identifier: GPL-2.0-only
"""compile_commands.json: every C file of ours is in it, with a command that compiles it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from pykit import kernels
from pykit.paths import ROOT


def c_files(root: Path) -> set[str]:
    found = [*root.glob("kernel/*/*.c"), *root.glob("guest/*/*.c")]
    return {str(path) for path in found if not path.name.endswith(".mod.c")}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["debian-6.12", "debian-6.1"])
def test_every_command_compiles_its_file(tmp_path: Path, name: str) -> None:
    kernel = kernels.resolve(name)
    vhost = kernels.source_tree(kernel) / "drivers" / "vhost"
    for folder in ("kernel", "tools", "guest"):
        ignored = shutil.ignore_patterns("*.o", "*.cmd", "*.ko", "*.mod*")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    (tmp_path / "pykit").mkdir()
    for file in ("Makefile", "Kbuild", "pykit/__init__.py"):
        shutil.copy(ROOT / file, tmp_path / file)
    subprocess.run(
        ["make", f"KDIR={kernel.build_dir}", f"VHOST_H={vhost}", "compile_commands.json"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    entries = json.loads((tmp_path / "compile_commands.json").read_text())
    assert {entry["file"] for entry in entries} == c_files(tmp_path)
    assert len(entries) == len(c_files(tmp_path))
    for entry in entries:
        done = subprocess.run(
            [*entry["arguments"], "-fsyntax-only"],
            cwd=entry["directory"], capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{entry['file']}: {done.stderr}"


def test_without_modules_it_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    script = shutil.copy(ROOT / "tools" / "compile_commands.py", tmp_path / "tools")
    done = subprocess.run(["python3", script, "/nowhere"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "no module was built here: make modules first\n"
