# SPDX-License-Identifier: GPL-2.0-only
"""What messages say of each queue, and the descriptors by which its two sides notify each other."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

from pykit.device.memory import GuestMemory
from pykit.spec import bits
from pykit.tap import packed, split
from pykit.tap.faults import Injection
from pykit.tap.packed import PackedTap
from pykit.tap.record import TapRecorder
from pykit.tap.ring import Areas, RingShape, TappedRing
from pykit.tap.shadow import ShadowMemory
from pykit.tap.split import SplitTap
from pykit.tap.watch import Watch
from pykit.vhost_user import PROTOCOL_FEATURES, VRING_ADDR


@dataclass(frozen=True)
class Around:
    """What all queues of a session share.

    Attributes:
        watch: what the loop waits for.
        device_id: type of the device (section 5).
        heals: a back-end that goes is replaced.
    """

    watch: Watch

    memory: GuestMemory
    shadow: ShadowMemory
    recorder: TapRecorder
    injection: Injection | None
    device_id: int
    heals: bool


class TappedQueue:
    """One queue, from the first message about it to the end of the connection.

    Attributes:
        size, base, areas: as the front-end sent them.
        enabled: SET_VRING_ENABLE; without protocol features a queue is born enabled.
        kick, call: descriptors of the front-end, -1 where it gave none.
        back_kick, back_call: those that the back-end has.
        ring: while the queue is started.
        polled: the front-end does not notify, so that the rings have to be looked at.
        carries: False between SET_VRING_ENABLE 0 or GET_VRING_BASE and the next start.
    """

    def __init__(self, index: int, around: Around) -> None:
        self.index, self._around = index, around
        self.size = 0
        self.base: int | None = None
        self.areas: Areas | None = None
        self.address = b""
        self.enabled = self.polled = self.has_kick = False
        self.kick = self.call = -1
        self.back_kick, self.back_call = -1, eventfd()
        around.watch.add(self.back_call, lambda: self.take_used(drain(self.back_call)))
        self.carries = True
        self._before = (0, 0)
        self.ring: TappedRing | None = None

    def place(self, payload: bytes, features: int) -> bytes:
        """Return a message with the addresses of the ring as the back-end has to get it."""
        _, flags, desc, used, avail, log = VRING_ADDR.unpack(payload)
        self.areas, self.address = (desc, used, avail), payload
        self.prepare(features)
        if features >> bits.RING_PACKED & 1:
            places = packed.lay_out(self.index, self.size)
        else:
            places = split.lay_out(self.index, self.size, self.areas, self._own_table)
        return VRING_ADDR.pack(self.index, flags, *places, log)

    @property
    def _own_table(self) -> bool:
        injection = self._around.injection
        return injection is not None and injection.fault.table

    def prepare(self, features: int) -> None:
        """Have the shadow ring's indices stand in memory before the back-end looks at them."""
        if self.areas is None or not self.size or self.ring is not None:
            return
        around = self._around
        if features >> bits.RING_PACKED & 1:
            packed.prepare(around.shadow, self.index, self.size, self.base)
        else:
            split.prepare(
                around.shadow, around.memory, self.index, self.size, self.areas, self.base
            )

    def ready(self, features: int) -> bool:
        """Whether the queue has all that it needs and is not started."""
        enabled = self.enabled or not features >> PROTOCOL_FEATURES & 1
        return enabled and self.has_kick and self.ring is None and bool(self.size and self.areas)

    def start(self, features: int) -> None:
        """Begin to carry chains.

        Raises:
            BadAddressError: an area is not in the front-end's memory.
        """
        assert self.areas is not None
        around = self._around
        is_packed = features >> bits.RING_PACKED & 1
        shape = RingShape(
            self.index, self.size, self.areas,
            self.base if self.base is not None else packed.FRESH if is_packed else 0,
            bool(features >> bits.EVENT_IDX & 1), around.device_id == bits.BLK_ID, around.heals,
        )  # fmt: skip
        make = PackedTap if is_packed else SplitTap
        drain(self.back_call)
        if self.kick >= 0:
            around.watch.add(self.kick, lambda: self.take_chains(drain(self.kick)))
        self.ring = make(shape, around.memory, around.shadow, around.recorder, around.injection)

    def take_chains(self, kicks: int) -> None:
        """Carry what the front-end made available, and notify the back-end if it wants to be."""
        if self.ring is not None and self.carries:
            if self.ring.from_front(kicks):
                notify(self.back_kick)
            self.ring.write_down()

    def take_used(self, calls: int) -> None:
        """Carry what the back-end returned, and interrupt the front-end if it wants to be."""
        if self.ring is not None:
            if self.ring.from_back(calls):
                notify(self.call)
            self.ring.write_down()

    @property
    def carried(self) -> tuple[int, int]:
        """Chains that were made available, and used entries that came back."""
        ring = self.ring
        here = (ring.chains, ring.returned) if ring is not None else (0, 0)
        return self._before[0] + here[0], self._before[1] + here[1]

    def stop(self) -> None:
        """End carrying; what messages said stays."""
        if self.ring is not None:
            self.ring.record_stop()
            self._before = self.carried
            self._around.watch.drop(self.kick)
        self.ring, self.base, self.areas, self.has_kick = None, None, None, False
        self.carries = True

    def close(self) -> None:
        """Close all descriptors."""
        self.stop()
        for fd in (self.kick, self.call, self.back_kick, self.back_call):
            self._around.watch.close(fd)
        self.kick = self.call = self.back_kick = self.back_call = -1


def eventfd() -> int:
    """Make an eventfd that nobody waits for."""
    return os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)


def notify(fd: int) -> None:
    """Add one to an eventfd; one that is full wakes its reader all the same."""
    if fd < 0:
        return
    with contextlib.suppress(BlockingIOError):
        os.eventfd_write(fd, 1)


def drain(fd: int) -> int:
    """Take what an eventfd counted; 0 where nothing came, or the peer gave something else."""
    if fd < 0:
        return 0
    try:
        return os.eventfd_read(fd)
    except OSError:
        return 0
