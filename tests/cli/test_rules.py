# SPDX-License-Identifier: GPL-2.0-only
"""`pykit rules`: the list, the reference, and one rule in full."""

from __future__ import annotations

import json
from pathlib import Path

from pykit import spec
from pykit.matrix import CellRecord, RuleResult
from pykit.matrix.record import RuleVerdict
from tests.cli.command import pykit
from tests.cli.test_errors import one_line


def test_one_rule_as_text_and_json(tmp_path: Path) -> None:
    done = pykit("rules", "NU-DE-05", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout == spec.explain("NU-DE-05").as_text()
    done = pykit("rules", "NU-DE-05", "--json", cwd=tmp_path)
    assert json.loads(done.stdout) == spec.explain("NU-DE-05").as_json()


def test_all_rules_as_json(tmp_path: Path) -> None:
    listing = json.loads(pykit("rules", "--json", cwd=tmp_path).stdout)
    assert [entry["id"] for entry in listing] == [rule.id for rule in spec.rules()]


def test_unknown_rule(tmp_path: Path) -> None:
    message = one_line(pykit("rules", "NU-DE-99", cwd=tmp_path), 2)
    assert "unknown rule 'NU-DE-99'" in message


def test_summary_counts_each_clause_once(tmp_path: Path) -> None:
    groups = json.loads(pykit("rules", "--summary", "--json", cwd=tmp_path).stdout)["groups"]
    target = groups["target"]
    counted = [
        clause
        for group in (target, groups["channel I/O"])
        for clause in (*group["ruled"], *group["explained"], *group["open"])
    ]
    wanted = {c.id for c in spec.CLAUSES.values() if c.targeted and not c.id.startswith("DX-")}
    assert set(counted) == wanted
    assert len(counted) == target["total"] + groups["channel I/O"]["total"] == len(wanted)
    assert target["never-checked"] is None


def test_summary_names_rules_that_no_run_exercised(tmp_path: Path) -> None:
    def rule(name: str, checked: int) -> RuleResult:
        verdict: RuleVerdict = "pass" if checked else "not-applicable"
        return RuleResult(name, verdict, checked, 0, "")

    record = CellRecord(
        cell="m/a",
        matrix="m",
        scenario="io",
        command="pykit run io",
        outcome="clean",
        message="",
        status="held",
        release="6.12",
        qemu="7.2",
        started="2026-01-01T00:00:00Z",
        seconds=1.0,
        worker="local",
        rules=(rule("NU-DE-05", 3), rule("ST-DR-02", 0)),
    )
    (tmp_path / "journal.jsonl").write_text(record.to_json() + "\n")
    command = ("rules", "--summary", "--json", "--exercised", str(tmp_path))
    found = json.loads(pykit(*command, cwd=tmp_path).stdout)
    assert "NU-DE-05" not in found["rules-never-checked"]
    assert "ST-DR-02" in found["rules-never-checked"]
    assert "ST-DR-02" in found["groups"]["target"]["never-checked"]
    assert "ST-DR-02" in pykit(*command[:2], *command[3:], cwd=tmp_path).stdout


def test_exercised_without_summary_is_refused(tmp_path: Path) -> None:
    assert "add --summary" in one_line(pykit("rules", "--exercised", ".", cwd=tmp_path), 2)
