# SPDX-License-Identifier: GPL-2.0-only
"""Run the cells of a plan on workers; no result is lost and no cell is run twice."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from pykit.errors import UsageError
from pykit.matrix.execute.batch import GuestBatch
from pykit.matrix.execute.display import Display
from pykit.matrix.execute.journal import Journal
from pykit.matrix.execute.local import Local, workers
from pykit.matrix.execute.prepare import Say, prepare
from pykit.matrix.execute.runnable import not_run, runnable
from pykit.matrix.execute.spool import Spool
from pykit.matrix.plan.cell import MatrixCell
from pykit.matrix.plan.shard import shard as part_of
from pykit.matrix.record import CellRecord
from pykit.matrix.results import MatrixView, write_results

#: Seconds between two looks at the spool.
_LOOK_S = 0.2
#: A cell is given up after so many workers died while they ran it.
_TRIES = 2


class Executor(Protocol):
    """Where batches are run: concurrent.futures' submit, for one kind of work."""

    @property
    def workers(self) -> int:
        """How many batches run at a time."""
        ...

    def submit(self, batch: GuestBatch) -> Future[None]:
        """Run it; the records of its cells arrive in the spool."""
        ...

    def close(self) -> None:
        """End all running batches."""
        ...


def run(
    cells: Sequence[MatrixCell],
    directory: Path,
    *,
    shard: tuple[int, int] | None = None,
    isolate: bool = False,
    keep: bool = False,
    scheduler: str | None = None,
    count: int | None = None,
    say: Say,
    display: Display,
) -> MatrixView:
    """Run the unfinished cells (or those of a shard), and write the results.

    ``directory`` is new, or an interrupted matrix of the same cells, which is resumed.

    Raises:
        UsageError: a directory of something else, cells whose values do not go together.
        KeyboardInterrupt: passed on; what was finished is in the journal.
    """
    mine = part_of(cells, *shard) if shard else cells
    entries = [runnable(cell) for cell in mine]
    with Journal(directory, cells, shard) as journal, contextlib.ExitStack() as stack:
        spool = Spool(directory)
        _take(spool, journal, display)
        left = [entry for entry in entries if entry.cell.name not in journal.records]
        display.begin(len(entries), journal.records.values())
        if left:
            executor = _executor(directory, scheduler, count)
            stack.callback(executor.close)
            prepared = prepare(left, workers=executor.workers, isolate=isolate, keep=keep, say=say)
            for record in prepared.records:
                _add(record, journal, display)
            _work_off(prepared.batches, executor, spool, journal, display)
        spool.close()
        display.end()
        return write_results(directory)


def _executor(directory: Path, scheduler: str | None, count: int | None) -> Executor:
    if scheduler is None:
        return Local(directory, count or workers())
    try:
        from pykit.matrix.execute.dask import Dask
    except ImportError as error:
        raise UsageError("--scheduler needs Dask: pip install 'virtio-pykit[dask]'") from error
    return Dask(directory, scheduler)


def _work_off(
    batches: Sequence[GuestBatch],
    executor: Executor,
    spool: Spool,
    journal: Journal,
    display: Display,
) -> None:
    """Until every cell of every batch has its record."""
    pending = {executor.submit(batch): batch for batch in batches}
    while pending:
        ended, _ = wait(pending, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
        _take(spool, journal, display)
        for future in ended:
            batch = pending.pop(future)
            for rest in _rest(batch, future.exception(), spool, journal, display):
                pending[executor.submit(rest)] = rest
        display.show(spool.running())


def _rest(
    batch: GuestBatch,
    error: BaseException | None,
    spool: Spool,
    journal: Journal,
    display: Display,
) -> list[GuestBatch]:
    """The unfinished cells of a batch that ended, each as a batch: its worker died."""
    left = [entry for entry in batch.cells if entry.cell.name not in journal.records]
    tries = {entry.cell: entry.times for entry in spool.running()}
    again = []
    died = isinstance(error, BrokenProcessPool)
    for entry in left:
        # A cell alone that failed before it began would do so for ever: it cannot be sent.
        begun = died or entry.cell.name in tries or len(batch.cells) > 1
        if error is not None and not begun:
            _add(not_run(entry, "error", f"no worker could begin it: {error}"), journal, display)
            continue
        if tries.get(entry.cell.name, 0) < _TRIES:
            again.append(replace(batch, cells=(entry,)))
            continue
        reason = "died" if died else f"failed: {error}"
        words = f"the worker {reason} {_TRIES} times while it ran this cell"
        _add(not_run(entry, "error", words), journal, display)
        spool.taken(entry.cell.name)
    return again


def _take(spool: Spool, journal: Journal, display: Display) -> None:
    for record in list(spool.finished()):
        _add(record, journal, display)
        spool.taken(record.cell)


def _add(record: CellRecord, journal: Journal, display: Display) -> None:
    if record.cell not in journal.records:
        journal.add(record)
        display.finished(record)
