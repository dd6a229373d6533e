# SPDX-License-Identifier: GPL-2.0-only
"""A network device (section 5.1) whose link is a loop: it receives what it is sent, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from pykit.device.memory import GuestMemory
from pykit.device.queue import Chain
from pykit.device.served import Served, Writes, scatter
from pykit.spec import bits

#: The header of a frame, which says nothing but that one buffer holds it (section 5.1.6).
_HEADER_BYTES = 12
_HEADER = bytes(10) + (1).to_bytes(2, "little")
#: Frames that wait for a buffer, and bytes of one, without the header; what is more is lost, as
#: on any link. Each receive buffer has room for one (section 5.1.6.3.1).
_WAITING, _LONGEST = 1024, 1514


class ServedNet(Served):
    """Pairs of queues, each a receive queue and the transmit queue behind it.

    Args:
        queues: how many there are, of both kinds.
    """

    def __init__(self, queues: int) -> None:
        self._waiting = [deque[bytes](maxlen=_WAITING) for _ in range(queues // 2)]

    def config(self) -> bytes:
        """No field exists: all depend on features that are not offered (section 5.1.4)."""
        return b""

    def accepts(self, features: int) -> bool:
        """The header's length is that of VERSION_1."""
        return bool(features >> bits.VERSION_1 & 1)

    def ready(self, queue: int) -> bool:
        """A frame is received when there is one."""
        return bool(queue % 2 or self._waiting[queue // 2])

    def due(self) -> Iterable[int]:
        """Receive queues with frames."""
        return [2 * pair for pair, frames in enumerate(self._waiting) if frames]

    def serve(self, memory: GuestMemory, chain: Chain, queue: int) -> tuple[int, Writes]:
        """Take a frame, or hand one out."""
        frames = self._waiting[queue // 2]
        if queue % 2:
            data = b"".join(bytes(memory.at(*span)) for span in chain.readable)
            if _HEADER_BYTES < len(data) <= _HEADER_BYTES + _LONGEST:
                frames.append(data[_HEADER_BYTES:])
            return 0, []
        data = (_HEADER + frames.popleft())[: chain.capacity]
        return len(data), scatter(memory, chain, data, 0)
