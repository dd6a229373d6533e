# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's trace log by way of a FIFO, without what does not concern virtio.

``memory_region_ops_*`` tell of every device; a firmware that polls a timer writes a million
lines in a few seconds.
"""

from __future__ import annotations

import os
import select
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Self

#: What a line has to hold, and what it must not: doorbells and interrupt status, which are many
#: and which QEMU's virtio events tell better.
_KEPT, _DROPPED = b"virt", (b"'virtio-pci-isr", b"'virtio-pci-notify")
_WAIT_S = 0.2


class TraceLog:
    """Copies from ``fifo``, which it makes, to ``log`` until the block is left and all is read."""

    def __init__(self, fifo: Path, log: Path) -> None:
        self.fifo = fifo
        self._log = log
        self._end = threading.Event()
        os.mkfifo(fifo)
        # Does not wait for a writer; QEMU then need not wait for a reader.
        self._source = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
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
        os.close(self._source)

    def _copy(self) -> None:
        rest = b""
        with self._log.open("wb") as log:
            while True:
                over = self._end.is_set()
                ready, _, _ = select.select([self._source], [], [], 0 if over else _WAIT_S)
                data = os.read(self._source, 1 << 20) if ready else b""
                if data:
                    *lines, rest = (rest + data).split(b"\n")
                    _write(log, lines)
                elif over:
                    log.write(rest)
                    return
                elif ready:
                    # Nobody writes, now or any more: select does not wait for that.
                    self._end.wait(_WAIT_S)


def _write(log: IO[bytes], lines: list[bytes]) -> None:
    kept = [line for line in lines if _KEPT in line and not any(word in line for word in _DROPPED)]
    if kept:
        log.write(b"\n".join([*kept, b""]))
        # Somebody may be reading along.
        log.flush()
