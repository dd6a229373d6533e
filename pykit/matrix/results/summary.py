# SPDX-License-Identifier: GPL-2.0-only
"""matrix.json: the results of a matrix in short, for programs."""

from __future__ import annotations

import json
from typing import Any

from pykit import __version__
from pykit.matrix.results.view import CellView, MatrixView

SCHEMA = 2


def summary(view: MatrixView) -> dict[str, Any]:
    """Its contents."""
    records = view.records
    return {
        "schema": SCHEMA,
        "pykit": __version__,
        "plan": view.plan.plan,
        "shard": view.plan.shard,
        "complete": not view.counts["missing"],
        "exit_code": int(view.exit_code),
        "summary": view.counts,
        "started": min((record.started for record in records), default=None),
        "guest_seconds": round(sum(record.seconds for record in records), 3),
        "events": {
            "total": sum(record.events for record in records),
            "lost": sum(record.lost for record in records),
        },
        "builds": [vars(build) for build in view.builds],
        "axes": view.axes,
        "cells": [_cell(cell) for cell in view.cells],
    }


def render(view: MatrixView) -> str:
    """The whole file."""
    return json.dumps(summary(view), indent=1) + "\n"


def _cell(cell: CellView) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": cell.name,
        "axes": cell.planned.axes,
        "status": cell.status,
        "why": cell.why,
    }
    if cell.record is None:
        return entry
    return entry | {
        "outcome": cell.record.outcome,
        "failed": [rule.id for rule in cell.having("fail")],
        "silent": [rule.id for rule in cell.having("silent")],
        "waived": [rule.id for rule in cell.having("waived")],
        "checked": sum(rule.checked for rule in cell.record.rules),
        "seconds": cell.record.seconds,
        "alone": cell.record.alone,
        "command": cell.record.command,
        "capture": cell.record.capture,
    }
