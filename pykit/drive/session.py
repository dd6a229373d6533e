# SPDX-License-Identifier: GPL-2.0-only
"""Run cases against one device, and find out what each of them leaves working."""

from __future__ import annotations

import time
from dataclasses import replace

from pykit.drive.carriers import PeerGoneError
from pykit.drive.cases import Case
from pykit.drive.driver import Completion, Shape
from pykit.drive.features import mask
from pykit.drive.memory import CANARIES
from pykit.drive.outcome import CaseOutcome, Effect
from pykit.drive.runner import MALFORMED, CaseResult, CaseRunner
from pykit.drive.spoil_rings import SPOILS
from pykit.errors import PykitError, UsageError
from pykit.spec import bits

#: Descriptors, and bytes of memory, below which a life is not used for another case.
_ROOM, _BYTES = 8, 16 << 10
_BEFORE, _IN_FLIGHT = 5, 3


class Session(CaseRunner[Case]):
    """Runs cases of chains and rings."""

    def _once(self, case: Case) -> CaseResult:
        begun = time.monotonic()
        shape = Shape(
            packed=case.ring == "packed",
            size=case.size,
            canary=CANARIES[self._number % len(CANARIES)],
            more=mask(case.row.accept),
            fewer=mask(case.row.refuse),
            start=case.row.start,
        )
        self._number += 1
        try:
            self._ready(shape)
        except UsageError as error:
            self._shape = None
            return CaseResult(case, None, skipped=str(error))
        except PykitError as error:
            # The case before left it so.
            self._restart()
            try:
                self._ready(shape)
            except PykitError:
                outcome = CaseOutcome("closed", "nothing", detail=f"not ready: {error}")
                return CaseResult(case, outcome)
        driver = self._driver
        lacks_tables = not driver.features >> bits.INDIRECT_DESC & 1
        if case.table == "indirect" and lacks_tables and "indirect" not in case.row.refuse:
            return CaseResult(case, None, skipped="the device does not offer INDIRECT_DESC")
        size = driver.rings[driver.kind.queue].size
        if size != case.size != case.row.sizes[0]:
            return CaseResult(case, None, skipped="the device does not allow that queue size")
        try:
            outcome = self._outcome(case)
        except UsageError as error:
            self._shape = None
            return CaseResult(case, None, skipped=str(error))
        seconds = time.monotonic() - begun
        return CaseResult(case, CaseOutcome(**{**vars(outcome), "seconds": seconds}))

    def _ready(self, shape: Shape) -> None:
        """Have a life in which the next case can run: the one before, or a new one."""
        if self._shape is not None and self._reusable(shape):
            return
        self._shape = None
        self._device.begin(shape)
        self._shape = shape

    def _reusable(self, shape: Shape) -> bool:
        driver = self._driver
        same = self._shape is not None and (replace(self._shape, canary=shape.canary) == shape)
        return (
            same
            and driver.memory.room >= _BYTES
            and all(not r.outstanding for r in driver.rings.values())
            and all(ring.free >= min(_ROOM, ring.size) for ring in driver.rings.values())
        )

    def _outcome(self, case: Case) -> CaseOutcome:
        queue = self._driver.kind.queue
        try:
            found = self._expose(case)
        except PeerGoneError as error:
            return self._ended(str(error))
        detail = "" if found is None else f"used length {found.entry.length}"
        return self._aftermath(_effect(found, case.row.legal), queue, detail)

    def _expose(self, case: Case) -> Completion | None:
        """Expose the spoilt chain at its moment; return it if it comes back."""
        driver, queue = self._driver, self._driver.kind.queue
        ring = driver.rings[queue]
        if case.when == "later":
            for _ in range(_BEFORE):
                self._serve(queue)
        elif case.when == "at-end":
            # Chains of three reach the last entry within three laps, if they ever do.
            for _ in range(3 * ring.size):
                if ring.to_end < 2:
                    break
                self._serve(queue)
        elif case.when == "in-flight":
            for _ in range(min(_IN_FLIGHT, max((ring.free - 4) // 4, 0))):
                driver.submit(queue, self._request(), kick=False)
        waiting = len(ring.outstanding)
        before = list(ring.outstanding.values())
        request = self._request()
        draft = ring.draft(request.buffers, case.table == "indirect", case.row.ahead)
        for spoil in (case.row.spoil, *case.row.also):
            SPOILS[spoil](draft, ring, case.where)
        if not case.row.legal:
            # Where a malformed chain leads, and what an index that jumped makes available, may be
            # any descriptor that was ever written.
            ring.grant_stale()
            self._shape = None
        driver.expose(queue, draft, request, kick=False)
        ring.kick_needed()
        driver.notify(queue)
        if case.row.then:
            SPOILS[case.row.then](draft, ring, case.where)
            for descriptor in draft.granted():
                driver.memory.allow(descriptor.address, descriptor.length)
            ring.rewrite(draft)
        patience = 5.0 if case.row.legal else MALFORMED
        done = driver.wait(queue, waiting + 1, patience)
        found = next((c for c in done if c.draft is draft), None)
        if found is not None and driver.features >> bits.IN_ORDER & 1:
            drafts = [c.draft for c in done]
            if drafts != [*before, draft]:
                return replace(found, served="wrong-data")
        return found


def _effect(found: Completion | None, legal: bool) -> Effect:
    """What became of the chain, from what came back.

    What a malformed request has to write is not known, so its data cannot be wrong.
    """
    if found is None:
        return "swallowed"
    if found.served in ("served", "error"):
        return found.served
    return "wrong-data" if legal else "returned"
