# SPDX-License-Identifier: GPL-2.0-only
"""Cells that share a guest: run one after the other, judged, told of as each is done."""

from __future__ import annotations

import contextlib
import datetime
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

from pykit import report, spec, trace
from pykit.errors import PykitError
from pykit.families.apply import Work, without
from pykit.families.metrics import metrics
from pykit.families.record import Ended, Record, RuleResult, RuleVerdict
from pykit.guests import Outcome
from pykit.guests.bundle import Bundle
from pykit.guests.channel import GuestEndedError
from pykit.qemu import program
from pykit.run.shared import SharedGuest, whole

#: What says nothing of a cell, and how many guests of its own one is given.
_LOST, _TRIES = ("qemu-died", "never-booted"), 3


@dataclass(frozen=True)
class Batch:
    """Cells whose guests are alike, and what such a guest is booted with.

    Attributes:
        isolate: each gets a guest of its own.
        keep: captures are kept of cells that held, too.
    """

    bundle: Bundle
    works: tuple[Work, ...]
    isolate: bool = False
    keep: bool = False


class Exchange(Protocol):
    """Where a batch tells of its cells, and learns of those that were done before."""

    def done(self) -> set[str]:
        """Names of cells that are finished."""
        ...

    def begin(self, cell: str) -> None:
        """A cell is begun."""
        ...

    def finish(self, record: Record, run: Path | None) -> None:
        """A cell is finished; ``run`` is its run directory where that is to be kept."""
        ...


def run_batch(batch: Batch, exchange: Exchange) -> None:
    """Run a batch's cells, those that are finished left out.

    A cell that does not hold in company is repeated in a guest of its own, and what it is then
    is what it is; but for a guest that was lost, of which nothing can be said. Such a one may
    have been killed, and so may the next: the cell is given up after some.
    """
    done = exchange.done()
    waiting = [work for work in batch.works if work.cell.name not in done]
    alone: list[Work] = []
    if batch.isolate or len(waiting) == 1:
        waiting, alone = alone, waiting
    while waiting:
        finished = 0
        for work, record, run in _in_one_guest(batch, waiting, exchange):
            finished += 1
            if record.status == "held":
                exchange.finish(record, _kept(batch, record, run))
            else:
                alone.append(work)
        waiting = waiting[finished:]
    for work in alone:
        _alone(batch, work, exchange)


def _alone(batch: Batch, work: Work, exchange: Exchange) -> None:
    """Run a cell in a guest of its own, and in the next one where that was lost."""
    for left in reversed(range(_TRIES)):
        for _, record, run in _in_one_guest(batch, [work], exchange):
            if not left or record.outcome not in _LOST:
                mine = replace(record, alone=len(batch.works) > 1)
                exchange.finish(mine, _kept(batch, record, run))
                return


def _kept(batch: Batch, record: Record, run: Path | None) -> Path | None:
    """The run directory of a cell that keeps it. Its guest is still there."""
    return whole(run) if run and (batch.keep or record.status != "held") else None


def _in_one_guest(
    batch: Batch, works: Sequence[Work], exchange: Exchange
) -> Iterator[tuple[Work, Record, Path | None]]:
    """Run cells until there are no more or the guest is not sound; at least one is done."""
    begun = _Begun(works[0], batch.bundle.release)
    exchange.begin(works[0].cell.name)
    try:
        with contextlib.ExitStack() as stack:
            try:
                guest = stack.enter_context(
                    SharedGuest(batch.bundle, [work.scenario for work in works])
                )
            except GuestEndedError as ended:
                yield works[0], begun.ended(ended.kind, ended.message), None
                return
            for number, work in enumerate(works):
                if number:
                    exchange.begin(work.cell.name)
                begun = _Begun(work, batch.bundle.release)
                out = guest.folder / "runs" / str(number)
                outcome = guest.run(work.scenario, out, work.faults)
                yield work, begun.judged(outcome, out), out
                if not guest.sound:
                    return
    except PykitError as error:
        yield begun.work, begun.ended("not-run", str(error)), None


class _Begun:
    """A cell that was begun, until there is a record of it."""

    def __init__(self, work: Work, release: str) -> None:
        self.work = work
        self._release = release
        self._started = datetime.datetime.now(datetime.UTC)
        self._clock = time.monotonic()

    def ended(self, kind: Ended, message: str) -> Record:
        """A guest that left nothing to judge, or that there never was."""
        return _sealed(self._record(kind, message))

    def judged(self, outcome: Outcome, out: Path) -> Record:
        """Judge what a guest left; of what did not hold the reports are written beside it."""
        try:
            events = trace.load(out / "capture")
            verdicts = spec.check(events)
        except PykitError as error:
            if outcome.kind != "clean":
                return self.ended(outcome.kind, outcome.message)
            return self.ended("workload-failed", f"the capture cannot be judged: {error}")
        rules = tuple(
            RuleResult(
                entry.rule.id,
                cast("RuleVerdict", entry.verdict),
                entry.checked,
                entry.violations,
                entry.message,
                _place(entry.evidence),
            )
            for entry in verdicts.rules
        )
        record = _sealed(
            replace(
                self._record(outcome.kind, outcome.message),
                rules=rules,
                events=events.base.height,
                lost=events.lost,
                metrics=metrics(events),
            )
        )
        if record.status != "held":
            report.write_all(out, verdicts, events)
        return record

    def _record(self, kind: Ended, message: str) -> Record:
        expected = self.work.expected
        return replace(
            without(self.work, "error", message),
            outcome=kind,
            expected=tuple(name for fault in expected for name in fault.rules),
            either=tuple(name for fault in expected for name in fault.either),
            release=self._release,
            qemu=program.version(),
            started=self._started.isoformat(timespec="milliseconds"),
            seconds=round(time.monotonic() - self._clock, 3),
            worker=f"{socket.gethostname()}:{os.getpid()}",
        )


def _sealed(record: Record) -> Record:
    return replace(record, status=record.implied)


def _place(evidence: Sequence[Mapping[str, Any]]) -> str:
    """Where the first event of a violation was."""
    first = evidence[0] if evidence else {}
    names = {"dev": "device", "life": "life", "vq": "queue", "seq": "seq"}
    return " ".join(f"{word} {first[name]}" for name, word in names.items() if name in first)
