# SPDX-License-Identifier: GPL-2.0-only
"""Where pykit keeps things: the cache, build products, runs, and its own sources."""

from __future__ import annotations

import os
from pathlib import Path

#: The repository: kernel sources, configs and scenarios stand beside the package.
ROOT = Path(__file__).resolve().parent.parent


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
