# SPDX-License-Identifier: GPL-2.0-only
"""Run a batch of cells, judge each, and report it as soon as it is done."""

from __future__ import annotations

import contextlib
import datetime
import os
import shlex
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

from pykit.errors import PykitError
from pykit.guests import Outcome
from pykit.guests.bundle import Bundle
from pykit.guests.channel import GuestEndedError
from pykit.matrix.execute.judged import judge
from pykit.matrix.execute.own_guest import run_in_own_guest
from pykit.matrix.execute.rundir import FIRMWARE, GuestOrigin, about_cell, write_run_json
from pykit.matrix.execute.runnable import RunnableCell, not_run
from pykit.matrix.metrics import metrics
from pykit.matrix.record import (
    CLEAN_BUILD,
    CellRecord,
    Ended,
    MutantResult,
    RuleResult,
    RuleVerdict,
)
from pykit.mutants import rules_for
from pykit.qemu import program
from pykit.qemu.keeper import Keeper
from pykit.run.shared import SharedGuest

#: Outcomes that prove nothing about a cell, and how many guests of its own it gets.
_LOST, _TRIES = ("qemu-died", "never-booted"), 3


@dataclass(frozen=True)
class GuestBatch:
    """Cells whose guests are alike, and what such a guest is booted with.

    Attributes:
        bundle: boots a guest that the cells share; None where each cell boots its own, from the
            kernel and the modules that the worker's machine has or gets.
        isolate: each gets a guest of its own, of the bundle.
        keep: run directories are kept of cells that held, too.
        pace: how much slower than others the kernel is.
    """

    bundle: Bundle | None
    cells: tuple[RunnableCell, ...]
    isolate: bool = False
    keep: bool = False
    origin: GuestOrigin = FIRMWARE
    pace: int = 1


class Exchange(Protocol):
    """Where a batch reports its cells, and which of them were done before."""

    def done(self) -> set[str]:
        """Names of cells that are finished."""
        ...

    def begin(self, cell: str) -> None:
        """A cell is begun."""
        ...

    def finish(self, record: CellRecord, run: Path | None) -> None:
        """A cell is finished; ``run`` is its run directory where that is to be kept."""
        ...


def run_batch(batch: GuestBatch, exchange: Exchange) -> None:
    """Run a batch's cells, except those that are finished.

    A cell that does not hold in a shared guest is repeated in a guest of its own, and the second
    result counts; but not that of a mutant or a faulty back-end, which seldom ends well. A guest
    that was lost (killed, never booted) proves nothing about its cell: the cell is tried again some
    times.
    """
    done = exchange.done()
    waiting = [entry for entry in batch.cells if entry.cell.name not in done]
    alone: list[RunnableCell] = []
    if batch.isolate or batch.bundle is None or len(waiting) == 1:
        waiting, alone = alone, waiting
    while waiting:
        finished = 0
        for entry, record, run in _in_one_guest(batch, waiting, exchange):
            finished += 1
            if record.status == "held" or (record.mutant and record.outcome not in _LOST):
                exchange.finish(record, _kept(batch, record, run))
            else:
                alone.append(entry)
        waiting = waiting[finished:]
    for entry in alone:
        _alone(batch, entry, exchange)


def _alone(batch: GuestBatch, entry: RunnableCell, exchange: Exchange) -> None:
    """Run a cell in a guest of its own, and in another one where that was lost."""
    for left in reversed(range(_TRIES)):
        for _, record, run in _in_one_guest(batch, [entry], exchange):
            if not left or record.outcome not in _LOST:
                mine = replace(record, alone=len(batch.cells) > 1)
                exchange.finish(mine, _kept(batch, record, run))
                return


def _kept(batch: GuestBatch, record: CellRecord, run: Path | None) -> Path | None:
    """The run directory of a cell that keeps it. Its guest is still there."""
    return run if run and (batch.keep or record.status != "held") else None


Finished = tuple[RunnableCell, CellRecord, Path | None]


def _in_one_guest(
    batch: GuestBatch, cells: Sequence[RunnableCell], exchange: Exchange
) -> Iterator[Finished]:
    """Run cells until none is left or the guest is not sound; at least one is done."""
    begun = _BegunRun(cells[0], batch)
    exchange.begin(cells[0].cell.name)
    try:
        if batch.bundle is None:
            yield from _booted_for(begun)
            return
        with contextlib.ExitStack() as stack:
            try:
                guest = stack.enter_context(
                    SharedGuest(batch.bundle, [entry.scenario for entry in cells])
                )
            except GuestEndedError as ended:
                yield cells[0], begun.ended(ended.kind, ended.message), None
                return
            for number, entry in enumerate(cells):
                if number:
                    exchange.begin(entry.cell.name)
                begun = _BegunRun(entry, batch)
                out = guest.folder / "runs" / str(number)
                outcome = guest.run(entry.scenario, out, entry.faults)
                yield entry, begun.judged(outcome, out), out
                if not guest.sound:
                    return
    except PykitError as error:
        yield begun.entry, begun.ended("not-run", str(error)), None


