# SPDX-License-Identifier: GPL-2.0-only
"""Which deliberate faults of a matrix were named by a rule, and which rules no fault breaks."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from pykit import spec
from pykit.errors import Exit
from pykit.guests.outcome import EXIT_CODES
from pykit.matrix.plan.cell import BACK_END_FAULT, MUTANT, NONE, find_mutant
from pykit.matrix.record import CellRecord
from pykit.matrix.results.reactions import reaction
from pykit.matrix.results.view import CellView, MatrixView
from pykit.mutants import rules_for, survivors
from pykit.spec.kills import Kill

#: How a deliberate fault fared:
#:
#: * named: a rule failed that has to fail for it, and none of the other side without reason;
#: * blamed: as named, but a rule of the other side failed as well;
#: * other-rule: only rules of the right side failed that were not expected;
#: * wrong-side: only rules of the other side failed;
#: * survived: its place was executed, and no rule failed, whatever became of the guest;
#: * excused: as survived, and the reason is known (mutants/survivors.toml);
#: * stale: named, though it is listed as a survivor;
#: * unreached: its place was not executed;
#: * clean, false-alarm: of the control, which has no fault;
#: * void: this kernel has no such code; error: it could not be tried.
Fate = Literal[
    "named", "blamed", "other-rule", "wrong-side", "survived", "excused", "stale", "unreached",
    "clean", "false-alarm", "void", "error",
]  # fmt: skip
#: Those that show a gap or an error of the rules.
_BAD: tuple[Fate, ...] = ("blamed", "other-rule", "wrong-side", "survived", "stale", "false-alarm")


class FaultCell(NamedTuple):
    """A cell that has a deliberate fault, or is the control of those that have.

    Attributes:
        source: the axis that chose the fault.
        named: ids of failed rules that have to fail for it.
        also: other failed rules of the faulty side, and of both.
        other: failed rules of the other side.
        reached: how often its place was executed; None where that is not counted.
        reaction: what became of the driver, where `pykit device` had the fault.
        exit: exit code of `pykit run` for the same cell.
        kernel, ring: that it ran on.
    """

    cell: str
    source: str
    fault: str
    side: str
    fate: Fate
    named: tuple[str, ...]
    also: tuple[str, ...]
    other: tuple[str, ...]
    reached: int | None
    outcome: str
    reaction: str
    exit: int
    why: str
    kernel: str
    ring: str

    @property
    def place(self) -> tuple[str, str, str, str]:
        """The fault, and what it ran on, as a list of kills has them."""
        return self.source, self.fault, self.kernel, self.ring


@dataclass(frozen=True)
class FaultTable:
    """All cells with deliberate faults, and their controls."""

    cells: tuple[FaultCell, ...]
    #: Ids of rules that no fault made fail.
    unbroken: tuple[str, ...]

    @classmethod
    def of(cls, view: MatrixView) -> FaultTable:
        """Collect a matrix's."""
        return cls.of_cells(_cells(view))

    @classmethod
    def of_cells(cls, found: Iterable[FaultCell]) -> FaultTable:
        """Collect cells, which need not be of a matrix."""
        cells = tuple(found)
        broken = {rule for cell in cells for rule in (*cell.named, *cell.also)}
        rules = (rule.id for rule in spec.rules() if not rule.id.startswith("XC-"))
        return cls(cells, tuple(sorted(set(rules) - broken)))

    def having(self, *fates: Fate) -> list[FaultCell]:
        """Cells that fared so."""
        return [cell for cell in self.cells if cell.fate in fates]

    @property
    def silent(self) -> list[FaultCell]:
        """Cells whose fault was executed and for which `pykit run` reports success."""
        fates = ("clean", "void", "error", "unreached", "excused")
        return [cell for cell in self.cells if not cell.exit and cell.fate not in fates]

    @property
    def exit_code(self) -> Exit:
        """0 only if each fault that can be named was, and the controls held."""
        if self.having(*_BAD):
            return Exit.FAILED
        if self.having("error"):
            return Exit.INFRA
        return Exit.OK if self.having("named") and not self.having("unreached") else Exit.SKIP

    def kills(self, known: Iterable[Kill] = ()) -> set[Kill]:
        """Return which rules named which fault, in place of what is known of the same cells."""
        tried = {cell.place for cell in self.cells if cell.fate not in ("void", "error")}
        kept = {kill for kill in known if kill[1:] not in tried}
        named = self.having("named")
        return kept | {Kill(rule, *cell.place) for cell in named for rule in cell.named}

    def to_csv(self) -> str:
        """The cells as a table, a line each; several rules in one field are apart by spaces."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(FaultCell._fields)
        for cell in self.cells:
            writer.writerow(" ".join(v) if isinstance(v, tuple) else v for v in cell)
        return text.getvalue()

    def to_json(self) -> dict[str, Any]:
        """The table as plain data."""
        return {
            "exit_code": int(self.exit_code),
            "cells": [cell._asdict() for cell in self.cells],
            "unbroken": list(self.unbroken),
        }


def _cells(view: MatrixView) -> Iterator[FaultCell]:
    sides: dict[str, str] = {rule.id: rule.side for rule in spec.rules()}
    for cell in view.cells:
        found = _fault(cell)
        if found is None:
            continue
        source, fault, side = found
        record = cell.record
        if record is None or record.status in ("impossible", "error"):
            fate: Fate = "void" if record and record.status == "impossible" else "error"
            empty: tuple[str, ...] = ()
            yield FaultCell(
                cell.name, source, fault, side, fate, empty, empty, empty, None,
                record.outcome if record else "not-run", "", Exit.INFRA, cell.why, *_place(cell),
            )  # fmt: skip
            continue
        failed = [rule.id for rule in record.rules if rule.verdict == "fail"]
        wanted = {*record.expected, *record.either} or _wanted(record)
        named = tuple(rule for rule in failed if rule in wanted)
        other = tuple(
            rule for rule in failed if rule not in wanted and sides[rule] not in (side, "both")
        )
        also = tuple(rule for rule in failed if rule not in {*named, *other})
        reached = record.mutant.reached if record.mutant else None
        fate = _fate(record, fault, named, also, other)
        yield FaultCell(
            cell.name, source, fault, side, fate, named, also, other, reached, record.outcome,
            reaction(record) if record.mutant and source == BACK_END_FAULT else "",
            _exit(record), survivors().get(fault, "") if fate == "excused" else cell.why,
            *_place(cell),
        )  # fmt: skip


def _fault(cell: CellView) -> tuple[str, str, str] | None:
    """The axis, the name and the side of a cell's fault; None for a cell of other matrices."""
    axes = cell.planned.axes
    if MUTANT in axes:
        mutant = find_mutant(axes[MUTANT])
        return MUTANT, axes[MUTANT], mutant.side if mutant else ""
    if BACK_END_FAULT in axes:
        return BACK_END_FAULT, axes[BACK_END_FAULT], "device"
    for axis, side in (("driver-fault", "driver"), ("device-fault", "device")):
        if axes.get(axis, NONE) != NONE:
            return axis, axes[axis], side
    return None


