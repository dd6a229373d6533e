# SPDX-License-Identifier: GPL-2.0-only
"""One model of a matrix for all its reports, each of which only lays it out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Literal, NamedTuple, assert_never, get_args

from pykit.errors import Exit, UsageError
from pykit.matrix.plan.planfile import PlanFile, PlannedCell
from pykit.matrix.plan.shard import shard
from pykit.matrix.record import CellRecord, RuleResult, Status, read_journal
from pykit.text import shown

PLAN = "plan.json"
JOURNAL = "journal.jsonl"

#: The status of a cell of the plan; missing: the journal has no line of it.
CellStatus = Status | Literal["missing"]
#: In the order in which a reader wants them.
STATUSES: tuple[CellStatus, ...] = (
    "failed",
    "error",
    "missing",
    "inconclusive",
    "impossible",
    "held",
)
assert set(STATUSES) == {*get_args(Status), "missing"}

#: A rule's verdict in the light of what the cell is for. A deliberate fault makes a failure
#: expected; a rule that should have failed for it and did not is silent.
Judged = Literal["pass", "fail", "expected", "silent", "waived", "inconclusive", "not-applicable"]


class Judgement(NamedTuple):
    """A rule in a cell."""

    rule: RuleResult
    judged: Judged


@dataclass(frozen=True)
class CellView:
    """A cell of the plan and its result; all text is safe to show.

    Attributes:
        why: one line: what failed, what was lost, why it could not be run.
        rules: all that the record has, and those that a fault names and it has not.
        record: None where the cell is missing.
    """

    planned: PlannedCell
    status: CellStatus
    why: str
    rules: tuple[Judgement, ...]
    record: CellRecord | None

    @property
    def name(self) -> str:
        """Return the cell's name."""
        return self.planned.name

    def having(self, *judged: Judged) -> list[RuleResult]:
        """Rules so judged."""
        return [entry.rule for entry in self.rules if entry.judged in judged]

    @property
    def looked(self) -> list[Judgement]:
        """Rules that had something to look at. The others are counted, and listed nowhere but
        in the dataset: there are a hundred of them in every cell."""
        return [entry for entry in self.rules if entry.judged != "not-applicable"]


@dataclass(frozen=True)
class StrictBuild:
    """All modules of a kernel, built with W=1 C=1: CLEAN_BUILD, or the first complaint."""

    kernel: str
    message: str


@dataclass(frozen=True)
class MatrixView:
    """A matrix directory.

    Attributes:
        cells: those of its shard, in the plan's order.
    """

    plan: PlanFile
    cells: tuple[CellView, ...]

    @property
    def counts(self) -> dict[CellStatus, int]:
        """Cells by status; every status is there."""
        return {status: sum(c.status == status for c in self.cells) for status in STATUSES}

    @property
    def records(self) -> list[CellRecord]:
        """Return the records of all cells that have one."""
        return [cell.record for cell in self.cells if cell.record is not None]

    @property
    def builds(self) -> list[StrictBuild]:
        """Strict builds, one a kernel, of cells that require them."""
        found = {
            cell.record.axes.get("kernel", "default"): shown(cell.record.build)
            for cell in self.cells
            if cell.record is not None and cell.record.build
        }
        return [StrictBuild(kernel, message) for kernel, message in found.items()]

    @property
    def axes(self) -> dict[str, list[str]]:
        """Values of each axis in the plan's order, over all cells that have it."""
        found: dict[str, dict[str, None]] = {}
        for cell in self.cells:
            for name, value in cell.planned.axes.items():
                found.setdefault(name, {})[value] = None
        return {name: list(values) for name, values in found.items()}

    def matrices(self) -> Iterator[tuple[str, list[CellView]]]:
        """Families in alphabetical order, each with its cells in the plan's."""
        cells = sorted(self.cells, key=lambda cell: cell.planned.matrix)
        for matrix, members in groupby(cells, key=lambda cell: cell.planned.matrix):
            yield matrix, list(members)

    @property
    def exit_code(self) -> Exit:
        """0 only if every cell that is possible held, of which there are some."""
        counts = self.counts
        if counts["failed"]:
            return Exit.FAILED
        if counts["error"] or counts["missing"]:
            return Exit.INFRA
        if counts["inconclusive"] or not counts["held"]:
            return Exit.SKIP
        return Exit.OK


