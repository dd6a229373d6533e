# SPDX-License-Identifier: GPL-2.0-only
"""Where pykit keeps things: cache, build products, runs, its own sources; files made whole."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path

#: The repository: kernel sources, configs and scenarios stand beside the package.
ROOT = Path(__file__).resolve().parent.parent
#: What runs in the guest: the agent with its library of shell functions, and our programs.
GUEST = ROOT / "guest"
AGENT = GUEST / "agent"
PROGRAMS = GUEST / "programs"
#: Copies of guests, and what they boot, are made anew in seconds.
_KEPT_S = 30 * 24 * 3600


def cache_dir() -> Path:
    """Downloads and built kernels: ``$XDG_CACHE_HOME/pykit``, by default ``~/.cache/pykit``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "pykit"


def used(entry: Path) -> None:
    """Mark an entry of a folder of the cache as used now, and let go what nobody used for long.

    Another guest may be about to open the others.
    """
    os.utime(entry)
    old = time.time() - _KEPT_S
    for other in entry.parent.iterdir():
        # Somebody else may do the same.
        with contextlib.suppress(FileNotFoundError):
            if other.lstat().st_mtime >= old:
                continue
            if other.is_dir():
                shutil.rmtree(other, ignore_errors=True)
            else:
                other.unlink()


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file under a temporary name beside it, then rename.

    On any error (a full disk) the old file, if there was one, stays as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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
