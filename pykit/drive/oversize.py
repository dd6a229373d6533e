# SPDX-License-Identifier: GPL-2.0-only
"""A queue that is given more slots than the device allows (section 4.1.4.3)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from pykit.drive.carriers.registers import RegisterBlock
from pykit.drive.chain import Draft
from pykit.drive.driver import PATIENCE, VirtioDriver
from pykit.drive.requests import DriverRequest
from pykit.drive.split import SplitRing
from pykit.errors import UsageError

#: Slots behind the ring that are looked at in any case, and chains beyond one round of the ring.
_SPARE, _MORE = 8, 4
#: The largest value of the register.
_GREATEST = 0xFFFF


@dataclass
class RoomyRing(SplitRing):
    """A split ring with room behind its last slot.

    A device that takes the ring for the size that was written finds each chain there as well, so
    that it goes on, and its used entries show.
    """

    @property
    def room(self) -> int:
        """Slots of the ring and behind it."""
        return max(self.size, self.asked) + _SPARE

    def write(self, draft: Draft) -> None:
        """Write the entry at its place in the larger ring, too."""
        at = self.driver + 4 + 2 * (self.avail_idx % self.asked)
        self.memory.store(at, struct.pack("<H", draft.head & 0xFFFF))
        super().write(draft)

    def note_beyond(self) -> None:
        """Write down which slots behind the used ring the device has written."""
        behind = range(self.size, self.room)
        found = [slot for slot in behind if self.memory.written(self.device + 4 + 8 * slot, 8)]
        first = {"slot": found[0]} if found else {}
        counts = {"looked": len(behind), "stored": len(found)}
        self.recorder.event("beyond", self.index, size=self.size, **counts, **first)


def set_up_oversized(driver: VirtioDriver, registers: RegisterBlock, queue: int) -> None:
    """Write twice the largest size of a queue, and use as many slots as the register shows then.

    Raises:
        UsageError: the register has no such value, or EVENT_IDX was accepted, whose fields are
            where a larger ring has slots.
    """
    features = driver.ring_features
    largest = driver.carrier.size(queue, _GREATEST)
    asked = 2 * largest
    if asked > _GREATEST or features.event_idx:
        raise UsageError("no queue of this device can be made too large")
    registers.write("queue_select", queue)
    registers.write("queue_size", asked)
    shown = registers.read("queue_size")
    size = shown if 0 < shown <= asked else largest
    ring = RoomyRing(driver.memory, driver.recorder, queue, size, features, asked=asked)
    driver.hand_over(ring)


def go_round(driver: VirtioDriver, queue: int, make: Callable[[], DriverRequest]) -> None:
    """Have more chains served than the ring has slots, as far as the device goes along."""
    ring = driver.rings[queue]
    assert isinstance(ring, RoomyRing)
    for _ in range(ring.size + _MORE):
        with driver.memory.borrowing():
            if driver.serve(queue, make(), patience=PATIENCE) is None:
                break
    ring.note_beyond()
