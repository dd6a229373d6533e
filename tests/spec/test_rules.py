# SPDX-License-Identifier: GPL-2.0-only
"""Every rule holds where it should, and breaks where it should."""

from __future__ import annotations

import pytest

from pykit import spec
from pykit.spec.clauses import reasons
from pykit.spec.engine import judge
from tests.spec.cases import CASES, Case
from tests.spec.log import Log

NAMES = [f"{entry.rule}-{entry.act.__name__}" for entry in CASES]


def test_every_rule_has_a_case() -> None:
    assert {rule.id for rule in spec.rules()} == {entry.rule for entry in CASES}


def test_no_reason_for_what_has_a_rule() -> None:
    ruled = {clause for rule in spec.rules() for clause in rule.clauses}
    assert reasons().keys() & ruled == set()
    assert all(reasons().values())


def _verdict(log: Log, name: str) -> spec.Verdict:
    only = [rule for rule in spec.rules() if rule.id == name]
    return judge(log.build(), only, spec.waivers()).of(name)


@pytest.mark.parametrize("entry", CASES, ids=NAMES)
def test_holds_and_breaks(entry: Case) -> None:
    log = entry.clean()
    before = _verdict(log, entry.rule)
    assert before.verdict == "pass", before.message
    assert before.checked > 0
    entry.act(log)
    after = _verdict(log, entry.rule)
    assert after.verdict == "fail", after.message
    assert after.violations > 0
    assert 0 < len(after.evidence) <= 20
