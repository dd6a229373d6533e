# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pykit.errors import UsageError
from pykit.matrix import CellRecord, PlannedCell
from pykit.matrix.compare.diff import Diff, diff

from .conftest import planned, record, rule, write_matrix

ONE = planned("blk/split", ring="split", kernel="debian-6.12")


def compared(
    tmp_path: Path, old: dict[str, Any], new: dict[str, Any], cell: PlannedCell = ONE
) -> Diff:
    """Two matrices of one cell more than is looked at, so that cells are matched by name."""
    other = planned("blk/packed", ring="packed", kernel="debian-6.12")
    for name, changes in (("old", old), ("new", new)):
        changed = record(cell, **changes)
        changed = replace(changed, status=changed.implied)
        entries = {cell.name: changed, other.name: record(other)}
        write_matrix(tmp_path / name, entries, (cell, other))
    return diff(tmp_path / "old", tmp_path / "new")


def reported(found: Diff) -> list[tuple[str, tuple[str, ...], bool]]:
    return [(change.kind, change.rules, change.worse) for change in found.changes]


PASS, FAIL = (rule("SD-DR-01"),), (rule("SD-DR-01"), rule("NA-DR-01", "fail"))
BOTH = (rule("SD-DR-01"), rule("NA-DR-01"))
WAIVED = (rule("SD-DR-01"), rule("NA-DR-01", "waived"))
OPEN = (rule("SD-DR-01"), rule("NA-DR-01", "inconclusive"))
IDLE = (rule("SD-DR-01"), rule("NA-DR-01", "not-applicable"))
NA = ("NA-DR-01",)


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        (BOTH, BOTH, []),
        (FAIL, FAIL, []),
        (BOTH, FAIL, [("new violation", NA, True)]),
        (WAIVED, FAIL, [("new violation", NA, True)]),
        (OPEN, FAIL, [("new violation", NA, True)]),
        (IDLE, FAIL, [("new violation", NA, True)]),
        (PASS, FAIL, [("new violation", NA, True)]),
        (FAIL, BOTH, [("fixed", NA, False)]),
        (WAIVED, BOTH, [("fixed", NA, False)]),
        (FAIL, WAIVED, [("newly waived", NA, False)]),
        (BOTH, WAIVED, [("newly waived", NA, False)]),
        (BOTH, OPEN, [("newly inconclusive", NA, False)]),
        (FAIL, OPEN, [("newly inconclusive", NA, False)]),
        (BOTH, IDLE, [("no longer checked", NA, False)]),
        (BOTH, PASS, [("no longer checked", NA, True)]),
        (OPEN, BOTH, []),
        (IDLE, BOTH, []),
        (PASS, BOTH, []),
        (OPEN, IDLE, []),
    ],
)
def test_what_becomes_of_a_rule(tmp_path: Path, old: Any, new: Any, changes: Any) -> None:
    found = compared(tmp_path, {"rules": old}, {"rules": new})
    assert reported(found) == changes
    assert found.worse == any(worse for _, _, worse in changes)


def test_a_violation_is_told_with_its_place(tmp_path: Path) -> None:
    (change,) = compared(tmp_path, {"rules": BOTH}, {"rules": FAIL}).changes
    assert change.what == "NA-DR-01: NA-DR-01 fail (device 0 life 0 queue 1 seq 12)"


def test_a_fault_that_is_no_longer_found(tmp_path: Path) -> None:
    fault = {"expected": ("NA-DR-01",)}
    found = compared(tmp_path, {"rules": FAIL, **fault}, {"rules": BOTH, **fault})
    assert reported(found) == [("new violation", NA, True)]
    assert "no longer makes it fail" in found.changes[0].what


@pytest.mark.parametrize(
    ("old", "new", "kind", "worse"),
    [
        ({}, {"outcome": "panic"}, "guest", True),
        ({"outcome": "panic"}, {"outcome": "hang"}, "guest", False),
        ({"outcome": "panic"}, {}, "guest", False),
        ({}, {"outcome": "never-booted", "rules": ()}, "guest", True),
        (
            {"outcome": "never-booted", "rules": ()},
            {"outcome": "panic", "rules": ()},
            "guest",
            True,
        ),
        ({"rules": FAIL}, {"rules": FAIL, "outcome": "panic"}, "guest", True),
        ({}, {"lost": 3}, "cell", True),
        ({"lost": 3}, {}, "cell", False),
        ({}, {"outcome": "not-run", "rules": ()}, "cell", True),
    ],
)
def test_what_becomes_of_a_guest_and_a_cell(
    tmp_path: Path, old: Any, new: Any, kind: str, worse: bool
) -> None:
    found = compared(tmp_path, old, new)
    assert reported(found) == [(kind, (), worse)]
    assert found.worse == worse