def _place(cell: CellView) -> tuple[str, str]:
    """The kernel and the layout of rings of a cell."""
    axes = cell.planned.axes
    return axes.get("kernel", ""), axes.get("ring", "split")


def _wanted(record: CellRecord) -> set[str]:
    """Rules that a listed survivor would be named by."""
    mutant = find_mutant(record.mutant.name) if record.mutant else None
    return set(rules_for(mutant.must)) if mutant else set()


def _fate(
    record: CellRecord,
    fault: str,
    named: tuple[str, ...],
    also: tuple[str, ...],
    other: tuple[str, ...],
) -> Fate:
    if fault == NONE:
        return "clean" if record.status == "held" else "false-alarm"
    if record.mutant and record.mutant.reached == 0:
        return "unreached"
    may = record.mutant.may if record.mutant else ()
    if named:
        if fault in survivors():
            return "stale"
        return "named" if set(other) <= set(may) else "blamed"
    if also:
        return "other-rule"
    if other:
        return "wrong-side"
    allowed = not record.expected and not record.either
    return "excused" if fault in survivors() or allowed else "survived"


def _exit(record: CellRecord) -> int:
    """Return the exit code of `pykit run` for the same cell."""
    verdicts = {rule.verdict for rule in record.rules}
    if "fail" in verdicts:
        return Exit.FAILED
    ended = Exit.INFRA if record.outcome == "not-run" else EXIT_CODES[record.outcome]
    if ended != Exit.OK:
        return ended
    return Exit.SKIP if record.lost or "pass" not in verdicts else Exit.OK
