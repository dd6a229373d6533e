# SPDX-License-Identifier: GPL-2.0-only
"""The cache on disk: one writer at a time, and nothing half-done that looks done.

A folder is made under a temporary name beside its place, gets its stamp last, and is
renamed. So a folder with a stamp is complete, and leftovers of a killed process have
a temporary name that the next holder of the lock sweeps up.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pykit.errors import InfraError
from pykit.kernels.model import Progress
from pykit.paths import cache_dir

_TEMPORARY = ".new-"
_STAMP = ".pykit.json"


def kernels_dir() -> Path:
    """Unpacked kernels, a folder a release."""
    return cache_dir().absolute() / "kernels"


def sources_dir() -> Path:
    """Partly unpacked kernel sources, a folder a Debian version."""
    return cache_dir().absolute() / "sources"


def built_dir() -> Path:
    """Kernels built from source, a folder for each source, configuration and compiler."""
    return cache_dir().absolute() / "built"


def trees_dir() -> Path:
    """Module folders of kernels that were built and not installed."""
    return cache_dir().absolute() / "trees"


def read_stamp(folder: Path) -> dict[str, Any] | None:
    """What was written when `folder` was complete, or None if it is not."""
    try:
        stamp = json.loads((folder / _STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stamp if isinstance(stamp, dict) else None


def write_stamp(folder: Path, stamp: dict[str, Any]) -> None:
    """Say that `folder` is complete and what it holds; a reader never sees half of it."""
    new = folder / (_STAMP + ".new")
    new.write_text(json.dumps(stamp, indent=1) + "\n", encoding="utf-8")
    new.replace(folder / _STAMP)


@contextlib.contextmanager
def locked(place: Path, progress: Progress) -> Iterator[int]:
    """Hold the lock for writing below `place`; wait for another holder. Yields the lock's
    descriptor, for a child that is to hold it too.

    Leftovers of killed processes are removed on entry: with the lock held, no other process
    can be working on them.
    """
    with disk_errors(place):
        place.mkdir(parents=True, exist_ok=True)
        with (place / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress(f"waiting for another pykit that is filling {place}")
                fcntl.flock(lock, fcntl.LOCK_EX)
            for leftover in place.glob(f"{_TEMPORARY}*"):
                shutil.rmtree(leftover, ignore_errors=True)
            yield lock.fileno()


@contextlib.contextmanager
def temporary(place: Path) -> Iterator[Path]:
    """A folder below `place` that is gone afterwards, unless it was renamed."""
    folder = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=place))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, final: Path, stamp: dict[str, Any]) -> None:
    """Give a finished temporary folder its stamp and its name, replacing what has it."""
    write_stamp(folder, stamp)
    with temporary(final.parent) as trash:
        if final.exists():
            final.rename(trash / "old")
        folder.rename(final)


def need_space(place: Path, needed: int) -> None:
    """Raise InfraError unless the disk of `place` has `needed` bytes free."""
    free = shutil.disk_usage(place).free
    if free < needed:
        raise InfraError(
            f"{place} needs {needed >> 20} MB and its disk has {free >> 20} MB free: "
            "free some, or set XDG_CACHE_HOME to a folder on another disk"
        )


def is_no_space(output: str) -> bool:
    """Whether a tool's messages (in the C locale) say that the disk filled up."""
    return "No space left on device" in output or "Disk quota exceeded" in output


def no_space(place: Path) -> InfraError:
    """The error of a disk that filled up while we were writing to it."""
    return InfraError(
        f"the disk of {place} is full: free some space, "
        "or set XDG_CACHE_HOME to a folder on another disk"
    )


@contextlib.contextmanager
def disk_errors(place: Path) -> Iterator[None]:
    """Turn what the file system refuses into an InfraError that names the cache."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise no_space(place) from error
        what = error.filename or place
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise InfraError(
            f"{what}: {reason}: the cache cannot be filled there; "
            "set XDG_CACHE_HOME to a folder that can be written"
        ) from error
