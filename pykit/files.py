# SPDX-License-Identifier: GPL-2.0-only
"""Read files that pykit did not just write: captures, reports, plans of others.

Such a file may be a pipe that never ends, a device, a link to a file outside its directory, or
text nested deeper than Python's stack. Everything here ends in an ``OSError`` or ``ValueError``
that the caller turns into one line.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

_FULL = 1 << 20


class NotRegularError(OSError):
    """The path names a pipe, device, socket or directory, or leads out of its directory."""


def exists(path: Path) -> bool:
    """Return whether a directory has this entry, whatever it is, a dangling link included.

    Optional files are tested by this and then opened: ``Path.is_file()`` would take a pipe in the
    file's place for a missing file.
    """
    return os.path.lexists(path)


def check_regular(path: Path, within: Path | None = None) -> None:
    """Check that a path names a regular file, below ``within`` if given.

    Raises:
        NotRegularError: it does not.
        OSError: it cannot be looked up.
    """
    _check_mode(path.stat().st_mode)
    if within is not None and not Path(os.path.realpath(path)).is_relative_to(
        os.path.realpath(within)
    ):
        raise NotRegularError(f"a link to a file outside {within}")


def open_regular(path: Path, within: Path | None = None) -> BinaryIO:
    """Open a regular file, below ``within`` if given; never wait for a pipe's other end.

    Raises:
        NotRegularError: not a regular file, or a link that leads out of ``within``.
        OSError: it cannot be opened.
    """
    # Opening a device can have effects of its own, so look before the open, and again after it.
    check_regular(path, within)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _check_mode(os.fstat(descriptor).st_mode)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path, within: Path | None = None) -> bytes:
    """Return a regular file's content; raises as ``open_regular`` does."""
    with open_regular(path, within) as file:
        return file.read()


def reason(error: Exception) -> str:
    """Return an error's text without the path, which the caller's message already has."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add ``path`` to an error of a system call that has no name, as write(2) on a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def full_directories(candidates: Iterable[Path]) -> list[Path]:
    """Return those directories, each once, whose file systems have less than 1 MiB free."""
    full = []
    for path in dict.fromkeys(candidate.absolute() for candidate in candidates):
        place = next(parent for parent in (path, *path.parents) if parent.exists())
        if shutil.disk_usage(place).free < _FULL:
            full.append(path)
    return full


def parse_json(text: str | bytes) -> Any:
    """Parse JSON; numbers are finite.

    Raises:
        ValueError: not JSON, nested too deeply, or with an infinite number.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _check_mode(mode: int) -> None:
    if not stat.S_ISREG(mode):
        kinds = {
            stat.S_IFIFO: "a pipe",
            stat.S_IFCHR: "a device",
            stat.S_IFBLK: "a device",
            stat.S_IFSOCK: "a socket",
            stat.S_IFDIR: "a directory",
        }
        raise NotRegularError(f"{kinds.get(stat.S_IFMT(mode), 'special')}, not a regular file")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is out of range")
    return value
