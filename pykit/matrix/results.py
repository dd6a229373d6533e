# SPDX-License-Identifier: GPL-2.0-only
"""What became of a plan: one JSON file, and the same as a table."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from pykit import __version__
from pykit.errors import Exit
from pykit.matrix.jobs import Done
from pykit.matrix.plan import Cell, Plan
from pykit.spec.engine import VERDICTS

SCHEMA = 1

#: The outcome where there was no guest.
NOT_RUN = "not run"

#: Exit codes by how bad they are: what was tested failed, then what could not be tested.
_WORST_FIRST = (Exit.FAILED, Exit.INFRA, Exit.USAGE, Exit.SKIP)


@dataclass(frozen=True)
class Built:
    """A kernel's modules, built with W=1 C=1."""

    kernel: str
    exit_code: int
    seconds: float
    #: "clean", or the first complaint or error.
    message: str


@dataclass(frozen=True)
class Result:
    """A cell that was run, or that could not be."""

    cell: Cell
    exit_code: int
    seconds: float
    #: The guest's end, or NOT_RUN.
    outcome: str
    message: str
    #: How many rules have each verdict; empty where nothing could be judged.
    verdicts: dict[str, int]
    #: Rules that failed.
    failed: tuple[str, ...]
    #: The kernel's release, where it came so far.
    release: str
    #: The run directory, below the matrix's own.
    directory: str

    @property
    def impossible(self) -> bool:
        """Whether the kernel has not what the cell needs; the message says what that is."""
        return self.exit_code == Exit.SKIP and self.outcome == NOT_RUN


@dataclass
class Matrix:
    """All that is known so far; written anew after each cell."""

    plan: Plan
    directory: Path
    started: str
    builds: list[Built] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    complete: bool = False

    @property
    def exit_code(self) -> Exit:
        """0 only if every build held, and every cell that is possible, of which there are some."""
        possible = [result for result in self.results if not result.impossible]
        if self.results and not possible:
            return Exit.SKIP
        codes = {built.exit_code for built in self.builds}
        codes |= {result.exit_code for result in possible}
        worst = next((code for code in _WORST_FIRST if code in codes), None)
        return worst or (Exit.OK if codes == {0} else Exit.INFRA)

    def as_json(self) -> dict[str, Any]:
        """matrix.json."""
        return {
            "schema": SCHEMA,
            "pykit": __version__,
            "plan": self.plan.name,
            "started": self.started,
            "complete": self.complete,
            "exit_code": self.exit_code,
            "builds": [asdict(built) for built in self.builds],
            "cells": [
                {
                    "name": result.cell.name,
                    **asdict(result.cell),
                    **{k: v for k, v in asdict(result).items() if k != "cell"},
                    "options": dict(result.cell.options),
                }
                for result in self.results
            ],
        }

    def write(self) -> None:
        """Write matrix.json, whole or not at all."""
        new = self.directory / f".matrix.{os.getpid()}"
        new.write_text(json.dumps(self.as_json(), indent=1) + "\n")
        new.replace(self.directory / "matrix.json")


def read_result(cell: Cell, directory: Path, done: Done) -> Result:
    """What a cell's run left in its directory, and its last words where it left nothing."""
    try:
        run = json.loads((directory / "run.json").read_text())
        outcome, message = run["outcome"]["kind"], run["outcome"]["message"]
        release = run["kernel"]["release"]
    except (OSError, ValueError, KeyError, TypeError):
        outcome, message, release = NOT_RUN, done.last_words, ""
    try:
        judged = json.loads((directory / "verdicts.json").read_text())
        verdicts = {name: int(judged["summary"][name]) for name in VERDICTS}
        failed = tuple(rule["id"] for rule in judged["rules"] if rule["verdict"] == "fail")
    except (OSError, ValueError, KeyError, TypeError):
        verdicts, failed = {}, ()
    return Result(
        cell,
        done.exit_code,
        done.seconds,
        outcome,
        message,
        verdicts,
        failed,
        release,
        directory.name,
    )


def table(matrix: Matrix) -> list[Table]:
    """The builds and the cells, for a terminal."""
    builds = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("kernel", "all modules, W=1 C=1", "s"):
        builds.add_column(column, overflow="fold", justify="right" if column == "s" else "left")
    for built in matrix.builds:
        builds.add_row(built.kernel, _mark(built.exit_code, built.message), f"{built.seconds:.0f}")
    cells = Table(box=None, pad_edge=False, collapse_padding=True, header_style="bold")
    for column in ("kernel", *matrix.plan.heads):
        cells.add_column(column, no_wrap=True)
    cells.add_column("guest", overflow="fold")
    for column in ("pass", "fail", "waived", "open", "n/a", "s"):
        cells.add_column(column, justify="right", no_wrap=True)
    order = ("pass", "fail", "waived", "inconclusive", "not-applicable")
    for result in matrix.results:
        counts = [str(result.verdicts.get(name, "-")) for name in order]
        cells.add_row(
            Path(result.cell.kernel).name,
            result.cell.modules,
            result.cell.attached or "-",
            _mark(result.exit_code, result.outcome),
            *counts,
            f"{result.seconds:.0f}",
        )
    return [builds, cells]


def reasons(matrix: Matrix) -> list[str]:
    """A line for each cell that did not hold, a count, and where everything is."""
    bad = [result for result in matrix.results if result.exit_code != 0]
    lines = []
    for result in bad:
        why = f"rules failed: {', '.join(result.failed)}" if result.failed else result.message
        lines.append(f"{result.cell.name}: {why}")
    held = len(matrix.results) - len(bad)
    impossible = sum(result.impossible for result in bad)
    rest = f", {impossible} are impossible" if impossible else ""
    lines.append(f"{held} of {len(matrix.results)} cells held{rest}")
    lines.append(f"runs: {matrix.directory}")
    return lines


def _mark(exit_code: int, text: str) -> str:
    colour = {Exit.OK: "green", Exit.SKIP: "yellow"}.get(Exit(exit_code), "red")
    return f"[{colour}]{escape(text)}[/]"