def load(directory: Path) -> MatrixView:
    """Read a matrix directory.

    Raises UsageError where it is none, or where its journal has cells that are not its own.
    """
    plan = PlanFile.read(directory / PLAN)
    return view_of(plan, read_journal(directory / JOURNAL), str(directory / JOURNAL))


def view_of(
    plan: PlanFile, records: Iterable[CellRecord], where: str = "the journal"
) -> MatrixView:
    """Put plan and records together."""
    by_name = {record.cell: record for record in records}
    own = plan.cells if plan.shard is None else shard(plan.cells, *plan.shard)
    foreign = by_name.keys() - {cell.name for cell in own}
    if foreign:
        part = "" if plan.shard is None else f", shard {plan.shard[0]}/{plan.shard[1]},"
        raise UsageError(f"{where}: cell {min(foreign)} is none of the plan{part} beside it")
    for cell in own:
        record = by_name.get(cell.name)
        if record is not None and _identity(record) != _identity(cell):
            raise UsageError(
                f"{where}: cell {cell.name} has another scenario, axes or tags than in the plan"
            )
    return MatrixView(plan, tuple(_cell(cell, by_name.get(cell.name)) for cell in own))


def _identity(cell: PlannedCell | CellRecord) -> tuple[object, ...]:
    return cell.matrix, cell.scenario, cell.axes, cell.tags


def _cell(planned: PlannedCell, record: CellRecord | None) -> CellView:
    if record is None:
        return CellView(planned, "missing", "it was not run", (), None)
    safe = _safe(record)
    return CellView(planned, record.status, _why(safe), tuple(_judge(safe)), safe)


def _judge(record: CellRecord) -> Iterator[Judgement]:
    silent = set(record.silent)
    failing = {rule.id for rule in record.failing}
    for rule in record.rules:
        yield Judgement(rule, _judged(rule, failing, silent))
    for name in silent - {rule.id for rule in record.rules}:
        yield Judgement(RuleResult(name, "not-applicable", 0, 0, "it was not judged"), "silent")


def _judged(rule: RuleResult, failing: set[str], silent: set[str]) -> Judged:
    match rule.verdict:
        case "fail":
            return "fail" if rule.id in failing else "expected"
        case "inconclusive":
            # A fault may have to make it fail: undecided is not the same as silent.
            return "inconclusive"
        case "pass" | "waived" | "not-applicable":
            return "silent" if rule.id in silent else rule.verdict
        case _:
            assert_never(rule.verdict)


def _why(record: CellRecord) -> str:
    parts = []
    if record.failing:
        parts.append(f"rules failed: {', '.join(rule.id for rule in record.failing)}")
    if record.status == "failed" and record.silent:
        parts.append(f"rules should have failed and did not: {', '.join(record.silent)}")
    if record.outcome != "clean" or not parts:
        parts.append(f"{record.outcome}: {record.message}" if record.message else record.outcome)
    if record.lost:
        parts.append(f"{record.lost} events lost")
    if record.rules and not any(rule.verdict in ("pass", "fail") for rule in record.rules):
        parts.append("nothing was judged")
    return "; ".join(parts)


def _safe(record: CellRecord) -> CellRecord:
    """The record, with text that a guest can influence escaped."""
    return replace(
        record,
        message=shown(record.message),
        command=shown(record.command),
        rules=tuple(
            rule._replace(message=shown(rule.message), where=shown(rule.where))
            for rule in record.rules
        ),
    )