def test_a_cell_that_is_impossible_there_is_told_and_not_worse(tmp_path: Path) -> None:
    gone = record(ONE, outcome="not-run", status="impossible", rules=(), metrics={})
    write_matrix(tmp_path / "old", {ONE.name: record(ONE)}, (ONE,))
    write_matrix(tmp_path / "new", {ONE.name: gone}, (ONE,))
    found = diff(tmp_path / "old", tmp_path / "new")
    assert reported(found) == [("cell", (), False)]


def test_a_cell_of_which_less_is_known_is_worse(tmp_path: Path) -> None:
    lost = (rule("SD-DR-01", "inconclusive"), rule("NA-DR-01", "inconclusive"))
    found = compared(tmp_path, {"rules": FAIL}, {"rules": lost, "lost": 3})
    assert reported(found) == [
        ("newly inconclusive", ("SD-DR-01",), True),
        ("newly inconclusive", NA, False),
    ]


def test_cells_that_come_and_go(tmp_path: Path) -> None:
    one, two, three = (planned(f"blk/{n}", queues=n) for n in "123")
    write_matrix(tmp_path / "old", {c.name: record(c) for c in (one, two)}, (one, two))
    write_matrix(tmp_path / "new", {c.name: record(c) for c in (two, three)}, (two, three))
    found = diff(tmp_path / "old", tmp_path / "new")
    assert [(c.kind, c.cell, c.worse) for c in found.changes] == [
        ("gone", "blk/1", False),
        ("added", "blk/3", False),
    ]
    assert len(found.pairs.both) == 1


def kernels(kernel: str, **changes: Any) -> dict[str, CellRecord]:
    """As a matrix names them: a value that is its axis's first is not in the name."""
    end = "" if kernel == "debian-6.12" else f"-{kernel}"
    cells = [
        planned(f"blk/{ring}{end}", ring=ring, kernel=kernel, queues=q) for ring, q in
        (("split", "1"), ("packed", "1"))
    ]  # fmt: skip
    return {cell.name: record(cell, **changes) for cell in cells}


def plan_of(entries: dict[str, CellRecord]) -> tuple[PlannedCell, ...]:
    return tuple(
        PlannedCell(name=e.cell, matrix=e.matrix, scenario=e.scenario, axes=e.axes, tags=e.tags)
        for e in entries.values()
    )


def test_an_axis_in_which_all_differ_is_no_difference(tmp_path: Path) -> None:
    old, new = kernels("debian-6.12"), kernels("debian-7.2", rules=FAIL, status="failed")
    write_matrix(tmp_path / "old", old, plan_of(old))
    write_matrix(tmp_path / "new", new, plan_of(new))
    found = diff(tmp_path / "old", tmp_path / "new")
    assert found.pairs.across == {"kernel": ("debian-6.12", "debian-7.2")}
    assert [(c.kind, c.cell) for c in found.changes] == [
        ("new violation", "blk/split-debian-7.2"),
        ("new violation", "blk/packed-debian-7.2"),
    ]


def test_groups_with_the_same_axes_differ_by_scenario(tmp_path: Path) -> None:
    for side in ("old", "new"):
        cells = [replace(planned(f"m/{s}", kernel=side), scenario=s) for s in ("blk", "others")]
        entries = {cell.name: record(cell) for cell in cells}
        write_matrix(tmp_path / side, entries, plan_of(entries))
    pairs = diff(tmp_path / "old", tmp_path / "new").pairs
    assert [(old.name, new.name) for old, new in pairs.both] == [
        ("m/blk", "m/blk"),
        ("m/others", "m/others"),
    ]


def test_cells_that_cannot_be_distinguished(tmp_path: Path) -> None:
    old = {name: record(planned(name, kernel="a")) for name in ("blk/x", "blk/y")}
    new = {name: record(planned(name, kernel="b")) for name in ("blk/x", "blk/y")}
    write_matrix(tmp_path / "old", old, plan_of(old))
    write_matrix(tmp_path / "new", new, plan_of(new))
    with pytest.raises(UsageError, match="blk/x and blk/y cannot be distinguished without kernel"):
        diff(tmp_path / "old", tmp_path / "new")


