# SPDX-License-Identifier: GPL-2.0-only
"""Locate pykit's sources and data, the cache, build products and runs; write files atomically."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import shutil
import time
from pathlib import Path

from pykit.errors import UsageError
from pykit.files import naming

_PACKAGE = Path(__file__).resolve().parent
#: A wheel has the files that a run reads inside the package (setup.py copies them there).
_SHARE = _PACKAGE / "share"
#: True where pykit was installed from a wheel, False in a checkout.
INSTALLED = _SHARE.is_dir()
#: The directory with Kbuild, kernel/, guest/, plugin/, configs/, scenarios/ and so on.
ROOT = _SHARE if INSTALLED else _PACKAGE.parent
#: What runs in the guest: the agent with its library of shell functions, and our programs.
GUEST = ROOT / "guest"
AGENT = GUEST / "agent"
PROGRAMS = GUEST / "programs"
#: Copies of guests, and the files they boot, take seconds to make again.
_KEPT_S = 30 * 24 * 3600


def cache_dir() -> Path:
    """Return the folder of downloads and built kernels: ``$XDG_CACHE_HOME/pykit``.

    Without that variable: ``~/.cache/pykit``.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "pykit"


def used(entry: Path) -> None:
    """Mark a cache entry as used now, and delete its neighbours that were not used for 30 days.

    Younger neighbours stay: another guest may be about to open them.
    """
    os.utime(entry)
    old = time.time() - _KEPT_S
    for other in entry.parent.iterdir():
        # Another process may delete it first.
        with contextlib.suppress(FileNotFoundError):
            if other.lstat().st_mtime >= old:
                continue
            if other.is_dir():
                shutil.rmtree(other, ignore_errors=True)
            else:
                other.unlink()


def require_empty(directory: Path, what_to_do: str = "name another with --to") -> None:
    """Raise UsageError for a path that is there and is not an empty directory."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UsageError(f"{directory} exists and is not an empty directory: {what_to_do}")


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file under a temporary name beside it, then rename.

    On an error (a full disk) an older file of that name stays unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with naming(path):
            temporary.write_bytes(data)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def build_dir() -> Path:
    """Return the folder of build products.

    ``build/`` of a checkout. Where pykit is installed, or the checkout cannot be written to, a
    folder of the cache, one for each place of the sources.
    """
    local = ROOT / "build"
    if not INSTALLED and os.access(local if local.exists() else ROOT, os.W_OK):
        return local
    folder = cache_dir() / "build" / hashlib.sha256(str(ROOT).encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    used(folder)
    return folder


def runs_dir() -> Path:
    """Return the folder of run directories: ``runs`` in the current directory."""
    return Path("runs")


def fresh_directory(scenario: str) -> Path:
    """Make a run directory, named by time and scenario, and return it.

    Where nothing is put into it, it is gone when pykit ends.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S")
    base = runs_dir() / f"{stamp}-{scenario}"
    base.parent.mkdir(parents=True, exist_ok=True)
    directory, number = base, 1
    while True:
        try:
            directory.mkdir()
            break
        except FileExistsError:
            number += 1
            directory = base.with_name(f"{base.name}-{number}")
    atexit.register(_remove_empty, directory.absolute())
    return directory


def _remove_empty(directory: Path) -> None:
    """Remove the directory, and then ``runs``, where nothing is in them."""
    with contextlib.suppress(OSError):
        directory.rmdir()
        directory.parent.rmdir()
