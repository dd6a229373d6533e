# SPDX-License-Identifier: GPL-2.0-only
"""Merge the shards of one plan, which were run on machines independent of each other."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pykit.errors import UsageError
from pykit.matrix.plan.planfile import PlanFile
from pykit.matrix.record import CellRecord, read_journal
from pykit.matrix.results import MatrixView, write_results
from pykit.matrix.results.view import JOURNAL, PLAN, load
from pykit.paths import require_empty, write_atomically
from pykit.trace import changed_files


@dataclass(frozen=True)
class Merged:
    """A merged matrix.

    Attributes:
        twice: cells that more than one directory had, with the same verdicts.
        missing: cells of the plan that none had.
    """

    view: MatrixView
    twice: tuple[str, ...]
    missing: tuple[str, ...]


def merge(directories: Sequence[Path], to: Path) -> Merged:
    """Put matrix directories together into a new one, and write all results anew.

    Captures that were kept are copied. A cell that is in several directories counts once.

    Raises UsageError where the plans differ, where a cell has different verdicts in two
    directories, or where ``to`` is there already; nothing is written then.
    """
    require_empty(to)
    plan = _one_plan(directories)
    found: dict[str, tuple[CellRecord, Path]] = {}
    twice = []
    for directory in directories:
        # Reading it as a matrix finds cells that are not its own.
        load(directory)
        records = read_journal(directory / JOURNAL)
        most = max((len(record.rules) for record in records), default=0)
        for record in records:
            _require_complete(record, most, directory)
            if record.cell not in found:
                found[record.cell] = (record, directory)
                continue
            _require_same(*found[record.cell], record, directory)
            twice.append(record.cell)
    captures = [(record, _capture(record, where)) for record, where in found.values()]
    order = {cell.name: number for number, cell in enumerate(plan.cells)}
    captures.sort(key=lambda entry: order[entry[0].cell])
    to.mkdir(parents=True, exist_ok=True)
    for record, capture in captures:
        if capture is not None and record.capture is not None:
            _copy(capture, to / record.capture)
    write_atomically(to / PLAN, replace(plan, shard=None).to_json().encode())
    journal = "".join(f"{record.to_json()}\n" for record, _ in captures)
    write_atomically(to / JOURNAL, journal.encode())
    view = write_results(to)
    missing = tuple(cell.name for cell in view.cells if cell.status == "missing")
    return Merged(view, tuple(dict.fromkeys(twice)), missing)


def _one_plan(directories: Sequence[Path]) -> PlanFile:
    if not directories:
        raise UsageError("say which matrix directories to merge")
    resolved = [directory.resolve() for directory in directories]
    if len({*resolved}) < len(resolved):
        raise UsageError("a directory is named twice")
    plans = [PlanFile.read(directory / PLAN) for directory in directories]
    for plan, directory in zip(plans, directories, strict=True):
        if plan.plan != plans[0].plan:
            mine, other = {c.name for c in plan.cells}, {c.name for c in plans[0].cells}
            odd = min(mine ^ other, default="")
            why = f"only one has {odd}" if odd else "the same names, and other axes or tags"
            raise UsageError(
                f"{directory} and {directories[0]} are of different plans ({why}): "
                "run all shards with the same pykit and the same arguments"
            )
    return plans[0]


def _require_same(one: CellRecord, where: Path, other: CellRecord, there: Path) -> None:
    if (one.status, one.outcome) != (other.status, other.outcome):
        difference = f"{one.status}, {one.outcome} and {other.status}, {other.outcome}"
    else:
        first = {rule.id: rule.verdict for rule in one.rules}
        second = {rule.id: rule.verdict for rule in other.rules}
        differs = [name for name in first | second if first.get(name) != second.get(name)]
        if not differs:
            return
        name = differs[0]
        difference = f"{name} {first.get(name, 'absent')} and {second.get(name, 'absent')}"
    raise UsageError(
        f"cell {one.cell} is in {where} and {there} with different verdicts ({difference}): "
        "run it again alone, and merge without the directory that is wrong"
    )


def _require_complete(record: CellRecord, most: int, directory: Path) -> None:
    """Refuse a record with fewer rules than others of its journal: each run judges all rules."""
    if record.rules and len(record.rules) < most:
        raise UsageError(
            f"{directory / JOURNAL}: cell {record.cell} has verdicts of {len(record.rules)} rules, "
            f"and others of {most}: run it again"
        )


def _capture(record: CellRecord, directory: Path) -> Path | None:
    """The folder of a record's capture, if it is there still.

    Raises UsageError where it has anything but folders and regular files: a link would publish
    a file from elsewhere, and reading a FIFO waits for ever. The same where its files are not
    those of the run, which the record's verdicts are about.
    """
    if record.capture is None:
        return None
    path = directory / record.capture  # from_json() made sure that it is cells/SLUG
    for folder in (path.parent, path):
        if not os.path.lexists(folder):
            return None
        if folder.is_symlink() or not folder.is_dir():
            raise UsageError(f"{folder} is no folder: remove it")
    for folder in path.rglob("*"):
        mode = folder.lstat().st_mode
        if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
            raise UsageError(f"{folder} is neither a folder nor a regular file: remove it")
    capture = path / "capture"
    if (capture / "capture.json").exists() and (changed := changed_files(capture)):
        raise UsageError(f"{capture}: {changed[0]}: run the cell again, or remove {path}")
    return path


def _copy(capture: Path, to: Path) -> None:
    """Copy folders and regular files; a link that was made meanwhile is copied as a link."""
    shutil.copytree(capture, to, symlinks=True)
