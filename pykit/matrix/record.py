# SPDX-License-Identifier: GPL-2.0-only
"""The result of one cell of a matrix: a line of its journal."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple, assert_never

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from pykit import spec
from pykit.errors import Exit, UsageError
from pykit.guests.outcome import EXIT_CODES, Kind
from pykit.matrix.plan.cell import DRIVER_FAULT, NONE, PEER
from pykit.matrix.plan.names import is_cell_name, slug
from pykit.text import shown

#: The result of a cell as a whole.
#:
#: * held: the guest ended well, the expected rules failed, no others but consequences of what the
#:   cell does on purpose, and something passed;
#: * failed: a rule failed that should not, one that should did not, or the guest ended badly;
#: * inconclusive: events were lost, or nothing was judged;
#: * impossible: the kernel lacks what the cell needs;
#: * error: infrastructure, nothing is known of driver or device.
Status = Literal["held", "failed", "inconclusive", "impossible", "error"]
RuleVerdict = Literal["pass", "fail", "waived", "inconclusive", "not-applicable"]
#: How the guest ended.
Ended = Kind | Literal["not-run"]
#: `build` of a cell whose modules compiled without complaints.
CLEAN_BUILD = "clean"
Count = Annotated[int, Field(ge=0, lt=2**63)]


class RuleResult(NamedTuple):
    """The verdict of one rule in one cell."""

    #: The rule's id, of pykit.spec.rules().
    id: str
    verdict: RuleVerdict
    #: How many things were decided either way.
    checked: Count
    #: How many of them were wrong.
    violations: Count
    message: str
    #: Where its first evidence is, such as "device 0 life 0 queue 1 seq 12"; empty without any.
    where: str = ""


class MutantResult(NamedTuple):
    """A cell that ran a deliberate fault of the kernel's own code, or of `pykit device`."""

    name: str
    #: The faulty side: failures of its rules are consequences of the fault.
    side: Literal["driver", "device"]
    #: Ids of rules of the other side that may fail as well.
    may: tuple[str, ...]
    #: How often its place was executed; None where the guest could not report it.
    reached: Count | None


