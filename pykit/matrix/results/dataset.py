# SPDX-License-Identifier: GPL-2.0-only
"""verdicts.parquet: a row a rule of a cell, the axes as columns."""

from __future__ import annotations

from typing import Any

import polars as pl

from pykit.matrix.results.view import CellView, Judgement, MatrixView
from pykit.spec import rules

#: A cell with no rules (its guest never came up, it is impossible) has one row, in which the
#: columns from ``rule`` to ``where`` are null.
COLUMNS: dict[str, pl.DataType] = {
    "cell": pl.String(),
    "matrix": pl.String(),
    "scenario": pl.String(),
    "tags": pl.List(pl.String()),
    "status": pl.String(),
    "outcome": pl.String(),
    "release": pl.String(),
    "qemu": pl.String(),
    "started": pl.String(),
    "seconds": pl.Float64(),
    "events": pl.UInt64(),
    "lost": pl.UInt64(),
    "rule": pl.String(),
    "topic": pl.String(),
    "side": pl.String(),
    "strength": pl.String(),
    "verdict": pl.String(),
    "judged": pl.String(),
    "checked": pl.UInt64(),
    "violations": pl.UInt64(),
    "message": pl.String(),
    "where": pl.String(),
}


def columns_of(view: MatrixView) -> dict[str, str]:
    """The column of each axis: its name, or axis_NAME where another column is called so."""
    return {axis: f"axis_{axis}" if axis in COLUMNS else axis for axis in view.axes}


def frame(view: MatrixView) -> pl.DataFrame:
    """All of it. A cell that lacks an axis has null there."""
    axes = columns_of(view)
    known = {rule.id: {"topic": rule.topic, "side": rule.side, "strength": rule.strength}
             for rule in rules()}  # fmt: skip
    rows: list[dict[str, Any]] = []
    for cell in view.cells:
        row = _cell(cell) | {axes[name]: value for name, value in cell.planned.axes.items()}
        rows += [row | known.get(entry.rule.id, {}) | _rule(entry) for entry in cell.rules] or [row]
    schema = COLUMNS | dict.fromkeys(axes.values(), pl.String())
    return pl.DataFrame(rows, schema=schema)


def _cell(cell: CellView) -> dict[str, Any]:
    planned, record = cell.planned, cell.record
    row = {
        "cell": planned.name,
        "matrix": planned.matrix,
        "scenario": planned.scenario,
        "tags": list(planned.tags),
        "status": cell.status,
    }
    if record is None:
        return row
    names = ("outcome", "release", "qemu", "started", "seconds", "events", "lost")
    return row | {name: getattr(record, name) for name in names}


def _rule(entry: Judgement) -> dict[str, Any]:
    rule = entry.rule._asdict()
    return {"rule": rule.pop("id"), "judged": entry.judged, **rule}
