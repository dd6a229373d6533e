# SPDX-License-Identifier: GPL-2.0-only
"""Collect finished cells, a file each, until the journal has them.

Each file is written whole, so a worker or the runner can be killed at any moment.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pykit.errors import UsageError
from pykit.matrix.plan.names import is_cell_name, slug
from pykit.matrix.record import CellRecord

_FINISHED, _BEGUN = ".json", ".begun"


@dataclass(frozen=True)
class BegunCell:
    """A cell that was begun and is not finished."""

    cell: str
    #: How often.
    times: int
    #: Seconds since the last time.
    seconds: float


class Spool:
    """The folder spool/ of a matrix directory; an Exchange for workers of this machine."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._folder = directory / "spool"
        self._folder.mkdir(parents=True, exist_ok=True)

    def done(self) -> set[str]:
        """Names of cells of which there is a record here."""
        return {record.cell for record in self.finished()}

    def begin(self, cell: str) -> None:
        """A cell is begun, perhaps not for the first time."""
        with self._path(cell, _BEGUN).open("a") as file:
            file.write(f"{cell}\n")

    def finish(self, record: CellRecord, run: Path | None) -> None:
        """A cell is finished; its run directory is moved to cells/ where it is to be kept."""
        if not is_cell_name(record.cell):
            raise UsageError(f"{record.cell!r} cannot name a cell")
        name = slug(record.cell)
        if run is not None and run.is_dir():
            kept = self._directory / "cells" / name
            new = kept.with_name(f".{name}.new")
            for folder in (kept, new):
                shutil.rmtree(folder, ignore_errors=True)
            new.parent.mkdir(exist_ok=True)
            shutil.move(run, new)
            new.replace(kept)
            record = replace(record, capture=f"cells/{name}")
        new = self._path(record.cell, f".new.{os.getpid()}")
        new.write_text(record.to_json())
        new.replace(self._path(record.cell, _FINISHED))

    def finished(self) -> Iterator[CellRecord]:
        """Records that have come in and were not taken."""
        for path in sorted(self._folder.glob(f"*{_FINISHED}")):
            try:
                text = path.read_bytes()
            except FileNotFoundError:
                continue  # taken in between
            yield CellRecord.from_json(text, str(path))

    def taken(self, cell: str) -> None:
        """The journal has it."""
        for suffix in (_FINISHED, _BEGUN):
            self._path(cell, suffix).unlink(missing_ok=True)

    def running(self) -> list[BegunCell]:
        """Cells that were begun, the longest ago first."""
        found = []
        for path in self._folder.glob(f"*{_BEGUN}"):
            try:
                begun = path.read_text().splitlines()
                age = time.time() - path.stat().st_mtime
            except FileNotFoundError:
                continue  # taken in between
            if begun:
                found.append(BegunCell(begun[0], len(begun), age))
        return sorted(found, key=lambda entry: -entry.seconds)

    def close(self) -> None:
        """Remove the folder, and with it the marks of unfinished cells."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, cell: str, suffix: str) -> Path:
        return self._folder / f"{slug(cell)}{suffix}"