def test_slower_and_faster(tmp_path: Path) -> None:
    found = compared(
        tmp_path, {"metrics": {"latency_us_p50": 80.0}}, {"metrics": {"latency_us_p50": 320.0}}
    )
    (change,) = found.changes
    assert (change.kind, change.cell, change.ratio, change.worse) == (
        "slower", "blk/split", 4.0, True,
    )  # fmt: skip
    assert change.what == "latency_us_p50: 4.00 times"
    found = compared(
        tmp_path, {"metrics": {"latency_us_p50": 320.0}}, {"metrics": {"latency_us_p50": 80.0}}
    )
    assert reported(found) == [("faster", (), False)]


def test_the_speed_of_a_deliberate_bug_is_not_compared(tmp_path: Path) -> None:
    bug = {"rules": FAIL, "expected": ("NA-DR-01",)}
    found = compared(
        tmp_path,
        {**bug, "metrics": {"latency_us_p50": 1.0}},
        {**bug, "metrics": {"latency_us_p50": 99.0}},
    )
    assert found.changes == ()


def test_as_json(tmp_path: Path) -> None:
    data = json.loads(json.dumps(compared(tmp_path, {"rules": BOTH}, {"rules": FAIL}).as_json()))
    assert (data["schema"], data["worse"], data["compared"], data["across"]) == (1, True, 2, {})
    assert data["changes"][0]["rules"] == ["NA-DR-01"]
    assert {entry["name"] for entry in data["metrics"]} == {"latency_us_p50"}


RUN = {
    "schema": 1,
    "scenario": "blk",
    "transport": "pci",
    "ring": "split",
    "drivers": ["pykit_virtio_blk"],
    "fault": None,
    "device_fault": None,
    "kernel": {"name": "debian-6.12", "release": "6.12.117", "origin": "debian"},
    "command": ["pykit", "run"],
    "qemu": "7.2.22",
    "started": "2026-01-02T03:04:05+00:00",
    "seconds": 12.5,
    "outcome": {"kind": "clean", "message": "the workload ended"},
}


def write_run(directory: Path, verdicts: dict[str, str], **changes: Any) -> Path:
    directory.mkdir()
    (directory / "run.json").write_text(json.dumps({**RUN, **changes}))
    rules = [
        {"id": name, "verdict": verdict, "checked": 4, "violations": 0, "message": verdict}
        for name, verdict in verdicts.items()
    ]
    judged = {"schema": 1, "events": {"total": 9, "lost": 0}, "rules": rules}
    (directory / "verdicts.json").write_text(json.dumps(judged))
    return directory


def test_two_runs(tmp_path: Path) -> None:
    old = write_run(tmp_path / "old", {"SD-DR-01": "pass", "NA-DR-01": "pass"})
    new = write_run(
        tmp_path / "new",
        {"SD-DR-01": "pass", "NA-DR-01": "fail"},
        kernel={"name": "debian-7.2", "release": "7.2", "origin": "debian"},
        scenario="iothread",
    )
    found = diff(old, new)
    assert reported(found) == [("new violation", NA, True)]
    assert found.pairs.across == {"kernel": ("debian-6.12", "debian-7.2")}
    assert not diff(new, new).worse


def test_a_run_with_a_fault_that_was_found_held(tmp_path: Path) -> None:
    from pykit import spec

    fault = next(fault for fault in spec.faults().values() if not fault.either)
    failed = dict.fromkeys(fault.rules, "fail")
    old = write_run(tmp_path / "old", {"XC-01": "pass"} | failed, fault=fault.name)
    new = write_run(tmp_path / "new", {"XC-01": "pass"} | dict.fromkeys(failed, "pass"),
                    fault=fault.name)  # fmt: skip
    assert {change.kind for change in diff(old, new).changes} == {"new violation"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("run.json", None, "no run and no matrix"),
        ("verdicts.json", None, "was not judged"),
        ("run.json", "{", "run.json: "),
        ("run.json", "[]", "no object"),
        ("run.json", "{}", "no run of this pykit's"),
        ("verdicts.json", '{"rules": [{}], "events": {"total": 1, "lost": 0}}', "no run of this"),
    ],
)
def test_what_is_no_run(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    run = write_run(tmp_path / "run", {"SD-DR-01": "pass"})
    if text is None:
        (run / name).unlink()
    else:
        (run / name).write_text(text)
    with pytest.raises(UsageError, match=message):
        diff(run, run)
