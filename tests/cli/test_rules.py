# SPDX-License-Identifier: GPL-2.0-only
"""`pykit rules`: the list, the reference, and one rule in full."""

from __future__ import annotations

import json
from pathlib import Path

from pykit import spec
from tests.cli.test_errors import one_line, pykit


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
