# SPDX-License-Identifier: GPL-2.0-only
"""What all cases have in common: confirm what is serious, and find out what is left working."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from pykit.drive.carriers import PeerGoneError
from pykit.drive.driver import Shape
from pykit.drive.lives import DYING, DrivenDevice
from pykit.drive.outcome import BY_TIME, SERIOUS, CaseOutcome, Effect, Life
from pykit.drive.peer import Death
from pykit.drive.requests import DriverRequest
from pykit.drive.rows import AnyCase
from pykit.spec import bits
from pykit.vhost_user import SilentPeerError

#: How often a serious class has to come again, each time in a new process.
CONFIRMATIONS = 3
#: How long a device may take for a chain that it may also ignore, in seconds.
MALFORMED = 1.0
#: Descriptors that a good request has at most.
_LEAST = 4


C = TypeVar("C", bound=AnyCase)


@dataclass(frozen=True)
class CaseResult:
    """A case with its outcome.

    Attributes:
        outcome: None where the device lacks what the case needs.
        skipped: why there is none.
        confirmed: how often a serious class came again, of how many new runs.
    """

    case: AnyCase
    outcome: CaseOutcome | None
    skipped: str = ""
    confirmed: tuple[int, int] = (0, 0)

    @property
    def right(self) -> bool:
        """Whether the class is one of those that are right."""
        return self.outcome is None or self.outcome.verdict in self.case.row.accepted


class CaseRunner(ABC, Generic[C]):
    """Lives of one device, one case after the other.

    Args:
        device: driver and process.
    """

    def __init__(self, device: DrivenDevice) -> None:
        self._device = device
        self._driver, self._peer = device.driver, device.peer
        self._number, self._confirming = 0, False
        #: Of the life that the next case may use; None where it needs a new one.
        self._shape: Shape | None = None

    @abstractmethod
    def _once(self, case: C) -> CaseResult:
        """Run a case one time."""

    def run(self, cases: Iterable[C]) -> Iterator[CaseResult]:
        """Run cases in turn; confirm what is serious in new processes."""
        for case in cases:
            result = self.once(case)
            if result.outcome is not None and result.outcome.verdict in SERIOUS:
                result = self._confirm(case, result)
            yield result

    def anew(self, case: C) -> CaseResult:
        """Run a case one time, in a new process where it is ours."""
        self._restart()
        return self.once(case)

    def once(self, case: C) -> CaseResult:
        """Run a case one time, with what the process logs meanwhile."""
        before = self._device.logged
        result = self._once(case)
        if result.outcome is None:
            return result
        outcome = replace(result.outcome, logged=self._device.logged - before)
        return replace(result, outcome=outcome)

    def _confirm(self, case: C, result: CaseResult) -> CaseResult:
        assert result.outcome is not None
        again, self._confirming = 0, True
        for _ in range(CONFIRMATIONS):
            self._restart()
            other = self.once(case).outcome
            again += other is not None and other.verdict == result.outcome.verdict
        self._confirming = False
        self._restart()
        if not again and result.outcome.verdict in BY_TIME:
            why = f"{result.outcome.verdict} once and in no new process: run it on a quiet machine"
            return CaseResult(case, None, skipped=why)
        return CaseResult(case, result.outcome, confirmed=(again, CONFIRMATIONS))

    def _restart(self) -> None:
        self._shape = None
        self._device.restart()

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

    def _aftermath(self, effect: Effect, queue: int, detail: str) -> CaseOutcome:
        """Find out what a case that had this effect on a queue has left working."""
        spinning, trespass = False, self._trespass()
        if effect == "swallowed" and self._peer is not None and not self._peer.activity.polls:
            activity = self._peer.activity
            rests = self._driver.carrier.quiet() and activity.sample().sleeping
            spinning = not rests and activity.spins()
        try:
            life = self._life(queue)
        except PeerGoneError as error:
            ended = self._ended(str(error))
            return CaseOutcome(ended.effect, ended.life, spinning, trespass, ended.detail)
        trespass = trespass or self._trespass()
        if spinning and self._confirming:
            # It is known what works then, and to find out takes until no answer has come.
            life = self._restarted()
        elif life != "queue":
            life = self._after_reset(life)
        return CaseOutcome(effect, life, spinning, trespass, detail)

    def _life(self, queue: int) -> Life:
        """Find out whether the queue serves a good request, or another queue does."""
        driver = self._driver
        others = [q for q in driver.kind.alike if q != queue and q in driver.rings]
        for number, life in ((queue, "queue"), *((q, "other-queue") for q in others)):
            ring = driver.rings[number]
            # A queue of size 1 has room for a table alone.
            table = ring.size < _LEAST and driver.features >> bits.INDIRECT_DESC & 1 == 1
            if ring.free < (1 if table else _LEAST):
                continue
            done = driver.serve(number, self._request(), table, patience=MALFORMED)
            if done is not None and done.served == "served":
                return "queue" if life == "queue" else "other-queue"
        return "nothing"

    def _after_reset(self, life: Life) -> Life:
        """Reset the device where a queue is dead; say what works then."""
        if life == "other-queue":
            self._shape = None
            return life
        return "reset" if self._revives() else self._restarted()

    def _revives(self, gone: bool = False) -> bool:
        """Whether the device serves after a reset, or else on a new connection.

        Args:
            gone: the device has ended the connection itself.
        """
        shape = self._driver.shape
        self._shape = None
        for _ in range(2):
            try:
                self._driver.bring_up(shape)
                self._serve(self._driver.kind.queue)
            except SilentPeerError:
                self._driver.carrier.stop()
                return False
            except PeerGoneError:
                self._driver.carrier.stop()
                # Some end when their front-end leaves, which is no fault.
                if not gone and self._peer is not None and self._peer.death(DYING) == Death(0):
                    self._restart()
            else:
                self._shape = shape
                return True
        return False

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
        if self._revives(gone=True):
            return CaseOutcome("closed", "reset", trespass=trespass, detail=why)
        death = self._peer.death(DYING) if self._peer is not None else None
        if self._peer is None or death is None:
            return CaseOutcome("closed", self._restarted(), trespass=trespass, detail=why)
        line = self._peer.last_line
        effect: Effect = "signal" if death.signal else "exited"
        self._restart()
        return CaseOutcome(effect, "restart", trespass=trespass, detail=f"{death}: {line}")
