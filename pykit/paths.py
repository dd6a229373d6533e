# SPDX-License-Identifier: GPL-2.0-only
"""Where pykit keeps things: the cache, build products, runs, and its own sources."""

from __future__ import annotations

import os
import time
from pathlib import Path

#: The repository: kernel sources, configs and scenarios stand beside the package.
ROOT = Path(__file__).resolve().parent.parent
#: What runs in the guest: shell, and sources of our programs.
GUEST = ROOT / "pykit" / "guest"


def cache_dir() -> Path:
    """Downloads and built kernels: ``$XDG_CACHE_HOME/pykit``, by default ``~/.cache/pykit``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "pykit"


def build_dir() -> Path:
    """Build products of this checkout (ignored by git)."""
    return ROOT / "build"


def runs_dir() -> Path:
    """Run directories, one a run, below the current directory's ``runs``."""
    return Path("runs")


def fresh_directory(scenario: str) -> Path:
    """A run directory that nobody has, by time and scenario; it is not made yet."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    base = runs_dir() / f"{stamp}-{scenario}"
    directory, number = base, 1
    while directory.exists():
        number += 1
        directory = base.with_name(f"{base.name}-{number}")
    return directory
