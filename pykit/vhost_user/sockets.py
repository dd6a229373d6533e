# SPDX-License-Identifier: GPL-2.0-only
"""Listen at a socket, and find out whether a back-end does."""

from __future__ import annotations

import socket
from pathlib import Path

from pykit.errors import UsageError

#: __SO_ACCEPTCON in the flags of /proc/net/unix (include/uapi/linux/net.h).
_ACCEPTS = 1 << 16


def listen(path: Path, waiting: int) -> socket.socket:
    """Listen at a new socket; ``waiting`` connections may stand in its queue.

    Raises:
        UsageError: the socket cannot be made.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        listener.listen(waiting)
    except OSError as error:
        listener.close()
        raise UsageError(f"{path}: cannot listen: {error.strerror}; remove an old socket") from None
    return listener


def listens(path: Path) -> bool:
    """Whether a process listens at a socket; connecting to find out would end some back-ends."""
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and fields[7] == str(path) and int(fields[3], 16) & _ACCEPTS:
            return True
    return False
