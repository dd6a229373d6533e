# SPDX-License-Identifier: GPL-2.0-only
"""How drivers fare with a faulty device: by the end of each run, not by the rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from pykit.device import FAULTS
from pykit.matrix.plan.cell import BACK_END_FAULT, NONE
from pykit.matrix.record import CellRecord
from pykit.matrix.results.view import CellView, MatrixView

#: What became of a driver and its guest:
#:
#: * contained: all requests came back with the right data, and nothing was reported;
#: * detected: the driver or the core reported an error, failed requests or refused the device;
#: * hung: requests never came back;
#: * wrong-data: a program got data that it had not written, as if they were right;
#: * crashed: the guest's kernel warned, oopsed or panicked.
Reaction = Literal["contained", "detected", "hung", "wrong-data", "crashed"]
REACTIONS: tuple[Reaction, ...] = get_args(Reaction)

_CRASHES = ("splat", "panic")
_HANGS = ("hang", "standstill", "never-booted", "interrupted")
#: What guest/programs/blkio.c reports of a sector.
_WRONG = (
    "not what was written", "not zero after it was zeroed",
    "the buffer of a write was altered", "memory behind a buffer was altered",
)  # fmt: skip


def reaction(record: CellRecord) -> Reaction:
    """Classify the end of a run whose program verifies all data that it reads."""
    if record.outcome in _CRASHES:
        return "crashed"
    if any(words in record.message for words in _WRONG):
        return "wrong-data"
    if record.outcome in _HANGS:
        return "hung"
    return "contained" if record.outcome == "clean" else "detected"


@dataclass(frozen=True)
class ReactionTable:
    """Faults by what was done to them: a kernel, a driver, a ring layout in each column.

    Attributes:
        heads: the columns.
        lines: a fault, what it does, and the cell of each column; None where none was run.
    """

    heads: tuple[str, ...]
    lines: tuple[tuple[str, tuple[tuple[Reaction, CellView] | None, ...]], ...]

    @property
    def counts(self) -> dict[Reaction, int]:
        """How many cells came to each."""
        found = [spot[0] for _, spots in self.lines for spot in spots if spot]
        return {name: found.count(name) for name in REACTIONS}


def reactions(*views: MatrixView) -> ReactionTable:
    """Collect the cells of matrices whose disk is served by a faulty `pykit device`."""
    lines: dict[str, dict[str, tuple[Reaction, CellView]]] = {}
    heads: dict[str, None] = {}
    for cell in (cell for view in views for cell in view.cells):
        axes = cell.planned.axes
        if axes.get(BACK_END_FAULT, NONE) == NONE or cell.record is None:
            continue
        if cell.record.status in ("error", "impossible"):
            continue
        others = (value for axis, value in axes.items() if axis not in (BACK_END_FAULT, "driver"))
        head = " ".join(others)
        heads[head] = None
        lines.setdefault(axes[BACK_END_FAULT], {})[head] = reaction(cell.record), cell
    return ReactionTable(
        tuple(heads),
        tuple((fault, tuple(map(spots.get, heads))) for fault, spots in sorted(lines.items())),
    )


_HEAD = """\
<!-- SPDX-License-Identifier: GPL-2.0-only -->
<!-- Generated: reactions.md of `pykit matrix reactions`. Do not edit. -->
# Reactions

What Linux's virtio_blk does with a disk that is served by `pykit device` with a fault: each cell
is the end of a run whose program verifies all data
([how it is run, and what the words mean](matrices.md#reactions)). No clause says what a driver
does about a broken device. *-*: not run."""


def to_markdown(
    table: ReactionTable, kernels: Iterable[str], others: Mapping[str, Mapping[str, str]]
) -> str:
    """Return reactions.md.

    Args:
        table: of one matrix or of several.
        kernels: releases that ran.
        others: by another driver's name, what it did with each fault.
    """
    counts = ", ".join(f"{count} {name}" for name, count in table.counts.items() if count)
    heads = ("fault", "what the device does", *table.heads, *others)
    lines = [_HEAD, "", f"Kernels {', '.join(kernels)}: {counts}.", ""]
    lines += [f"| {' | '.join(heads)} |", f"| {' | '.join('---' for _ in heads)} |"]
    for fault, spots in table.lines:
        does = FAULTS[fault].does if fault in FAULTS else ""
        words = [spot[0] if spot else "-" for spot in spots]
        words += [fared.get(fault, "-") for fared in others.values()]
        lines.append(f"| `{fault}` | {does} | {' | '.join(words)} |")
    return "\n".join(lines) + "\n"
