# SPDX-License-Identifier: GPL-2.0-only
"""The journal's lines: what is written is read, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pykit.errors import UsageError
from pykit.families import PlanFile, Planned, Record, RuleResult, read_journal
from pykit.families.record import RuleVerdict, Status
from pykit.guests.outcome import Kind
from pykit.spec.engine import VERDICTS

from ..report.conftest import PATIENT

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_COUNT = st.integers(0, 2**62)
_FLOAT = st.floats(allow_nan=False, allow_infinity=False)
_RULES = st.builds(
    RuleResult,
    id=_TEXT,
    verdict=st.sampled_from(get_args(RuleVerdict)),
    checked=_COUNT,
    violations=_COUNT,
    message=_TEXT,
    where=_TEXT,
)
_RECORDS = st.builds(
    Record,
    cell=_TEXT,
    family=_TEXT,
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
    rules=st.lists(_RULES, max_size=3).map(tuple),
    events=_COUNT,
    lost=_COUNT,
    metrics=st.dictionaries(_TEXT, _FLOAT, max_size=3),
    capture=st.none() | _TEXT,
).filter(lambda record: not record.contradicts)


def a_record(**changes: Any) -> Record:
    fields: dict[str, Any] = {
        "cell": "blk/split",
        "family": "blk",
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
        "rules": (RuleResult("A", "pass", 1, 0, "held 1 times"),),
    }
    return Record(**{**fields, **changes})


@PATIENT
@given(_RECORDS)
def test_a_record_survives_its_line(record: Record) -> None:
    line = record.to_json()
    assert "\n" not in line
    assert Record.from_json(line) == record
    assert type(Record.from_json(line).rules) is tuple


def test_half_a_character_is_none() -> None:
    assert Record.from_json(a_record(message="a\udc80b").to_json()).message == "a?b"


@PATIENT
@given(_RECORDS, st.data())
def test_a_line_that_lacks_or_has_too_much_is_refused(record: Record, data: st.DataObject) -> None:
    fields = json.loads(record.to_json())
    required = ("cell", "family", "scenario", "outcome", "status", "seconds", "worker", "started")
    del fields[data.draw(st.sampled_from(required))]
    with pytest.raises(UsageError, match=r"^F:7: "):
        Record.from_json(json.dumps(fields), "F:7")
    with pytest.raises(UsageError, match=r"^F:7: "):
        Record.from_json(json.dumps({**json.loads(record.to_json()), "more": 1}), "F:7")


@PATIENT
@given(st.text() | st.binary())
def test_no_line_is_a_crash(line: str | bytes) -> None:
    with pytest.raises(UsageError):
        Record.from_json(line)


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
        ("rules", [{"id": "x", "verdict": "maybe", "checked": 1, "violations": 0, "message": ""}]),
    ],
)
def test_a_wrong_value_is_named(field: str, value: Any) -> None:
    fields = {**json.loads(a_record().to_json()), field: value}
    with pytest.raises(UsageError, match=field):
        Record.from_json(json.dumps(fields))


def test_the_verdicts_are_the_rules_own() -> None:
    assert set(get_args(RuleVerdict)) == set(VERDICTS)


def test_what_a_fault_explains() -> None:
    def result(name: str, verdict: RuleVerdict) -> RuleResult:
        return RuleResult(name, verdict, 1, int(verdict == "fail"), "")

    held = a_record(
        expected=("A",),
        either=("B", "C"),
        rules=(result("A", "fail"), result("B", "fail"), result("C", "pass")),
    )
    assert (held.failing, held.silent) == ((), ())
    silent = a_record(
        expected=("A", "D"), either=("B", "C"), rules=(result("A", "fail"), result("E", "fail"))
    )
    assert [rule.id for rule in silent.failing] == ["E"]
    assert silent.silent == ("D", "B", "C")


@pytest.mark.parametrize(
    ("changes", "implied"),
    [
        ({}, "held"),
        ({"rules": (), "expected": ()}, "inconclusive"),
        ({"rules": (RuleResult("A", "not-applicable", 0, 0, ""),)}, "inconclusive"),
        ({"lost": 1}, "inconclusive"),
        ({"lost": 1, "expected": ("A",)}, "inconclusive"),
        ({"lost": 1, "rules": (RuleResult("A", "fail", 1, 1, ""),)}, "failed"),
        ({"expected": ("A",)}, "failed"),
        ({"outcome": "panic"}, "failed"),
        ({"outcome": "never-booted", "rules": ()}, "error"),
        ({"outcome": "not-run", "rules": ()}, "error"),
        ({"outcome": "interrupted"}, "inconclusive"),
    ],
)
def test_what_guest_and_rules_come_to(changes: dict[str, Any], implied: Status) -> None:
    record = a_record(**changes)
    assert record.implied == implied
    assert Record.from_json(a_record(**changes, status=implied).to_json()).status == implied


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        ("held", {"rules": (RuleResult("A", "fail", 1, 1, ""),)}),
        ("held", {"rules": ()}),
        ("held", {"outcome": "splat"}),
        ("held", {"lost": 3}),
        ("failed", {}),
        ("error", {"rules": (RuleResult("A", "fail", 1, 1, ""),)}),
        ("inconclusive", {"outcome": "panic"}),
    ],
)
def test_a_status_that_its_rules_do_not_bear_out(status: Status, changes: dict[str, Any]) -> None:
    line = a_record(status=status, **changes).to_json()
    with pytest.raises(UsageError, match=f"F:1: cell blk/split is said to be {status}"):
        Record.from_json(line, "F:1")


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
        Planned(name=f"blk/{ring}", family="blk", scenario="blk", axes={"ring": ring}, tags=("t",))
        for ring in ("split", "packed")
    ]
    plan = PlanFile.of(cells, (2, 3))
    path = tmp_path / "plan.json"
    path.write_text(plan.to_json())
    assert PlanFile.read(path) == plan
    assert PlanFile.of(reversed(cells)).plan == plan.plan
    assert PlanFile.of(cells[:1]).plan != plan.plan
    path.write_text(plan.to_json().replace('"packed"', '"indirect"'))
    with pytest.raises(UsageError, match="was it edited"):
        PlanFile.read(path)
