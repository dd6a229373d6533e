# SPDX-License-Identifier: GPL-2.0-only
"""Change C code by semantic patches, with Coccinelle."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from pykit.errors import InfraError


def require_spatch() -> None:
    """Raise InfraError where Coccinelle is not installed."""
    if not shutil.which("spatch"):
        raise InfraError("spatch is not installed: apt-get install coccinelle")


def apply_semantic_patch(patch: Path, target: Path) -> None:
    """Change a file in place; where nothing matches it stays as it is.

    Raises: InfraError with Coccinelle's first message where the patch is wrong.
    """
    done = subprocess.run(
        ["spatch", "--no-includes", "--very-quiet", "--in-place", "--sp-file", patch, target],
        capture_output=True,
        text=True,
        check=False,
    )
    # The exit status is 0 where nothing matched.
    if done.returncode != 0:
        first = (done.stderr.strip().splitlines() or ["no message"])[0]
        raise InfraError(f"{patch}: spatch failed: {first}")