@dataclass(frozen=True, kw_only=True)
class CellRecord:
    """A cell that is finished.

    Attributes:
        cell: its name, matrix/cell; one of its plan's.
        axes: the value on each axis.
        command: a `pykit run …` that repeats it.
        message: one line on the guest's end, or on why there was none.
        expected: ids of rules that a deliberate fault must make fail; empty without a fault.
        either: of these one or more have to fail as well, where there are any.
        release: of the kernel; empty where none was booted.
        started: ISO 8601, UTC.
        alone: repeated in a guest of its own, after it had failed in a shared one.
        events: in the table.
        lost: events that are known not to be in it.
        unlooked: core rules that checked nothing, a line each.
        metrics: numbers to compare between matrices, such as latency_us_p50.
        capture: its run directory relative to the matrix directory: cells/SLUG, or None.
        mutant: the fault of the kernel's own code or of `pykit device`; None without one, and for
            the control.
        build: for a cell that requires a strict build: CLEAN_BUILD, or the first complaint.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False
    )

    cell: str
    matrix: str
    scenario: str
    command: str
    outcome: Ended
    message: str
    status: Status
    release: str
    qemu: str
    started: str
    seconds: float
    worker: str
    axes: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()
    either: tuple[str, ...] = ()
    alone: bool = False
    rules: tuple[RuleResult, ...] = ()
    events: Count = 0
    lost: Count = 0
    unlooked: tuple[str, ...] = ()
    metrics: dict[str, float] = field(default_factory=dict)
    capture: str | None = None
    build: str = ""
    mutant: MutantResult | None = None

    @property
    def failing(self) -> tuple[RuleResult, ...]:
        """Rules that failed though nothing deliberate explains it."""
        wanted = {*self.expected, *self.either}
        return tuple(
            r
            for r in self.rules
            if r.verdict == "fail" and r.id not in wanted and not self._follows(r.id)
        )

    def _follows(self, rule: str) -> bool:
        """Whether a rule's failure is a consequence of what the cell does on purpose."""
        if PEER in self.axes:
            # `pykit drive` also does what no driver should.
            return _sides()[rule] == "driver"
        if self.mutant is None:
            # What a driver's bug breaks may be looked at by several rules of its side.
            return self.axes.get(DRIVER_FAULT, NONE) != NONE and _sides()[rule] == "driver"
        return _sides()[rule] in (self.mutant.side, "both") or rule in self.mutant.may

    @property
    def silent(self) -> tuple[str, ...]:
        """Ids of rules that should have failed and did not; all of `either` where none did."""
        failed = {rule.id for rule in self.rules if rule.verdict == "fail"}
        missing = tuple(name for name in self.expected if name not in failed)
        return missing if failed & {*self.either} else (*missing, *self.either)

    @property
    def implied(self) -> Status:
        """The status that the guest and the rules imply, which is never "impossible"."""
        code = Exit.INFRA if self.outcome == "not-run" else EXIT_CODES[self.outcome]
        if code == Exit.INFRA:
            return "error"
        if self.mutant is not None:
            return self._of_mutant(self.mutant)
        if code == Exit.FAILED or self.failing:
            return "failed"
        if code == Exit.SKIP or self.lost:
            return "inconclusive"
        if self.silent:
            return "failed"
        # A deliberate fault may end a run early.
        if self.unlooked and not (self.expected or self.either):
            return "inconclusive"
        return "held" if any(rule.verdict == "pass" for rule in self.rules) else "inconclusive"

    def _of_mutant(self, mutant: MutantResult) -> Status:
        """Return the status of a mutant's cell: its guest may end in any way."""
        if self.failing or (self.silent and mutant.reached != 0):
            return "failed"
        return "inconclusive" if mutant.reached == 0 or self.silent else "held"

    @property
    def contradicts(self) -> bool:
        """Whether its status says that something held or failed, and its rules do not, or hides
        a failure."""
        match self.status:
            case "held":
                return self.implied != "held"
            case "failed":
                return self.implied in ("held", "inconclusive")
            case "inconclusive" | "impossible" | "error":
                return self.implied == "failed"
            case _:
                assert_never(self.status)

    @property
    def fault(self) -> str | None:
        """Why no runner can have written the record; None where one can."""
        if not is_cell_name(self.cell):
            return "a cell is called matrix/cell, of letters, digits and . _ + -"
        if self.capture not in (None, f"cells/{slug(self.cell)}"):
            return f"its capture can only be cells/{slug(self.cell)}"
        seen = set()
        for rule in self.rules:
            if rule.id not in _sides():
                return f"unknown rule {shown(rule.id)}: was it written by a newer pykit?"
            if rule.id in seen:
                return f"rule {rule.id} has two verdicts"
            seen.add(rule.id)
            if rule.verdict == "pass" and (rule.violations or not rule.checked):
                return (
                    f"rule {rule.id} passed with {rule.checked} checked and "
                    f"{rule.violations} violations"
                )
        return None

    def to_json(self) -> str:
        """One line without its newline, to be written as UTF-8.

        Half of a surrogate pair, which is no text and no JSON, becomes a question mark.
        """
        data = {**vars(self), "rules": [rule._asdict() for rule in self.rules]}
        data["mutant"] = self.mutant._asdict() if self.mutant else None
        line = json.dumps(data, allow_nan=False, ensure_ascii=False)
        return line.encode("utf-8", "replace").decode()

    @classmethod
    def from_json(cls, line: str | bytes, where: str = "a journal's line") -> CellRecord:
        """Read a line of a journal, or a worker's record; neither is trusted.

        Raises UsageError, naming ``where`` and the fault, for a line that is no record, for a
        capture elsewhere than in the cell's own folder, and for a status or a verdict that the
        rest of the record contradicts.
        """
        try:
            record = _RECORD.validate_json(line)
        except ValidationError as error:
            raise UsageError(f"{where}: {first_error(error)}") from None
        if fault := record.fault:
            raise UsageError(f"{where}: cell {shown(record.cell)}: {fault}")
        if record.contradicts:
            raise UsageError(
                f"{where}: cell {record.cell} is said to be {record.status}, and its guest and "
                f"its rules come to {record.implied}"
            )
        return record


@functools.cache
def _sides() -> dict[str, str]:
    """All rules with their sides."""
    return {rule.id: rule.side for rule in spec.rules()}


_RECORD: TypeAdapter[CellRecord] = TypeAdapter(CellRecord)


def read_journal(path: Path) -> tuple[CellRecord, ...]:
    """The records of a journal in the order in which the cells ended.

    A last line without its newline is what a runner was writing as it was killed: that cell
    is not finished. Raises UsageError for a line that is no record, a cell that is there
    twice, or a file that is not there.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        raise UsageError(f"{path.parent} is no matrix directory: it has no {path.name}") from None
    records: dict[str, CellRecord] = {}
    for number, line in enumerate(lines[:-1], 1):
        record = CellRecord.from_json(line, f"{path}:{number}")
        if record.cell in records:
            raise UsageError(f"{path}:{number}: cell {record.cell} is there a second time")
        records[record.cell] = record
    return tuple(records.values())


def first_error(error: ValidationError) -> str:
    """The first thing that pydantic found wrong, and where in the data."""
    first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]
