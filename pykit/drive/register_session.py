# SPDX-License-Identifier: GPL-2.0-only
"""Run cases of registers against one device."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from pykit.drive.access import Accessor, RegisterCase, RegisterRow, lacking
from pykit.drive.carriers import PeerGoneError
from pykit.drive.carriers.qtest import QtestCarrier
from pykit.drive.driver import Shape, Stage
from pykit.drive.driver_steps import DriverSteps
from pykit.drive.features import mask
from pykit.drive.host import HostAction, act
from pykit.drive.memory import CANARIES
from pykit.drive.outcome import CaseOutcome, Effect
from pykit.drive.runner import CaseResult, CaseRunner
from pykit.errors import UsageError
from pykit.spec import bits

#: How long an interrupt may come after its used buffer, in seconds.
_LATE = 0.5
#: What decides where a device writes: after such a write any place may be right.
_PLACES = re.compile(
    r"(write queue_(desc|driver|device|pfn|size|enable)|poke (registers|vectors|window|msi))"
)


class RegisterSession(CaseRunner[RegisterCase]):
    """Runs cases of registers, each in a life of its own."""

    def _once(self, case: RegisterCase) -> CaseResult:
        begun = time.monotonic()
        carrier = self._driver.carrier
        if not isinstance(carrier, QtestCarrier):
            return CaseResult(case, None, skipped=f"not made through {carrier.name}")
        self._number += 1
        shape = Shape(
            canary=CANARIES[self._number % len(CANARIES)],
            more=mask(case.row.accept),
            fewer=mask(case.row.refuse),
        )
        try:
            self._device.begin(shape)
            if reason := self._lacking(case.row, carrier):
                return CaseResult(case, None, skipped=reason)
            outcome = self._outcome(case.row, shape, carrier)
        except UsageError as error:
            return CaseResult(case, None, skipped=str(error))
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
            if any("interrupts " in step for step in row.steps):
                # That of the request above is none of the row's.
                driver.listen(queue, _LATE)
        if row.at == "busy":
            driver.submit(queue, self._request())
        if not row.legal and any(_PLACES.match(step) for step in row.steps):
            driver.memory.allow(driver.memory.base, driver.memory.size)
        steps = DriverSteps(driver, carrier, self._request, shape)
        actions = {**steps.actions, "host": self._host}
        access = Accessor(lambda: carrier.device, steps.numbers, actions)
        wrong = access.run(row)
        spinning = self._settle()
        trespass = self._trespass()
        if row.at == "ready":
            # What the steps have made of the status stays.
            carrier.device.set_status(carrier.device.status() | bits.DRIVER_OK)
        alive = row.at in ("ready", "live") and self._life(queue) == "queue"
        trespass = trespass or self._trespass()
        life = "queue" if alive else self._after_reset("nothing")
        effect: Effect = "wrong-data" if wrong else "served" if alive else "swallowed"
        # A device that was reset on purpose, or not brought up, has nothing to serve before that.
        if not wrong and life == "reset" and (row.legal or row.at in ("driver", "features-ok")):
            effect, life = "served", "queue"
        return CaseOutcome(effect, life, spinning, trespass, wrong)

    def _host(self, words: Mapping[str, str]) -> str:
        """Let something happen at the host's side."""
        return "" if act(self._device, cast("HostAction", words["how"])) else "QEMU refuses"

    def _lacking(self, row: RegisterRow, carrier: QtestCarrier) -> str:
        """Why a row cannot be run; empty where it can."""
        kind = self._driver.kind
        if row.device not in ("", kind.name):
            return f"not for {kind.name}"
        others = [queue for queue in kind.alike if queue != kind.queue and queue < carrier.queues]
        if not others and any(step.endswith(" other") or " other " in step for step in row.steps):
            return "the device has no other queue that takes requests"
        return lacking(row, carrier.device)

    def _settle(self) -> bool:
        """Wait until the device does nothing any more; return whether a thread spins on."""
        deadline = time.monotonic() + 0.1
        while time.monotonic() < deadline:
            if self._driver.carrier.quiet():
                return False
        return self._peer is not None and self._peer.activity.spins()
