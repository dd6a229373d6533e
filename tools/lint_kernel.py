# SPDX-License-Identifier: GPL-2.0-only
"""Lint the C code: the kernel tree's checkpatch, and a build with sparse and W=1.

Run as ``python -m tools.lint_kernel``; any line that one of them prints is a failure.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pykit import kernels, modules
from pykit.errors import PykitError
from pykit.paths import ROOT


def checkpatch(tree: Path) -> list[str]:
    """Return what ``checkpatch --strict`` reports of the C files below kernel/ and guest/."""
    files = sorted(
        path
        for folder in ("kernel", "guest")
        for path in (ROOT / folder).rglob("*.[ch]")
        if not path.name.endswith(".mod.c")
    )
    command = [
        "perl", tree / "scripts" / "checkpatch.pl", "--no-tree", "--strict", "--terse",
        "--no-summary", "--show-types", "--file", *files,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    return (done.stdout + done.stderr).splitlines()


def main() -> int:
    """Print every warning; return 0 where there is none."""
    kernel = kernels.resolve(progress=lambda line: print(line, file=sys.stderr))
    tree = kernels.source_tree(kernel, progress=lambda line: print(line, file=sys.stderr))
    found = 0
    for name, complaints in (
        ("checkpatch --strict", checkpatch(tree)),
        ("W=1 C=1", modules.complaints(kernel)),
        ("W=1 C=1 FAULT=1", modules.complaints(kernel, fault=True)),
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
