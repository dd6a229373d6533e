# SPDX-License-Identifier: GPL-2.0-only
"""Run cases against one device, and find out what each of them leaves working."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pykit.drive.carriers import PeerGoneError
from pykit.drive.cases import Case
from pykit.drive.driver import Completion, Shape
from pykit.drive.lives import DYING, DrivenDevice
from pykit.drive.memory import CANARIES
from pykit.drive.outcome import SERIOUS, CaseOutcome, Effect, Life
from pykit.drive.requests import DriverRequest
from pykit.drive.spoil import SPOILS
from pykit.errors import PykitError, UsageError
from pykit.spec import bits

#: How often a serious class has to come again, each time in a new process.
CONFIRMATIONS = 3
#: How long a device may take for a chain that it may also ignore, in seconds.
_MALFORMED = 1.0
#: Descriptors, and bytes of memory, below which a life is not used for another case.
_ROOM, _BYTES = 8, 16 << 10
_BEFORE, _IN_FLIGHT = 5, 3


@dataclass(frozen=True)
class CaseResult:
    """A case with its outcome.

    Attributes:
        outcome: None where the device lacks what the case needs.
        skipped: why there is none.
        confirmed: how often a serious class came again, of how many new runs.
    """

    case: Case
    outcome: CaseOutcome | None
    skipped: str = ""
    confirmed: tuple[int, int] = (0, 0)

    @property
    def right(self) -> bool:
        """Whether the class is one of those that are right."""
        return self.outcome is None or self.outcome.verdict in self.case.row.accepted


class Session:
    """Lives of one device, one case after the other.

    Args:
        device: driver and process.
    """

    def __init__(self, device: DrivenDevice) -> None:
        self._device = device
        self._driver, self._peer = device.driver, device.peer
        self._number = 0
        self._shape: Shape | None = None

    def run(self, cases: Iterable[Case]) -> Iterator[CaseResult]:
        """Run cases in turn; confirm what is serious in new processes."""
        for case in cases:
            result = self._once(case)
            if result.outcome is not None and result.outcome.verdict in SERIOUS:
                result = self._confirm(result)
            yield result

    def _confirm(self, result: CaseResult) -> CaseResult:
        assert result.outcome is not None
        again = 0
        for _ in range(CONFIRMATIONS):
            self._restart()
            other = self._once(result.case).outcome
            again += other is not None and other.verdict == result.outcome.verdict
        self._restart()
        return CaseResult(result.case, result.outcome, confirmed=(again, CONFIRMATIONS))

    def _once(self, case: Case) -> CaseResult:
        begun = time.monotonic()
        shape = Shape(
            packed=case.ring == "packed",
            size=case.size,
            canary=CANARIES[self._number % len(CANARIES)],
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
        if case.table == "indirect" and not driver.features >> bits.INDIRECT_DESC & 1:
            return CaseResult(case, None, skipped="the device does not offer INDIRECT_DESC")
        size = driver.rings[driver.kind.queue].size
        if size != case.size != case.row.sizes[0]:
            return CaseResult(case, None, skipped="the device does not allow that queue size")
        outcome = self._outcome(case)
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
        same = self._shape is not None and (
            self._shape.packed == shape.packed and self._shape.size == shape.size
        )
        return (
            same
            and driver.memory.room >= _BYTES
            and all(not r.outstanding for r in driver.rings.values())
            and all(ring.free >= min(_ROOM, ring.size) for ring in driver.rings.values())
        )

    def _restart(self) -> None:
        self._shape = None
        self._device.restart()

    def _outcome(self, case: Case) -> CaseOutcome:
        driver, queue = self._driver, self._driver.kind.queue
        spinning = False
        try:
            found = self._expose(case)
        except PeerGoneError as error:
            return self._ended(str(error))
        trespass = self._trespass()
        effect = _effect(found, case.row.legal)
        if effect == "swallowed" and self._peer is not None and not driver.carrier.quiet():
            spinning = self._peer.activity.spins()
        try:
            life = self._life(queue)
        except PeerGoneError as error:
            ended = self._ended(str(error))
            return CaseOutcome(ended.effect, ended.life, spinning, trespass, ended.detail)
        trespass = trespass or self._trespass()
        if life != "queue":
            life = self._after_reset(life)
        detail = "" if found is None else f"used length {found.entry.length}"
        return CaseOutcome(effect, life, spinning, trespass, detail)

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
        request = self._request()
        draft = ring.draft(request.buffers, case.table == "indirect", case.row.ahead)
        SPOILS[case.row.spoil](draft, ring, case.where)
        if not case.row.legal:
            # Where a malformed chain leads, and what an index that jumped makes available, may be
            # any descriptor that was ever written.
            ring.grant_stale()
            self._shape = None
        driver.expose(queue, draft, request, kick=False)
        ring.kick_needed()
        driver.notify(queue)
        patience = 5.0 if case.row.legal else _MALFORMED
        done = driver.wait(queue, waiting + 1, patience)
        return next((c for c in done if c.draft is draft), None)

    def _serve(self, queue: int) -> None:
        """Serve a good request, or fail the case."""
        if self._driver.serve(queue, self._request()) is None:
            raise PeerGoneError("device does not serve a good request")

    def _request(self) -> DriverRequest:
        self._number += 1
        return self._driver.kind.request(self._driver.memory, self._number)

    def _trespass(self) -> str:
        spans = self._driver.memory.trespasses()
        if not spans:
            return ""
        total = sum(span.length for span in spans)
        first = spans[0]
        return f"{total} bytes, the first {first.length} at {first.address:#x}"

    def _life(self, queue: int) -> Life:
        """Find out whether the queue serves a good request, or another queue does."""
        driver = self._driver
        others = [q for q in driver.kind.alike if q != queue and q in driver.rings]
        for number, life in ((queue, "queue"), *((q, "other-queue") for q in others)):
            ring = driver.rings[number]
            if ring.free < 4:
                continue
            done = driver.serve(number, self._request(), patience=_MALFORMED)
            if done is not None and done.served == "served":
                return "queue" if life == "queue" else "other-queue"
        return "nothing"

    def _after_reset(self, life: Life) -> Life:
        """Reset the device where a queue is dead; say what works then."""
        if life == "other-queue":
            self._shape = None
            return life
        return "reset" if self._revives() else self._restarted()

    def _revives(self) -> bool:
        shape = self._driver.shape
        self._shape = None
        try:
            self._driver.bring_up(shape)
            self._serve(self._driver.kind.queue)
        except PeerGoneError:
            return False
        self._shape = shape
        return True

    def _restarted(self) -> Life:
        if self._peer is None:
            return "nothing"
        self._restart()
        return "restart"

    def _ended(self, why: str) -> CaseOutcome:
        """The connection ended: was it the process, and does it take another connection?"""
        trespass = self._trespass()
        self._shape = None
        self._driver.carrier.stop()
        # A connection is made at once by a process that lives; waiting for its death takes longer.
        if self._revives():
            return CaseOutcome("closed", "reset", trespass=trespass, detail=why)
        death = self._peer.death(DYING) if self._peer is not None else None
        if self._peer is None or death is None:
            return CaseOutcome("closed", self._restarted(), trespass=trespass, detail=why)
        line = self._peer.last_line
        effect: Effect = "signal" if death.signal else "exited"
        self._restart()
        return CaseOutcome(effect, "restart", trespass=trespass, detail=f"{death}: {line}")


def _effect(found: Completion | None, legal: bool) -> Effect:
    """What became of the chain, from what came back.

    What a malformed request has to write is not known, so its data cannot be wrong.
    """
    if found is None:
        return "swallowed"
    if found.served in ("served", "error"):
        return found.served
    return "wrong-data" if legal else "returned"
