# SPDX-License-Identifier: GPL-2.0-only
"""Each rule explains itself: `pykit rules ID`."""

from __future__ import annotations

from pathlib import Path

import pytest

from pykit import spec
from pykit.errors import UsageError
from pykit.spec.clauses import data
from pykit.spec.explain import proofs
from tests.spec.cases.base import CASES, as_table


def test_cases_table_is_up_to_date() -> None:
    assert data("cases.tsv") == as_table(), "run: python -m tests.spec.cases"


def test_reference_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs" / "rules.md"
    assert page.read_text(encoding="utf-8") == spec.describe(), "run: pykit rules --markdown"


def test_every_rule_has_a_proof() -> None:
    assert set(proofs()) == {rule.id for rule in spec.rules()}
    assert sum(map(len, proofs().values())) == len(CASES)


def test_an_explanation_is_complete() -> None:
    text = spec.explain("DX-05").as_text()
    assert text.startswith("DX-05: driver MUST\n")
    for part in (
        "Section: 2.7.5 structure",
        "Needs: driver:add; driver:desc; driver:queue",
        "single events prove it",
        "Checked: each head in an available ring",
        "Its topic (pykit/spec/topics/split.py):",
        "Split virtqueues: what driver and device may write into the rings",
        "split.head_outside: An available entry names a descriptor beyond the table's end.",
    ):
        assert part in text


def test_an_explanation_as_json() -> None:
    found = spec.explain("XC-04").as_json()
    assert found["sections"] == {}
    assert found["doc"]
    assert {case["case"].partition(".")[0] for case in found["cases"]} == {"served"}


def test_unknown_rule_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown rule 'DX-00': `pykit rules` lists all"):
        spec.explain("DX-00")
