# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's trace log, read along while QEMU writes it, without what does not concern virtio.

``memory_region_ops_*`` log the accesses to every device; a firmware that polls a timer writes a
million lines in a few seconds. So QEMU writes a temporary file, what was read of it is punched
out, and lines about virtio are copied. A plain file, because QEMU writes its log with its global
lock held: a pipe that is full or that nobody reads would stop the guest, a file never does.
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from pykit.errors import InfraError

#: What a line has to hold, and what it must not: reads of the interrupt status, which are many and
#: which QEMU's virtio events log better.
_KEPT, _DROPPED = b"virt", (b"'virtio-pci-isr",)
_WAIT_S = 0.05
_CHUNK = 1 << 20
#: Where so little is left for the temporary file, QEMU might soon drop lines without a word.
RESERVE_BYTES = 16 << 20
#: FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, of <linux/falloc.h>.
_PUNCH_HOLE = 3
_PAGE = 4096


class TraceLog:
    """Copies from ``source``, which QEMU writes, to ``log`` until the block is left and all is
    read.

    An error of the copying thread is raised by check(), and where the block is left.
    """

    def __init__(self, source: Path, log: Path) -> None:
        self.source = source
        self._log = log
        self._end = threading.Event()
        self._error: InfraError | None = None
        self._thread = threading.Thread(target=self._copy, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join()
        if error is None:
            self.check()

    def check(self) -> None:
        """Raise InfraError where the log cannot be copied any more: a full disk."""
        if self._error is not None:
            raise self._error

    def _copy(self) -> None:
        try:
            with self._log.open("wb") as log:
                self._follow(log)
        except OSError as error:
            self._error = unwritable(self._log, error)
        except InfraError as error:
            self._error = error

    def _follow(self, log: IO[bytes]) -> None:
        while not self.source.exists():
            if self._end.wait(_WAIT_S) and not self.source.exists():
                return
        rest, read, punched = b"", 0, 0
        with self.source.open("r+b", buffering=0) as source:
            while True:
                over = self._end.is_set()
                data = source.read(_CHUNK) or b""
                *lines, rest = (rest + data).split(b"\n")
                _write(log, lines)
                read += len(data)
                whole = read - read % _PAGE
                if data and whole > punched:
                    _punch(source.fileno(), punched, whole - punched)
                    punched = whole
                    self._require_space()
                if not data:
                    if over:
                        log.write(rest)
                        return
                    self._end.wait(_WAIT_S)

    def _require_space(self) -> None:
        folder = self.source.parent
        if free_bytes(folder) < RESERVE_BYTES:
            raise InfraError(
                f"{folder.parent}: no space left for QEMU's log: free some space, or name another "
                "directory in TMPDIR"
            )


def unwritable(path: Path, error: OSError) -> InfraError:
    """The error to raise for a file of a run that cannot be written."""
    words = os.strerror(error.errno) if error.errno else str(error)
    advice = "free some space" if error.errno == errno.ENOSPC else "name another directory by --to"
    return InfraError(f"{path}: {words}: {advice}, then run it again")


def free_bytes(folder: Path) -> int:
    """Return how much more can be written to the file system of ``folder``."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _write(log: IO[bytes], lines: list[bytes]) -> None:
    kept = [line for line in lines if _KEPT in line and not any(word in line for word in _DROPPED)]
    if kept:
        log.write(b"\n".join([*kept, b""]))
        # Another process may be reading along.
        log.flush()


def _punch(file: int, start: int, length: int) -> None:
    """Give back the disk blocks of a part of a file; its size stays.

    Nothing happens on a file system that cannot: the file grows until the guest ends.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.fallocate64(file, _PUNCH_HOLE, ctypes.c_int64(start), ctypes.c_int64(length))
