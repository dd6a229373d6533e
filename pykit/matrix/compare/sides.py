# SPDX-License-Identifier: GPL-2.0-only
"""Read one side of a comparison: a matrix, or a run as a matrix of one cell."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

from pykit import spec, trace
from pykit.errors import UsageError
from pykit.files import parse_json, read_regular, reason
from pykit.guests.outcome import EXIT_CODES, Kind
from pykit.matrix.metrics import metrics
from pykit.matrix.plan.planfile import PlanFile, PlannedCell
from pykit.matrix.record import CellRecord, RuleResult, RuleVerdict
from pykit.matrix.results.view import PLAN, MatrixView, load, view_of

_AXES = ("transport", "ring", "driver_fault", "device_fault")


def load_side(directory: Path) -> MatrixView:
    """Read a matrix directory or a run directory; UsageError where it is neither."""
    if (directory / PLAN).exists():
        return load(directory)
    if not (directory / "run.json").exists():
        raise UsageError(f"{directory} is no run and no matrix: it has no run.json and no {PLAN}")
    record = record_of_run(directory)
    cell = PlannedCell(
        name=record.cell, matrix=record.matrix, scenario=record.scenario, axes=record.axes
    )
    return view_of(PlanFile.of([cell]), [record])


def record_of_run(directory: Path) -> CellRecord:
    """A run directory as a record; UsageError where its run.json or verdicts.json is broken."""
    run, judged = _json(directory / "run.json"), _json(directory / "verdicts.json")
    try:
        return _record(directory, run, judged)
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise UsageError(f"{directory} is no run of this pykit's: {error!r}") from None


def _record(directory: Path, run: dict[str, Any], judged: dict[str, Any]) -> CellRecord:
    outcome = run["outcome"]["kind"]
    if outcome not in EXIT_CODES:
        raise ValueError(f"unknown outcome {outcome!r}")
    named = {"driver_fault": run.get("fault"), "device_fault": run.get("device_fault")}
    faults = [
        spec.faults(side)[name]
        for side, name in (("driver", named["driver_fault"]), ("device", named["device_fault"]))
        if name
    ]  # fmt: skip
    kernel = run.get("kernel") or {}
    scenario = str(run.get("scenario") or run.get("guest") or run.get("attached") or "guest")
    values = {**run, **named}
    axes = {name: str(values[name]) for name in _AXES if values.get(name)}
    axes |= {"kernel": str(kernel["name"])} if kernel else {}
    axes |= {"driver": " ".join(run["drivers"])} if run.get("drivers") else {}
    record = CellRecord(
        cell=scenario,
        matrix=scenario,
        scenario=scenario,
        axes=axes,
        command=shlex.join(run["command"]),
        outcome=cast(Kind, outcome),
        message=str(run["outcome"]["message"]),
        status="held",
        release=str(kernel.get("release", "")),
        qemu=str(run["qemu"]),
        started=str(run["started"]),
        seconds=float(run["seconds"]),
        worker="",
        expected=tuple(name for fault in faults for name in fault.rules),
        either=tuple(name for fault in faults for name in fault.either),
        rules=tuple(_rule(entry) for entry in judged["rules"]),
        events=int(judged["events"]["total"]),
        lost=int(judged["events"]["lost"]),
        metrics=_metrics(directory / "capture"),
        capture="capture",
    )
    return replace(record, status=record.implied)


def _rule(entry: dict[str, Any]) -> RuleResult:
    if entry["verdict"] not in get_args(RuleVerdict):
        raise ValueError(f"unknown verdict {entry['verdict']!r}")
    return RuleResult(
        str(entry["id"]),
        cast(RuleVerdict, entry["verdict"]),
        int(entry["checked"]),
        int(entry["violations"]),
        str(entry["message"]),
    )


def _metrics(capture: Path) -> dict[str, float]:
    # Without its capture a run is compared by its verdicts alone.
    return metrics(trace.load(capture)) if capture.is_dir() else {}


def _json(path: Path) -> dict[str, Any]:
    try:
        data = parse_json(read_regular(path))
    except FileNotFoundError:
        raise UsageError(f"{path.parent} was not judged: it has no {path.name}") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read: {reason(error)}") from None
    if not isinstance(data, dict):
        raise UsageError(f"{path} is no object")
    return data
