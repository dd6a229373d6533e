# SPDX-License-Identifier: GPL-2.0-only
"""conformance.md: subjects and their counts, and no foreign text that means something."""

from __future__ import annotations

from dataclasses import replace

from pykit.matrix.plan.cell import Subject
from pykit.matrix.plan.planfile import PlanFile
from pykit.matrix.results.conformance import render
from pykit.matrix.results.view import MatrixView, view_of

from ..conftest import CELLS, HOSTILE, record, rule

SUBJECTS = (
    Subject(name="A driver", side="driver", seen="a device"),
    Subject(name="A device | x", side="device", seen="a driver"),
)


def judged(**changes: object) -> MatrixView:
    """A matrix of one cell with two subjects."""
    cell = replace(CELLS["blk/split"], subjects=SUBJECTS)
    rules = (
        rule("SD-DR-01"),
        rule("NA-DR-01", "waived"),
        rule("DX-01", "fail"),
        rule("VQ-DR-01", "not-applicable"),
    )
    return view_of(PlanFile.of([cell]), [record(cell, rules=rules, status="failed", **changes)])


def test_each_subject_is_judged_by_the_rules_for_its_side() -> None:
    text = render(judged())
    run = "<code>pykit run blk/split</code>"
    assert f"| A driver | a device | 1 | 0 | 1 | 0 | 1 | {run} |" in text
    assert f"| A device &#124; x | a driver | 0 | 1 | 0 | 0 | 0 | {run} |" in text
    assert "* **A driver**, NA-DR-01 (" in text
    assert "* **A device &#124; x**, DX-01 (" in text
    assert "## What is not a deviation" in text
    assert any(line.startswith("| SD-DR-01 | ✓ | ") for line in text.splitlines())


def test_a_matrix_without_subjects_lists_its_cells(view: MatrixView) -> None:
    text = render(view)
    assert "| blk/split | blk | 1 | 0 | 0 | 0 | 1 | <code>pykit run blk/split</code> |" in text
    assert "| net/packed | net | 0 | 0 | 0 | 0 | 0 | missing |" in text
    assert "## What is not a deviation" not in text


def test_foreign_text_is_escaped() -> None:
    text = render(judged(release=HOSTILE, qemu=HOSTILE, message=HOSTILE))
    assert "<script" not in text
    assert all(character.isprintable() or character == "\n" for character in text)
