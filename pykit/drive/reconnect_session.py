# SPDX-License-Identifier: GPL-2.0-only
"""Run cases of reconnection against one back-end."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

from pykit.drive.carriers import PeerGoneError, RefusedError
from pykit.drive.carriers.vhost_user import VhostUserCarrier
from pykit.drive.chain import Draft
from pykit.drive.driver import PATIENCE, Completion, Shape
from pykit.drive.memory import CANARIES
from pykit.drive.outcome import CaseOutcome, Effect
from pykit.drive.reconnect import ReconnectCase, ReconnectRow
from pykit.drive.runner import CaseResult, CaseRunner
from pykit.errors import UsageError
from pykit.vhost_user import Protocol

#: Descriptors of the queue: small, so that rows reach its end.
_SIZE = 16


class ReconnectSession(CaseRunner[ReconnectCase]):
    """Runs cases of reconnection, each in a life of its own."""

    def run(self, cases: Iterable[ReconnectCase]) -> Iterator[CaseResult]:
        """Run cases with the record of chains in flight driven; not so afterwards."""
        carrier = self._driver.carrier
        if isinstance(carrier, VhostUserCarrier):
            carrier.drive_also(Protocol.INFLIGHT_SHMFD)
        try:
            yield from super().run(cases)
        finally:
            if isinstance(carrier, VhostUserCarrier):
                carrier.drive_also()
                carrier.stop()

    def _once(self, case: ReconnectCase) -> CaseResult:
        begun = time.monotonic()
        carrier, row = self._driver.carrier, case.row
        if not isinstance(carrier, VhostUserCarrier):
            return CaseResult(case, None, skipped=f"{carrier.name} has no connections")
        if row.killed and self._peer is None:
            return CaseResult(case, None, skipped="needs a process that pykit has started")
        self._number += 1
        shape = Shape(
            packed=case.ring == "packed", size=_SIZE, canary=CANARIES[self._number % len(CANARIES)]
        )
        try:
            carrier.stop()
            self._device.begin(shape)
            if row.inflight and carrier.record is None:
                return CaseResult(case, None, skipped="the back-end has no INFLIGHT_SHMFD")
            outcome = self._outcome(row, carrier)
        except (UsageError, RefusedError) as error:
            return CaseResult(case, None, skipped=str(error))
        except PeerGoneError as error:
            outcome = self._ended(str(error))
        return CaseResult(case, replace(outcome, seconds=time.monotonic() - begun))

    def _outcome(self, row: ReconnectRow, carrier: VhostUserCarrier) -> CaseOutcome:
        driver, queue = self._driver, self._driver.kind.queue
        for _ in range(row.before):
            self._serve(queue)
        # A device that was not asked to may still look for what is new.
        driver.wait(queue, 1, PATIENCE)
        ring = driver.rings[queue]
        if row.killed:
            drafts = [
                driver.submit(queue, self._request(), kick=False) for _ in range(row.in_flight)
            ]
            driver.notify(queue)
            self._kill()
            returned = [done.draft for done in driver.collect(queue)]
            waiting = [draft for draft in drafts if draft not in returned]
        else:
            waiting = self._leave(row, carrier)
        if not row.legal:
            driver.memory.allow(driver.memory.base, driver.memory.size)
            ring.lenient = True
        try:
            carrier.reconnect()
        except RefusedError as error:
            return self._aftermath("error", queue, str(error))
        # What one has left is taken up by itself, what it never took with a notification.
        driver.notify(queue)
        # One more than may come: until the device is quiet.
        done = driver.wait(queue, len(waiting) + 1, PATIENCE)
        # A record that makes no sense says nothing about what has to come back.
        effect, detail = _effect(waiting, done)
        if row.record:
            effect, detail = "returned", ""
        return self._aftermath(effect, queue, detail)

    def _kill(self) -> None:
        """Kill the process, and start it anew; the connection and its queues stay as they are."""
        assert self._peer is not None
        self._peer.kill()
        self._peer.start()
        self._driver.carrier.attend(self._peer.activity)

    def _leave(self, row: ReconnectRow, carrier: VhostUserCarrier) -> list[Draft]:
        """Leave ring and record as a back-end does that ends; return what it has to serve."""
        driver, queue = self._driver, self._driver.kind.queue
        ring = driver.rings[queue]
        count = row.in_flight + bool(row.last)
        drafts = [driver.submit(queue, self._request(), kick=False) for _ in range(count)]
        if carrier.record is None:
            return drafts
        part = carrier.record.part(ring)
        if part is None:
            raise UsageError("the record of this queue is not where that of the first one is")
        states = [part.take(draft) for draft in drafts]
        if row.last:
            last, state = drafts[-1], states[-1]
            part.begin_return(state, last, ring)
            if row.last != "returning":
                ring.store_used(last)
                drafts.pop()
            if row.last == "done":
                part.end_return(state, ring)
            driver.collect(queue)
        for name, value in row.changes:
            part.set_all(name, value)
        return drafts


def _effect(waiting: list[Draft], done: list[Completion]) -> tuple[Effect, str]:
    """What became of chains that have to come back once each, and of no others."""
    strange = [found.entry.id for found in done if found.draft not in waiting]
    if strange:
        return "wrong-data", f"came back a second time: {strange[0]}"
    if len(done) < len(waiting):
        return "swallowed", f"{len(waiting) - len(done)} of {len(waiting)} never came back"
    wrong = [found.entry.id for found in done if found.served != "served"]
    return ("wrong-data", f"{wrong[0]} was not served") if wrong else ("served", "")
