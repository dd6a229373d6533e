# SPDX-License-Identifier: GPL-2.0-only
"""Block requests, made of chains that the access tracer saw (section 5.2.6)."""

from __future__ import annotations

from collections.abc import Sequence

_WRITE = 2
HEADER_BYTES, _RANGE_BYTES = 16, 16
#: Types whose data a driver's trace shows as well, by the event that has it.
_RANGES, _ANSWERS, _APPEND, _REPORT = (11, 13, 14), (8, 10, 15, 16), 15, 16
#: In front of a byte that was found, see RECORD_USED in plugin/access.h.
_FOUND = 1 << 8

#: Device, life, queue and head.
Name = tuple[int, int, int, int]


class BlockRequests:
    """The requests under way, and whether each that came could be read."""

    def __init__(self) -> None:
        self._started: dict[Name, dict[str, int]] = {}
        self._types: set[int] = set()
        self._read = True

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of events that were made of all requests, or of which there is none to make."""
        if not self._read:
            return ()
        lacking = {
            "blk_range": not self._types.isdisjoint(_RANGES),
            "blk_answer": not self._types.isdisjoint(_ANSWERS),
            "blk_zone": _REPORT in self._types,
        }
        return ("blk_start", "blk_done", *(kind for kind, lacks in lacking.items() if not lacks))

    def start(
        self, name: Name, header: tuple[int, int] | None, buffers: Sequence[tuple[int, int, int]]
    ) -> dict[str, int] | None:
        """Return the fields of ``blk_start``; None where the chain cannot be read.

        Args:
            name: of the chain.
            header: the first 16 bytes that it sends, where one buffer has them.
            buffers: their addresses, lengths and flags.
        """
        self._started.pop(name, None)
        writable = [buffer for buffer in buffers if buffer[2] & _WRITE]
        room = sum(length for _, length, _ in writable)
        if header is None or not room:
            self._read = False
            return None
        kind, sector = header[0] & 0xFFFFFFFF, header[1]
        self._types.add(kind)
        self._started[name] = {"sector": sector, "type": kind}
        sent = sum(length for _, length, flags in buffers if not flags & _WRITE)
        size = sent - HEADER_BYTES + room - 1
        if kind == _APPEND and room > 8:
            size -= 8
        return {
            "sector": sector,
            "status_addr": writable[-1][0] + writable[-1][1] - 1,
            "bytes": size,
            "type": kind,
            "segments": size // _RANGE_BYTES if kind in _RANGES else 0,
        }

    def end(self, name: Name, last: int) -> dict[str, int] | None:
        """Return the fields of ``blk_done``; ``last`` is the last byte that the device wrote."""
        started = self._started.pop(name, None)
        if started is None:
            return None
        if not last & _FOUND:
            self._read = False
            return None
        return {**started, "status": last & 0xFF}
