# SPDX-License-Identifier: GPL-2.0-only
"""Run cases of vhost-user messages against one back-end."""

from __future__ import annotations

import os
import time
from dataclasses import replace

from pykit.drive.carriers import PeerGoneError, RefusedError
from pykit.drive.carriers.vhost_user import VhostUserCarrier
from pykit.drive.driver import Shape, Stage
from pykit.drive.memory import CANARIES
from pykit.drive.messages import MessageCase, MessageRow, MessageSender
from pykit.drive.outcome import CaseOutcome
from pykit.drive.runner import MALFORMED, CaseResult, CaseRunner
from pykit.vhost_user import FrontEndRequest, Protocol, receive, send

#: Messages that decide where a back-end writes: after such a wrong one any place may be right.
_PLACES = (
    "SET_MEM_TABLE",
    "ADD_MEM_REG",
    "REM_MEM_REG",
    "SET_VRING",
    "SET_FEATURES",
    "SET_LOG",
    "SET_INFLIGHT",
)
#: Replies that a row may have left unread.
_REPLIES = 8
_STAGES: dict[str, Stage] = {
    "connected": "driver", "features-ok": "features-ok", "ready": "ready", "live": "live",
}  # fmt: skip


class MessageSession(CaseRunner[MessageCase]):
    """Runs cases of messages, each on a connection of its own."""

    def _once(self, case: MessageCase) -> CaseResult:
        begun = time.monotonic()
        carrier = self._driver.carrier
        if not isinstance(carrier, VhostUserCarrier):
            return CaseResult(case, None, skipped=f"{carrier.name} has no messages")
        self._number += 1
        try:
            carrier.stop()
            carrier.drive_also(*(Protocol[need] for need in case.row.needs))
            shape = Shape(canary=CANARIES[self._number % len(CANARIES)])
            self._device.begin(shape, _STAGES[case.row.at])
            lacking = [need for need in case.row.needs if not carrier.speaks(Protocol[need])]
            if lacking:
                return CaseResult(case, None, skipped=f"the back-end has no {lacking[0]}")
            outcome = self._outcome(case.row, carrier)
        except PeerGoneError as error:
            outcome = self._ended(str(error))
        finally:
            carrier.drive_also()
        return CaseResult(case, replace(outcome, seconds=time.monotonic() - begun))

    def _outcome(self, row: MessageRow, carrier: VhostUserCarrier) -> CaseOutcome:
        driver, queue = self._driver, self._driver.kind.queue
        if row.at == "live":
            self._serve(queue)
        if not row.legal and any(step.startswith(_PLACES) for step in row.steps):
            driver.memory.allow(driver.memory.base, driver.memory.size)
        wrong = MessageSender(carrier, driver.memory.fd, self._symbol).run(row)
        self._settle(carrier)
        alive = self._goes_on(row, carrier) and self._life(queue) == "queue"
        trespass = self._trespass()
        if wrong:
            return CaseOutcome("wrong-data", "queue" if alive else "reset", False, trespass, wrong)
        if alive:
            return CaseOutcome("served", "queue", False, trespass)
        carrier.stop()
        life = self._after_reset("nothing")
        if life == "reset" and row.at in ("connected", "features-ok"):
            return CaseOutcome("served", "queue", False, trespass)
        return CaseOutcome("swallowed", life, False, trespass)

    @staticmethod
    def _settle(carrier: VhostUserCarrier) -> None:
        """Wait until the back-end has seen all messages: it answers the last, after any others."""
        send(carrier.connection, FrontEndRequest.GET_FEATURES, b"", 0)
        for _ in range(_REPLIES):
            reply = receive(carrier.connection)
            for fd in reply.fds:
                os.close(fd)
            if reply.request == FrontEndRequest.GET_FEATURES:
                return
        raise PeerGoneError("device answers by other messages than it was sent")

    def _goes_on(self, row: MessageRow, carrier: VhostUserCarrier) -> bool:
        """Enable the queues where that is what comes next; return whether they should serve."""
        if row.at == "ready":
            try:
                carrier.driver_ok()
            except RefusedError:
                return False
            self._driver.prime(MALFORMED)
        return row.at in ("ready", "live")

    def _symbol(self, name: str) -> int:
        memory, ring = self._driver.memory, self._driver.rings.get(0)
        found = {
            "base": memory.base, "size": memory.size, "user": memory.user_address,
            "features": self._driver.features,
        }  # fmt: skip
        if ring is not None:
            found |= {
                "desc": memory.user(ring.desc), "used": memory.user(ring.device),
                "avail": memory.user(ring.driver), "position": ring.vring_base,
            }  # fmt: skip
        return found.get(name, 0)
