# SPDX-License-Identifier: GPL-2.0-only
"""Steps of rows of registers that the driver does: requests, rings, interrupts, lives."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from pykit.drive.access import Action
from pykit.drive.broken_steps import BrokenSteps
from pykit.drive.carriers.qtest import QtestCarrier
from pykit.drive.driver import PATIENCE, Shape, VirtioDriver
from pykit.drive.oversize import go_round, set_up_oversized
from pykit.drive.requests import DriverRequest, cut
from pykit.drive.spoil_rings import SPOILS
from pykit.spec import bits

#: How long a used buffer may take, an interrupt behind it, and one that must not come, in seconds.
_USED, _LATE, _NONE = PATIENCE, 0.5, 0.02
_SMALL = 4


class DriverSteps:
    """What the verbs do that are not accesses to registers.

    Args:
        driver: of the device.
        carrier: the same driver's.
        request: makes a good request.
        shape: of lives that steps begin.
    """

    def __init__(
        self,
        driver: VirtioDriver,
        carrier: QtestCarrier,
        request: Callable[[], DriverRequest],
        shape: Shape,
    ) -> None:
        self._driver, self._carrier, self._make, self._shape = driver, carrier, request, shape
        self._broken = BrokenSteps(driver, request, self._queue)

    @property
    def actions(self) -> dict[str, Action]:
        """Each verb's."""
        return {
            "submit": self._submit,
            "submit-cut": self._submit_cut,
            "serve": self._serve,
            "await": self._await,
            "interrupts": self._interrupts,
            "avail-flags": self._avail_flags,
            "used-event": self._used_event,
            "set-up": self._set_up,
            "begin": self._begin,
            "spoil": self._spoil,
            "find": self._find,
            "fail": self._fail,
            "oversize": self._oversize,
            "go-round": self._go_round,
            **self._broken.actions,
        }

    def _submit(self, words: Mapping[str, str]) -> str:
        self._driver.submit(self._queue(words), self._make(), kick=False)
        return ""

    def _submit_cut(self, words: Mapping[str, str]) -> str:
        """Cut the first buffer that the device may write into two."""
        self._driver.submit(self._queue(words), cut(self._make(), 2), kick=False)
        return ""

    def _serve(self, words: Mapping[str, str]) -> str:
        done = self._driver.serve(self._queue(words), self._make(), patience=_USED)
        return "" if done is not None and done.served == "served" else "not served"

    def _await(self, words: Mapping[str, str]) -> str:
        """Look at the ring alone: no register is read, and nothing taken."""
        ring = self._driver.rings[self._queue(words)]
        deadline = time.monotonic() + _USED
        while ring.used_position == ring.taken_position:
            if time.monotonic() > deadline:
                return "nothing was used"
            time.sleep(0.001)
        return ""

    def _interrupts(self, words: Mapping[str, str]) -> str:
        queue, wanted = self._queue(words), int(words["value"])
        self._carrier.listen(queue, _LATE if wanted else _NONE)
        found = self._carrier.interrupts(queue)
        ring = self._driver.rings[queue]
        idle = ring.used_position == ring.taken_position
        return "" if found == wanted else f"{found}{', with nothing used' if idle else ''}"

    def _avail_flags(self, words: Mapping[str, str]) -> str:
        self._store(self._driver.rings[self._queue(words)].driver, words)
        return ""

    def _used_event(self, words: Mapping[str, str]) -> str:
        ring = self._driver.rings[self._queue(words)]
        self._store(ring.driver + 4 + 2 * ring.size, words)
        return ""

    def _store(self, address: int, words: Mapping[str, str]) -> None:
        self._driver.memory.store(address, struct.pack("<H", int(words["value"], 0)))

    def _set_up(self, words: Mapping[str, str]) -> str:
        self._driver.set_up(self._queue(words), int(words["value"], 0))
        return ""

    def _begin(self, words: Mapping[str, str]) -> str:
        how = words.get("how") or ""
        shape = self._shape
        if how == "plain":
            shape = replace(shape, indirect=False, event_idx=False)
        if how.startswith("packed"):
            shape = replace(shape, packed=True)
        if how.endswith("small"):
            shape = replace(shape, size=_SMALL)
        self._driver.bring_up(shape)
        return ""

    def _spoil(self, words: Mapping[str, str]) -> str:
        ring = self._driver.rings[self._queue(words)]
        request = self._make()
        draft = ring.draft(request.buffers)
        SPOILS[words["how"]](draft, ring, "last")
        ring.grant_stale()
        self._driver.expose(ring.index, draft, request, kick=False)
        self._driver.notify(ring.index)
        return ""

    def _find(self, words: Mapping[str, str]) -> str:
        self._carrier.find()
        return self._carrier.device.problem

    def _fail(self, words: Mapping[str, str]) -> str:
        """Report that the driver cannot use the device."""
        recorder = self._driver.recorder
        recorder.event("driver", id=self._driver.kind.id, err=-22, stage=bits.PROBE_FAILED)
        return ""

    def _oversize(self, words: Mapping[str, str]) -> str:
        set_up_oversized(self._driver, self._carrier.device.registers, self._queue(words))
        return ""

    def _go_round(self, words: Mapping[str, str]) -> str:
        go_round(self._driver, self._queue(words), self._make)
        return ""

    @property
    def numbers(self) -> dict[str, int]:
        """Queues as steps name them: how many, the one with the requests, and another like it."""
        kind = self._driver.kind
        others = [q for q in kind.alike if q != kind.queue and q < self._carrier.queues]
        found = {"queues": self._carrier.queues, "own": kind.queue}
        return found | ({"other": others[0]} if others else {})

    def _queue(self, words: Mapping[str, str]) -> int:
        return self.numbers[words.get("queue") or "own"]
