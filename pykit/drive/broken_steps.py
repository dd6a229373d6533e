# SPDX-License-Identifier: GPL-2.0-only
"""Steps of rows by which a driver breaks a rule of its own in a ring."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pykit.drive.access import Action
from pykit.drive.blk_events import note_read
from pykit.drive.driver import VirtioDriver
from pykit.drive.requests import DriverRequest, cut
from pykit.drive.ring import Ring
from pykit.drive.split import SplitRing
from pykit.spec.blkconfig import BLK_SIZE, CAPACITY

_NO_NOTIFY = 1
#: How long an interrupt may come behind its used buffer, in seconds.
_LATE = 0.5
#: Into how many descriptors a buffer is cut that one would do for.
_MANY = 12


class BrokenSteps:
    """What these verbs do, as rows of cases/ have them.

    Args:
        driver: of the device.
        request: makes a good request.
        queue: returns the queue that a step names.
    """

    def __init__(
        self,
        driver: VirtioDriver,
        request: Callable[[], DriverRequest],
        queue: Callable[[Mapping[str, str]], int],
    ) -> None:
        self._driver, self._make, self._queue = driver, request, queue

    @property
    def actions(self) -> dict[str, Action]:
        """Each verb's."""
        return {
            "kick-always": self._on(self._kick_always),
            "kick-by-flag": self._on(self._kick_by_flag),
            "overtake": self._on(self._overtake),
            "overcommit": self._on(self._overcommit),
            "withdraw": self._on(self._withdraw),
            "lose": self._on(self._lose),
            "submit-waiting": self._on(self._submit_waiting),
            "submit-decided": self._on(self._submit_decided),
            "submit-rewritten": self._on(self._submit_rewritten),
            "submit-shredded": self._on(self._submit_shredded),
            "read-together": self._on(self._read_together),
        }

    def _on(self, action: Callable[[Ring], None]) -> Action:
        def act(words: Mapping[str, str]) -> str:
            action(self._driver.rings[self._queue(words)])
            return ""

        return act

    def _kick_always(self, ring: Ring) -> None:
        """Look whether a notification is wanted, and notify at any rate."""
        ring.kick_needed()
        self._driver.notify(ring.index)

    def _kick_by_flag(self, ring: Ring) -> None:
        """Go by the used ring's flag with EVENT_IDX, too."""
        wanted = ring.kick_needed()
        if wanted and not self._driver.memory.load16(ring.device) & _NO_NOTIFY:
            self._driver.notify(ring.index)

    def _overtake(self, ring: Ring) -> None:
        """Take a used entry that is not there, after an interrupt of one before (split rings)."""
        self._driver.listen(ring.index, _LATE)
        if isinstance(ring, SplitRing):
            ring.overtake()

    def _overcommit(self, ring: Ring) -> None:
        """Make a chain available more often than the queue has entries."""
        draft = ring.draft(self._make().buffers)
        for _ in range(ring.size + 1):
            ring.expose(draft)

    def _withdraw(self, ring: Ring) -> None:
        """Take a queue away that the device may use."""
        self._driver.take_away(ring)

    def _lose(self, ring: Ring) -> None:
        """Reset a queue, and take back one chain of those that were outstanding."""
        if self._driver.carrier.reset_queue(ring.index):
            self._driver.take_away(ring, 1)
            self._driver.set_up(ring.index, ring.size)

    def _submit_waiting(self, ring: Ring) -> None:
        """Begin a list where there is no room for it, and wait for that."""
        before = self._driver.recorder.now()
        self._driver.wait(ring.index, 1)
        request = self._make()
        self._driver.expose(
            ring.index, ring.draft(request.buffers), request, kick=False, before=before
        )

    def _submit_decided(self, ring: Ring) -> None:
        """Look whether a notification is wanted before the chain is there."""
        ring.kick_needed()
        self._driver.submit(ring.index, self._make(), kick=False)
        self._driver.notify(ring.index)

    def _submit_rewritten(self, ring: Ring) -> None:
        """Write the descriptors of a chain again that is there."""
        ring.rewrite(self._driver.submit(ring.index, self._make(), kick=False))
        self._driver.notify(ring.index)

    def _submit_shredded(self, ring: Ring) -> None:
        """Have a buffer in many descriptors, of which each goes on where the last one ends."""
        self._driver.submit(ring.index, cut(self._make(), _MANY), kick=False)
        self._driver.notify(ring.index)

    def _read_together(self, _: Ring) -> None:
        """Read two fields of a disk as if nothing could change between them, and go on."""
        recorder, carrier = self._driver.recorder, self._driver.carrier
        note_read(recorder, carrier, CAPACITY, BLK_SIZE)
        note_read(recorder, carrier, BLK_SIZE)
