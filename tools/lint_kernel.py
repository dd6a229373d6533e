# SPDX-License-Identifier: GPL-2.0-only
"""Lint the C code: the kernel tree's own checkpatch, and a build with sparse and W=1.

Run as ``python -m tools.lint_kernel``; any line that either prints is a failure.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from pykit import kernels
from pykit.errors import PykitError
from pykit.paths import ROOT

_COMPLAINT = re.compile(r"\b(?:warning|error):", re.IGNORECASE)


def checkpatch(tree: Path) -> list[str]:
    """Lines that ``checkpatch --strict`` says of every C file under kernel/ and pykit/guest/."""
    files = sorted(
        path
        for folder in ("kernel", "pykit/guest")
        for path in (ROOT / folder).rglob("*.[ch]")
        if not path.name.endswith(".mod.c")
    )
    command = [
        "perl", tree / "scripts" / "checkpatch.pl", "--no-tree", "--strict", "--terse",
        "--no-summary", "--show-types", "--file", *files,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    return (done.stdout + done.stderr).splitlines()


def build(kernel: kernels.Kernel, tree: Path, *, fault: bool) -> list[str]:
    """Complaints of ``make W=1 C=1`` about our own code, in a copy of it."""
    with tempfile.TemporaryDirectory(prefix="pykit-lint-") as folder:
        shutil.copytree(ROOT / "kernel", Path(folder) / "kernel")
        shutil.copy(ROOT / "Kbuild", folder)
        command = [
            "make", "-C", kernel.build_dir, f"M={folder}", "W=1", "C=1",
            f"VHOST_H={tree / 'drivers' / 'vhost'}", "CONFIG_DEBUG_INFO_BTF_MODULES=",
            *(["FAULT=1"] if fault else []), "modules",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        output = (done.stdout + done.stderr).splitlines()
        complaints = [line.replace(folder, ".") for line in output if _COMPLAINT.search(line)]
        if done.returncode != 0 and not complaints:
            complaints = output[-5:]
        return complaints


def main() -> int:
    """Print every complaint; 0 where there is none."""
    kernel = kernels.resolve(progress=lambda line: print(line, file=sys.stderr))
    tree = kernels.source_tree(kernel, progress=lambda line: print(line, file=sys.stderr))
    found = 0
    for name, complaints in (
        ("checkpatch --strict", checkpatch(tree)),
        ("W=1 C=1", build(kernel, tree, fault=False)),
        ("W=1 C=1 FAULT=1", build(kernel, tree, fault=True)),
    ):
        print(f"{name}: {'clean' if not complaints else f'{len(complaints)} complaints'}")
        for line in complaints:
            print(f"  {line}")
        found += len(complaints)
    return 1 if found else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except PykitError as error:
        print(f"lint_kernel: {error}", file=sys.stderr)
        sys.exit(int(error.exit_code))
