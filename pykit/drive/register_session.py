# SPDX-License-Identifier: GPL-2.0-only
"""Run cases of registers against one device."""

from __future__ import annotations

import re
import time
from dataclasses import replace

from pykit.drive.access import Accessor, RegisterCase, RegisterRow, lacking
from pykit.drive.carriers import PeerGoneError
from pykit.drive.carriers.qtest import QtestCarrier
from pykit.drive.driver import Shape, Stage
from pykit.drive.memory import CANARIES
from pykit.drive.outcome import CaseOutcome, Effect
from pykit.drive.runner import CaseResult, CaseRunner

#: What decides where a device writes: after such a write any place may be right.
_PLACES = re.compile(r"(write queue_(desc|driver|device|pfn|size|enable)|poke registers)")


class RegisterSession(CaseRunner[RegisterCase]):
    """Runs cases of registers, each in a life of its own."""

    def _once(self, case: RegisterCase) -> CaseResult:
        begun = time.monotonic()
        carrier = self._driver.carrier
        if not isinstance(carrier, QtestCarrier):
            return CaseResult(case, None, skipped=f"{carrier.name} has no registers")
        self._number += 1
        shape = Shape(canary=CANARIES[self._number % len(CANARIES)])
        try:
            self._device.begin(shape)
            if reason := lacking(case.row, carrier.device):
                return CaseResult(case, None, skipped=reason)
            outcome = self._outcome(case.row, shape, carrier)
        except PeerGoneError as error:
            outcome = self._ended(str(error))
        outcome = replace(outcome, seconds=time.monotonic() - begun)
        return CaseResult(case, outcome)

    def _outcome(self, row: RegisterRow, shape: Shape, carrier: QtestCarrier) -> CaseOutcome:
        driver, queue = self._driver, self._driver.kind.queue
        stage: Stage = "live" if row.at == "busy" else row.at
        driver.bring_up(shape, stage)
        if row.at in ("live", "busy"):
            self._serve(queue)
        if row.at == "busy":
            driver.submit(queue, self._request())
        if not row.legal and any(_PLACES.match(step) for step in row.steps):
            driver.memory.allow(driver.memory.base, driver.memory.size)
        access = Accessor(carrier.device, carrier.queues, self._submit)
        wrong = access.run(row)
        spinning = self._settle()
        trespass = self._trespass()
        if row.at == "ready":
            carrier.driver_ok()
        alive = row.at in ("ready", "live") and self._life(queue) == "queue"
        trespass = trespass or self._trespass()
        life = "queue" if alive else self._after_reset("nothing")
        effect: Effect = "wrong-data" if wrong else "served" if alive else "swallowed"
        # A device that was reset on purpose, or not brought up, has nothing to serve before that.
        if not wrong and life == "reset" and (row.legal or row.at in ("driver", "features-ok")):
            effect, life = "served", "queue"
        return CaseOutcome(effect, life, spinning, trespass, wrong)

    def _submit(self) -> None:
        self._driver.submit(self._driver.kind.queue, self._request(), kick=False)

    def _settle(self) -> bool:
        """Wait until the device does nothing any more; return whether a thread spins on."""
        deadline = time.monotonic() + 0.1
        while time.monotonic() < deadline:
            if self._driver.carrier.quiet():
                return False
        return self._peer is not None and self._peer.activity.spins()