def _booted_for(begun: _BegunRun) -> Iterator[Finished]:
    """Run one cell as `pykit run` does."""
    # Whatever ends this process, the keeper removes the folder.
    with Keeper() as keeper:
        out = keeper.folder / "run"
        outcome, begun.origin = run_in_own_guest(begun.entry, out)
        yield begun.entry, begun.judged(outcome, out), out


class _BegunRun:
    """A cell that was begun, until there is a record of it."""

    def __init__(self, entry: RunnableCell, batch: GuestBatch) -> None:
        self.entry = entry
        self.origin = batch.origin
        self._keep = batch.keep
        self._started = time.time()
        self._clock = time.monotonic()

    def ended(self, kind: Ended, message: str) -> CellRecord:
        """The record of a guest that left nothing to judge, or was never there."""
        return _sealed(self._record(kind, message))

    def judged(self, outcome: Outcome, out: Path) -> CellRecord:
        """Judge the capture in ``out``, and complete the run directory where it is kept."""
        self._describe(outcome, out)
        try:
            found = judge(out / "capture")
        except PykitError as error:
            if outcome.kind != "clean":
                return self.ended(outcome.kind, outcome.message)
            return self.ended("workload-failed", f"the capture cannot be judged: {error}")
        if found.ended(outcome) != outcome:
            outcome = found.ended(outcome)
            self._describe(outcome, out)
        rules = tuple(
            RuleResult(
                entry.rule.id,
                cast("RuleVerdict", entry.verdict),
                entry.checked,
                entry.violations,
                entry.message,
                _place(entry.evidence),
            )
            for entry in found.verdicts.rules
        )
        record = self._record(outcome.kind, outcome.message)
        if record.mutant is not None:
            mutant = record.mutant._replace(reached=outcome.reached)
            record = replace(record, mutant=mutant)
        record = _sealed(
            replace(
                record,
                qemu=outcome.qemu,
                rules=rules,
                events=found.events.base.height,
                lost=found.events.lost,
                unlooked=found.verdicts.unlooked,
                metrics=metrics(found.events),
            )
        )
        if self._keep or record.status != "held":
            found.write(out)
        return record

    def _describe(self, outcome: Outcome, out: Path) -> None:
        write_run_json(
            out,
            about_cell(self.entry, self.origin),
            command=shlex.split(self.entry.cell.command),
            outcome=outcome,
            started=self._started,
        )

    def _record(self, kind: Ended, message: str) -> CellRecord:
        expected = self.entry.expected
        started = datetime.datetime.fromtimestamp(self._started, datetime.UTC)
        qemu = ""
        with contextlib.suppress(PykitError), program.using(self.entry.qemu):
            qemu = program.version(self.entry.scenario.transport.arch)
        return replace(
            not_run(self.entry, "error", message),
            outcome=kind,
            expected=tuple(name for fault in expected for name in fault.rules),
            either=tuple(name for fault in expected for name in fault.either),
            release=self.origin.release,
            qemu=qemu,
            started=started.isoformat(timespec="milliseconds"),
            seconds=round(time.monotonic() - self._clock, 3),
            worker=f"{socket.gethostname()}:{os.getpid()}",
            build=CLEAN_BUILD if self.entry.strict else "",
            mutant=_mutant(self.entry),
        )


def _mutant(entry: RunnableCell) -> MutantResult | None:
    if entry.back_end is not None:
        return MutantResult(entry.back_end.name, "device", (), None)
    if entry.mutant is None:
        return None
    return MutantResult(entry.mutant.name, entry.mutant.side, rules_for(entry.mutant.may), None)


def _sealed(record: CellRecord) -> CellRecord:
    return replace(record, status=record.implied)


def _place(evidence: Sequence[Mapping[str, Any]]) -> str:
    """Where the first event of a violation was."""
    first = evidence[0] if evidence else {}
    names = {"dev": "device", "life": "life", "vq": "queue", "seq": "seq"}
    return " ".join(f"{word} {first[name]}" for name, word in names.items() if name in first)
