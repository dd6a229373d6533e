# SPDX-License-Identifier: GPL-2.0-only
"""Shards of one plan, run on machines that know nothing of each other, put together."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pykit.errors import UsageError
from pykit.families.planfile import PlanFile
from pykit.families.record import Record, read_journal
from pykit.families.results import MatrixView, write_results
from pykit.families.results.view import JOURNAL, PLAN, load
from pykit.paths import write_atomically


@dataclass(frozen=True)
class Merged:
    """What came of it.

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
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UsageError(f"{to} exists and is not an empty directory: name another with --to")
    plan = _one_plan(directories)
    found: dict[str, tuple[Record, Path]] = {}
    twice = []
    for directory in directories:
        # Reading it as a matrix finds cells that are not its own.
        load(directory)
        for record in read_journal(directory / JOURNAL):
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
            shutil.copytree(capture, to / record.capture)
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


def _require_same(one: Record, where: Path, other: Record, there: Path) -> None:
    if (one.status, one.outcome) != (other.status, other.outcome):
        told = f"{one.status}, {one.outcome} and {other.status}, {other.outcome}"
    else:
        first = {rule.id: rule.verdict for rule in one.rules}
        second = {rule.id: rule.verdict for rule in other.rules}
        differs = [name for name in first | second if first.get(name) != second.get(name)]
        if not differs:
            return
        name = differs[0]
        told = f"{name} {first.get(name, 'absent')} and {second.get(name, 'absent')}"
    raise UsageError(
        f"cell {one.cell} is in {where} and {there} with different verdicts ({told}): "
        "run it again alone, and merge without the directory that is wrong"
    )


def _capture(record: Record, directory: Path) -> Path | None:
    """Where a record's capture is, if it is there still."""
    if record.capture is None:
        return None
    path = (directory / record.capture).resolve()
    if not path.is_relative_to(directory.resolve()) or path == directory.resolve():
        raise UsageError(f"{directory / JOURNAL}: {record.cell}: its capture is outside")
    return path if path.is_dir() else None
