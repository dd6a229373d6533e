# SPDX-License-Identifier: GPL-2.0-only
"""Whether a back-end listens at its socket."""

from __future__ import annotations

from pathlib import Path

#: __SO_ACCEPTCON in the flags of /proc/net/unix (include/uapi/linux/net.h).
_ACCEPTS = 1 << 16


def listens(path: Path) -> bool:
    """Whether a process listens at a socket; connecting to find out would end some back-ends."""
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and fields[7] == str(path) and int(fields[3], 16) & _ACCEPTS:
            return True
    return False
