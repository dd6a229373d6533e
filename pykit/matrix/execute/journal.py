# SPDX-License-Identifier: GPL-2.0-only
"""Lock a matrix directory and write its plan and its journal."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from pykit.errors import UsageError
from pykit.matrix.plan.cell import MatrixCell
from pykit.matrix.plan.planfile import PlanFile
from pykit.matrix.record import CellRecord, read_journal


class Journal:
    """Records of finished cells, one line each, on the disk before they are reported.

    Entering the block takes the directory; UsageError where another runner has it, or where it is
    of another plan.
    """

    def __init__(
        self, directory: Path, cells: Sequence[MatrixCell], shard: tuple[int, int] | None
    ) -> None:
        self.directory = directory
        self._plan = PlanFile.of(cells, shard)
        self.records: dict[str, CellRecord] = {}

    def __enter__(self) -> Self:
        if self.directory.exists() and not self.directory.is_dir():
            raise UsageError(f"{self.directory} is no directory: name another with --to")
        self.directory.mkdir(parents=True, exist_ok=True)
        self._lock = (self.directory / ".lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._begin()
        except BlockingIOError:
            self._lock.close()
            raise UsageError(f"{self.directory}: another pykit is running this matrix") from None
        except BaseException:
            self._unlock()
            raise
        return self

    def _begin(self) -> None:
        plan, journal = self.directory / "plan.json", self.directory / "journal.jsonl"
        if plan.exists():
            before = PlanFile.read(plan)
            if (before.plan, before.shard) != (self._plan.plan, self._plan.shard):
                raise UsageError(
                    f"{self.directory} is of other cells: name another directory with --to"
                )
        else:
            if any(path.name != ".lock" for path in self.directory.iterdir()):
                raise UsageError(f"{self.directory} is no matrix directory, and not empty")
            _write(plan, self._plan.to_json())
        if journal.exists():
            self.records = {record.cell: record for record in read_journal(journal)}
        # A last line that a killed runner did not finish is no record.
        self._file = journal.open("ab")
        end = sum(len(line) + 1 for line in journal.read_bytes().split(b"\n")[:-1])
        self._file.truncate(end)

    def add(self, record: CellRecord) -> None:
        """Append the record of a finished cell, once."""
        if record.cell in self.records:
            return
        self._file.write(record.to_json().encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.records[record.cell] = record

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        self._unlock()

    def _unlock(self) -> None:
        (self.directory / ".lock").unlink(missing_ok=True)
        self._lock.close()


def _write(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    with new.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
