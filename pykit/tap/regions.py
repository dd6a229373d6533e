# SPDX-License-Identifier: GPL-2.0-only
"""The front-end's memory as the back-end gets it: with one region of the tap's more."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from pykit.device.memory import GuestMemory
from pykit.tap.shadow import ShadowMemory
from pykit.tap.stream import Stream
from pykit.vhost_user import REGION, VRING, FrontEndRequest, Message, PeerGoneError

#: Regions of a memory table, ours among them.
_MOST_REGIONS = 8


@dataclass(frozen=True)
class SharedRegion:
    """A region of the front-end's: its message payload, and its file; -1 where it is not kept."""

    payload: bytes
    fd: int


class SharedRegions:
    """All regions of one front-end.

    Args:
        memory: where the tap has them mapped.
        shadow: the tap's own.
        keeps: keep their files, for another back-end.
    """

    def __init__(self, memory: GuestMemory, shadow: ShadowMemory, keeps: bool) -> None:
        self._memory, self._shadow, self._keeps = memory, shadow, keeps
        self._regions: list[SharedRegion] = []
        self._by_slots = self._ours_shared = False

    def table(self, message: Message) -> tuple[bytes, Sequence[int]]:
        """Take a memory table; return the one that the back-end gets.

        Raises:
            PeerGoneError: it is none, or has no room for ours.
        """
        payload = message.payload
        count, _ = VRING.unpack_from(payload)
        if count != len(message.fds) or len(payload) < VRING.size + count * REGION.size:
            raise PeerGoneError(f"front-end: {count} regions with {len(message.fds)} descriptors")
        if count >= _MOST_REGIONS:
            raise PeerGoneError(
                f"front-end shares {count} regions, and the tap needs one of {_MOST_REGIONS}: "
                "use a back-end with memory slots"
            )
        self.clear()
        regions = payload[VRING.size : VRING.size + count * REGION.size]
        for number, fd in enumerate(message.fds):
            self._add(regions[number * REGION.size :][: REGION.size], (fd,))
        shadow = self._shadow
        return VRING.pack(count + 1, 0) + regions + shadow.region, (*message.fds, shadow.fd)

    def add(self, payload: bytes, fds: Sequence[int], back: Stream) -> None:
        """Take one region; the back-end gets ours before the first."""
        self._by_slots = True
        if not self._ours_shared:
            self._share_ours(back)
        self._add(payload, fds)

    def _share_ours(self, back: Stream) -> None:
        shadow = self._shadow
        back.send(FrontEndRequest.ADD_MEM_REG, bytes(8) + shadow.region, 0, (shadow.fd,))
        self._ours_shared = True

    def _add(self, payload: bytes, fds: Sequence[int]) -> None:
        if len(fds) != 1:
            raise PeerGoneError(f"front-end: a region with {len(fds)} descriptors")
        guest, size, user, offset = REGION.unpack(payload)
        self._memory.add(guest, size, user, offset, os.dup(fds[0]))
        self._regions.append(SharedRegion(payload, os.dup(fds[0]) if self._keeps else -1))

    def remove(self, payload: bytes) -> None:
        """Forget one region.

        Raises:
            BadAddressError: there is none like it.
        """
        guest, size, user, _ = REGION.unpack(payload)
        self._memory.remove(guest, size, user)
        for region in list(self._regions):
            if REGION.unpack(region.payload)[:3] == (guest, size, user):
                self._regions.remove(region)
                self._close(region)

    def clear(self) -> None:
        """Forget all."""
        self._memory.clear()
        for region in self._regions:
            self._close(region)
        self._regions.clear()

    @staticmethod
    def _close(region: SharedRegion) -> None:
        if region.fd >= 0:
            os.close(region.fd)

    def share_again(self, back: Stream) -> None:
        """Give all to another back-end, in the way in which they came."""
        if self._by_slots:
            self._share_ours(back)
            for region in self._regions:
                back.send(
                    FrontEndRequest.ADD_MEM_REG, bytes(8) + region.payload, 0, (region.fd,)
                )  # fmt: skip
        elif self._regions:
            shadow = self._shadow
            payload = b"".join(region.payload for region in self._regions) + shadow.region
            fds = (*(region.fd for region in self._regions), shadow.fd)
            payload = VRING.pack(len(fds), 0) + payload
            back.send(FrontEndRequest.SET_MEM_TABLE, payload, 0, fds)
