# SPDX-License-Identifier: GPL-2.0-only
"""What runs, matrices and drives came to: names of what failed and of what held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pykit.errors import Exit, UsageError
from pykit.files import parse_json, read_regular
from pykit.guests.outcome import EXIT_CODES
from pykit.matrix.results.view import PLAN, CellView, MatrixView, load

#: What stands before the end of a guest, and before what came of a conforming request.
OUTCOME, REQUEST, SILENT = "outcome: ", "request: ", "silent: "


#: Ends of a guest that are failures.
BAD_ENDS = frozenset(f"{OUTCOME}{kind}" for kind, code in EXIT_CODES.items() if code == Exit.FAILED)


@dataclass(frozen=True)
class Examined:
    """One run, one cell, or one device that was driven.

    Attributes:
        where: its name in a baseline.
        failed: messages of what failed, by name.
        held: names of what was checked and held.
        otherwise: the exit code where all that failed is left aside.
    """

    where: str
    otherwise: Exit
    failed: Mapping[str, str] = field(default_factory=dict)
    held: frozenset[str] = frozenset()


def of_run(
    verdicts: Mapping[str, Any], outcome: tuple[str, str], directory: Path | None
) -> Examined:
    """Return what a run came to, by verdicts.json and the kind and message of its outcome.

    The run's name in a baseline is its scenario's, by run.json in its directory.
    """
    where = "capture"
    for path in (directory / "run.json", directory.parent / "run.json") if directory else ():
        if path.exists():
            where = str(_json(path).get("scenario") or where)
            break
    kind, message = outcome
    rules = verdicts["rules"]
    failed = {rule["id"]: rule["message"] for rule in rules if rule["verdict"] == "fail"}
    held = {rule["id"] for rule in rules if rule["verdict"] == "pass"}
    code = next((code for known, code in EXIT_CODES.items() if known == kind), Exit.OK)
    if code == Exit.FAILED:
        failed[f"{OUTCOME}{kind}"] = message
    elif code == Exit.OK:
        held |= BAD_ENDS
    if code in (Exit.OK, Exit.FAILED):
        lacks = verdicts["events"]["lost"] or verdicts["unlooked"] or not (held | failed.keys())
        code = Exit.SKIP if lacks else Exit.OK
    return Examined(where, code, failed, frozenset(held))


def of_every(result: Mapping[str, Any], directory: Path) -> tuple[Examined, ...]:
    """Return what a drive of all of QEMU's devices came to, one each."""
    found = []
    for one in result["devices"]:
        where = f"drive {one['device']}"
        if one["failure"]:
            found.append(Examined(where, Exit.INFRA))
        elif "run" in one:
            verdicts = _json(directory / one["device"] / "verdicts.json")
            found.append(_driven(where, one["run"], verdicts))
    return tuple(found)


def _driven(where: str, result: Mapping[str, Any], verdicts: Mapping[str, Any]) -> Examined:
    failed = {rule["id"]: rule["message"] for rule in result["failed-rules"]}
    failed |= {f"{REQUEST}{one['what']}": one["shape"] for one in result["deviations"]}
    held = set()
    for case in result["cases"]:
        if "class" not in case:
            continue
        if case["class"] in case["right"]:
            held.add(case["case"])
        else:
            failed[case["case"]] = f"{case['class']} (right: {', '.join(case['right'])})"
    if result["requests"] and not result["deviations"]:
        held.add(REQUEST)
    held |= {rule["id"] for rule in verdicts["rules"] if rule["verdict"] == "pass"}
    code = Exit.OK if result["requests"] or result["classes"] else Exit.SKIP
    return Examined(where, code, failed, frozenset(held))


def of_matrix(view: MatrixView) -> tuple[Examined, ...]:
    """Return what each cell of a matrix came to."""
    return tuple(map(_of_cell, view.cells))


def _of_cell(cell: CellView) -> Examined:
    codes = {"error": Exit.INFRA, "missing": Exit.INFRA, "inconclusive": Exit.SKIP}
    code = codes.get(cell.status, Exit.OK)
    if cell.record is None or cell.status not in ("held", "failed"):
        return Examined(cell.name, code)
    failed = {rule.id: rule.message for rule in cell.having("fail")}
    failed |= {f"{SILENT}{rule.id}": rule.message for rule in cell.having("silent")}
    held = {rule.id for rule in cell.having("pass")}
    end = f"{OUTCOME}{cell.record.outcome}"
    if end in BAD_ENDS and cell.status == "failed":
        failed[end] = cell.record.message
    elif end not in BAD_ENDS:
        held |= BAD_ENDS
    if cell.status == "failed" and not failed:
        failed[OUTCOME.strip()] = cell.why
    return Examined(cell.name, code, failed, frozenset(held))


def of_directory(directory: Path) -> tuple[Examined, ...]:
    """Return what the directory of a run, a matrix or a drive has; raises UsageError for others."""
    if (directory / PLAN).exists():
        return of_matrix(load(directory))
    if (directory / "drive.json").exists():
        driven = _json(directory / "drive.json")
        if "devices" in driven:
            return of_every(driven, directory)
        verdicts = _json(directory / "verdicts.json")
        return (_driven(f"drive {driven['device']}", driven, verdicts),)
    if (directory / "verdicts.json").exists():
        run = _json(directory / "run.json")
        ended = run.get("outcome") or {}
        outcome = ended.get("kind", "recorded"), ended.get("message", "")
        return (of_run(_json(directory / "verdicts.json"), outcome, directory),)
    raise UsageError(
        f"{directory}: no run, matrix or drive: name a directory that one of them wrote"
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        data = parse_json(read_regular(path))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise UsageError(f"{path}: not a JSON object: run it again")
    return data
