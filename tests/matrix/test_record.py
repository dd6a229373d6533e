# SPDX-License-Identifier: GPL-2.0-only
"""The journal's lines: what is written is read, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pykit import spec
from pykit.errors import UsageError
from pykit.guests.outcome import Kind
from pykit.matrix import CellRecord, PlanFile, PlannedCell, RuleResult, read_journal
from pykit.matrix.record import RuleVerdict, Status
from pykit.spec.engine import VERDICTS

from ..report.conftest import PATIENT

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_COUNT = st.integers(0, 2**62)
_FLOAT = st.floats(allow_nan=False, allow_infinity=False)
#: Real rules: a record of others is refused.
RULES = tuple(rule.id for rule in spec.rules())[:5]
_RULES = st.builds(
    RuleResult,
    id=st.sampled_from(RULES),
    verdict=st.sampled_from(get_args(RuleVerdict)),
    checked=_COUNT,
    violations=_COUNT,
    message=_TEXT,
    where=_TEXT,
)
_NAME = st.from_regex(r"[a-z0-9_+-]{1,9}/[a-z0-9_][a-z0-9_.+-]{0,9}", fullmatch=True)
_RECORDS = st.builds(
    CellRecord,
    cell=_NAME,
    matrix=_TEXT,
    scenario=_TEXT,
    command=_TEXT,
    outcome=st.sampled_from((*get_args(Kind), "not-run")),
    message=_TEXT,
    status=st.sampled_from(get_args(Status)),
    release=_TEXT,
    qemu=_TEXT,
    started=_TEXT,
    seconds=_FLOAT,
    worker=_TEXT,
    axes=st.dictionaries(_TEXT, _TEXT, max_size=3),
    tags=st.lists(_TEXT, max_size=3).map(tuple),
    expected=st.lists(_TEXT, max_size=3).map(tuple),
    either=st.lists(_TEXT, max_size=3).map(tuple),
    alone=st.booleans(),
    rules=st.lists(_RULES, max_size=3, unique_by=lambda rule: rule.id).map(tuple),
    events=_COUNT,
    lost=_COUNT,
    metrics=st.dictionaries(_TEXT, _FLOAT, max_size=3),
    build=_TEXT,
).filter(lambda record: not record.contradicts and not record.fault)


def a_record(**changes: Any) -> CellRecord:
    fields: dict[str, Any] = {
        "cell": "blk/split",
        "matrix": "blk",
        "scenario": "blk",
        "command": "pykit run blk",
        "outcome": "clean",
        "message": "the workload ended",
        "status": "held",
        "release": "6.12.117",
        "qemu": "7.2.22",
        "started": "2026-01-02T03:04:05+00:00",
        "seconds": 1.0,
        "worker": "local",
        "rules": (RuleResult(RULES[0], "pass", 1, 0, "held 1 times"),),
    }
    return CellRecord(**{**fields, **changes})


@PATIENT
@given(_RECORDS)
def test_a_record_survives_its_line(record: CellRecord) -> None:
    line = record.to_json()
    assert "\n" not in line
    assert CellRecord.from_json(line) == record
    assert type(CellRecord.from_json(line).rules) is tuple


def test_half_a_character_is_none() -> None:
    assert CellRecord.from_json(a_record(message="a\udc80b").to_json()).message == "a?b"


@PATIENT
@given(_RECORDS, st.data())
def test_a_line_that_lacks_or_has_too_much_is_refused(
    record: CellRecord, data: st.DataObject
) -> None:
    fields = json.loads(record.to_json())
    required = ("cell", "matrix", "scenario", "outcome", "status", "seconds", "worker", "started")
    del fields[data.draw(st.sampled_from(required))]
    with pytest.raises(UsageError, match=r"^F:7: "):
        CellRecord.from_json(json.dumps(fields), "F:7")
    with pytest.raises(UsageError, match=r"^F:7: "):
        CellRecord.from_json(json.dumps({**json.loads(record.to_json()), "more": 1}), "F:7")


@PATIENT
@given(st.text() | st.binary())
def test_no_line_is_a_crash(line: str | bytes) -> None:
    with pytest.raises(UsageError):
        CellRecord.from_json(line)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", "passed"),
        ("outcome", "fine"),
        ("seconds", "1.0"),
        ("seconds", float("nan")),
        ("metrics", {"requests": float("inf")}),
        ("axes", {"queues": 4}),
        ("events", 1.5),
        ("alone", 1),
        (
            "rules",
            [{"id": RULES[0], "verdict": "maybe", "checked": 1, "violations": 0, "message": ""}],
        ),
    ],
)
def test_a_wrong_value_is_named(field: str, value: Any) -> None:
    fields = {**json.loads(a_record().to_json()), field: value}
    with pytest.raises(UsageError, match=field):
        CellRecord.from_json(json.dumps(fields))


def test_the_verdicts_are_the_rules_own() -> None:
    assert set(get_args(RuleVerdict)) == set(VERDICTS)


def test_what_a_fault_explains() -> None:
    def result(name: str, verdict: RuleVerdict) -> RuleResult:
        return RuleResult(name, verdict, 1, int(verdict == "fail"), "")

    held = a_record(
        expected=(RULES[0],),
        either=(RULES[1], RULES[2]),
        rules=(result(RULES[0], "fail"), result(RULES[1], "fail"), result(RULES[2], "pass")),
    )
    assert (held.failing, held.silent) == ((), ())
    silent = a_record(
        expected=(RULES[0], RULES[3]),
        either=(RULES[1], RULES[2]),
        rules=(result(RULES[0], "fail"), result(RULES[4], "fail")),
    )
    assert [rule.id for rule in silent.failing] == [RULES[4]]
    assert silent.silent == (RULES[3], RULES[1], RULES[2])


@pytest.mark.parametrize(("side", "fails"), [("driver", 0), ("device", 1)])
def test_other_rules_of_a_drivers_fault(side: str, fails: int) -> None:
    rules = [rule.id for rule in spec.rules() if rule.side == side][:2]
    record = a_record(
        axes={"driver-fault": "descriptor-loop"},
        expected=(rules[0],),
        rules=tuple(RuleResult(name, "fail", 1, 1, "") for name in rules),
    )
    assert len(record.failing) == fails


@pytest.mark.parametrize(
    ("changes", "implied"),
    [
        ({}, "held"),
        ({"rules": (), "expected": ()}, "inconclusive"),
        ({"rules": (RuleResult(RULES[0], "not-applicable", 0, 0, ""),)}, "inconclusive"),
        ({"lost": 1}, "inconclusive"),
        ({"unlooked": ("status: IN-DR-01 checked nothing",)}, "inconclusive"),
        ({"unlooked": ("chains",), "outcome": "standstill"}, "failed"),
        ({"lost": 1, "expected": ("A",)}, "inconclusive"),
        ({"lost": 1, "rules": (RuleResult(RULES[0], "fail", 1, 1, ""),)}, "failed"),
        ({"expected": ("A",)}, "failed"),
        ({"outcome": "panic"}, "failed"),
        ({"outcome": "workload-failed"}, "failed"),
        ({"outcome": "never-booted", "rules": ()}, "error"),
        ({"outcome": "not-run", "rules": ()}, "error"),
        ({"outcome": "interrupted"}, "inconclusive"),
    ],
)
def test_what_guest_and_rules_come_to(changes: dict[str, Any], implied: Status) -> None:
    record = a_record(**changes)
    assert record.implied == implied
    assert CellRecord.from_json(a_record(**changes, status=implied).to_json()).status == implied


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        ("held", {"rules": (RuleResult(RULES[0], "fail", 1, 1, ""),)}),
        ("held", {"rules": ()}),
        ("held", {"outcome": "splat"}),
        ("held", {"lost": 3}),
        ("failed", {}),
        ("error", {"rules": (RuleResult(RULES[0], "fail", 1, 1, ""),)}),
        ("inconclusive", {"outcome": "panic"}),
    ],
)
def test_a_status_that_its_rules_do_not_bear_out(status: Status, changes: dict[str, Any]) -> None:
    line = a_record(status=status, **changes).to_json()
    with pytest.raises(UsageError, match=f"F:1: cell blk/split is said to be {status}"):
        CellRecord.from_json(line, "F:1")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cell": ".."}, "a cell is called matrix/cell"),
        ({"cell": "a/../b"}, "a cell is called matrix/cell"),
        ({"cell": "a/b\n"}, "a cell is called matrix/cell"),
        ({"cell": "a.b/c"}, "a cell is called matrix/cell"),
        ({"capture": "javascript:alert(1)"}, "can only be cells/blk.split"),
        ({"capture": "cells/blk.packed"}, "can only be cells/blk.split"),
        ({"capture": "../cells/blk.split"}, "can only be cells/blk.split"),
        ({"capture": "cells/\0"}, "can only be cells/blk.split"),
        ({"rules": (RuleResult("ZZ-99", "pass", 1, 0, ""),)}, "unknown rule ZZ-99"),
        ({"rules": (RuleResult(RULES[0], "pass", 1, 0, ""),) * 2}, "has two verdicts"),
        ({"rules": (RuleResult(RULES[0], "pass", 0, 0, ""),)}, "passed with 0 checked"),
        ({"rules": (RuleResult(RULES[0], "pass", 4, 3, ""),)}, "and 3 violations"),
    ],
)
def test_a_record_that_no_runner_writes_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=rf"^F:1: cell .*{words}"):
        CellRecord.from_json(a_record(**changes).to_json(), "F:1")


def test_its_own_capture_is_accepted() -> None:
    record = a_record(capture="cells/blk.split")
    assert CellRecord.from_json(record.to_json()) == record


def test_a_journal_is_read_to_its_last_whole_line(tmp_path: Path) -> None:
    first, second = a_record(), a_record(cell="blk/packed")
    path = tmp_path / "journal.jsonl"
    path.write_text(f"{first.to_json()}\n{second.to_json()}\n{first.to_json()[:40]}")
    assert read_journal(path) == (first, second)


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(f"{a_record().to_json()}\n{{\n")
    with pytest.raises(UsageError, match=r"journal\.jsonl:2: "):
        read_journal(path)
    path.write_text(f"{a_record().to_json()}\n" * 2)
    with pytest.raises(UsageError, match=r"journal\.jsonl:2: cell blk/split is there a second"):
        read_journal(path)
    with pytest.raises(UsageError, match="no matrix directory"):
        read_journal(tmp_path / "absent" / "journal.jsonl")


def test_a_plan_survives_its_file(tmp_path: Path) -> None:
    cells = [
        PlannedCell(
            name=f"blk/{ring}", matrix="blk", scenario="blk", axes={"ring": ring}, tags=("t",)
        )
        for ring in ("split", "packed")
    ]
    plan = PlanFile.of(cells, (2, 3))
    path = tmp_path / "plan.json"
    path.write_text(plan.to_json())
    assert PlanFile.read(path) == plan
    assert PlanFile.of(reversed(cells)).plan == plan.plan
    assert PlanFile.of(cells[:1]).plan != plan.plan
    twice = [*cells, cells[0]]
    path.write_text(PlanFile.of(twice).to_json())
    with pytest.raises(UsageError, match="cell blk/split is in it twice"):
        PlanFile.read(path)
    path.write_text(plan.to_json().replace('"packed"', '"indirect"'))
    with pytest.raises(UsageError, match="was it edited"):
        PlanFile.read(path)
