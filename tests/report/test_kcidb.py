# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, get_args

import kcidb_io
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pykit.guests.outcome import Kind
from pykit.report import kcidb
from pykit.report.view import ORDER, ReportView
from pykit.trace import CapturedOutcome

from .conftest import PATIENT, make_row, make_view


def paths_of(view: ReportView) -> dict[str, dict[str, Any]]:
    """Tests by path, of a file that KCIDB takes."""
    data = json.loads(kcidb.render(view))
    kcidb_io.schema.LATEST.validate(data)
    builds = {build["id"] for build in data["builds"]}
    assert {test["build_id"] for test in data["tests"]} <= builds
    assert {b["checkout_id"] for b in data["builds"]} <= {c["id"] for c in data["checkouts"]}
    return {test["path"]: test for test in data["tests"]}


def test_every_verdict_has_a_status() -> None:
    assert set(kcidb.STATUS) == set(ORDER)


def test_what_the_verdicts_become(view: ReportView) -> None:
    tests = paths_of(replace(view, run={**view.run, "started": "2026-01-02T05:04:05+02:00"}))
    assert {path: test["status"] for path, test in tests.items()} == {
        "pykit.blk.guest": "PASS",
        "pykit.blk.SD-DR-01": "PASS",
        "pykit.blk.SD-DR-02": "FAIL",
        "pykit.blk.SD-DR-03": "FAIL",
        "pykit.blk.SD-DR-04": "SKIP",
    }
    assert "flags=NEXT|INDIRECT" in tests["pykit.blk.SD-DR-02"]["log_excerpt"]
    assert tests["pykit.blk.guest"]["start_time"] == "2026-01-02T03:04:05+00:00"
    assert tests["pykit.blk.guest"]["duration"] == 12.5


def test_a_waived_failure_is_a_known_issue(view: ReportView) -> None:
    data = json.loads(kcidb.render(view))
    (issue,), (incident,) = data["issues"], data["incidents"]
    assert issue["comment"] == "known: fixed in the next release"
    assert incident["issue_id"] == issue["id"]
    (test,) = [test for test in data["tests"] if test["id"] == incident["test_id"]]
    assert test["path"] == "pykit.blk.SD-DR-03"


@pytest.mark.parametrize("kind", [*get_args(Kind), "something-new"])
def test_how_a_guest_ended(view: ReportView, kind: str) -> None:
    capture = replace(view.capture, outcome=CapturedOutcome(kind, "because"))
    status = paths_of(replace(view, capture=capture))["pykit.blk.guest"]["status"]
    assert (status == "PASS") == (kind in ("clean", "recorded"))
    assert (status == "MISS") == (kind in ("never-booted", "qemu-died", "module-failed"))
    assert (status == "SKIP") == (kind in ("interrupted", "contested"))


@PATIENT
@given(st.text(), st.text(), st.text())
@example("", "a\0b", "")
def test_any_text_gives_a_valid_file(message: str, scenario: str, started: str) -> None:
    # As `view_of` makes it: what is not printable has been escaped.
    message = "".join(c for c in message if c.isprintable())
    view = make_view(
        make_row("waived", message=message), run={"scenario": scenario, "started": started}
    )
    paths_of(view)
