# SPDX-License-Identifier: GPL-2.0-only
"""Known failures in JUnit and SARIF files: skipped and suppressed, with the reason."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pykit.baseline import BaselineFile, KnownFailure, compare, mark, of_directory
from pykit.matrix.results import write_results
from tests.cli.command import pykit
from tests.matrix.conftest import CELLS, records, rule, write_matrix
from tests.trace.conftest import unpack


def entries(where: str, *names: str) -> list[KnownFailure]:
    return [KnownFailure(where=where, what=what, reason=f"issue of {what}") for what in names]


def junit(path: Path) -> dict[str, list[tuple[str, str]]]:
    """By suite and case, the elements below it with their messages."""
    return {
        f"{part.get('name')}: {case.get('name')}": [(e.tag, e.get("message", "")) for e in case]
        for part in ET.parse(path / "junit.xml").getroot()
        for case in part.findall("testcase")
    }


def counts(path: Path) -> tuple[str | None, str | None]:
    root = ET.parse(path / "junit.xml").getroot()
    return root.get("failures"), root.get("errors")


def sarif(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((path / "sarif.json").read_text())["runs"][0]
    return data


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    """One cell in which a rule failed and another held."""
    rules = (rule("SD-DR-01", "fail"), rule("VQ-DR-01", "pass"))
    failed = {"blk/split": replace(records()["blk/split"], status="failed", rules=rules)}
    directory = write_matrix(tmp_path / "matrix", failed, (CELLS["blk/split"],))
    write_results(directory)
    return directory


def marked(directory: Path, *entries: KnownFailure) -> None:
    examined = of_directory(directory)
    mark(directory, examined, compare(BaselineFile(known=list(entries)), examined))


def test_a_cell_whose_failures_are_known(matrix: Path) -> None:
    assert int(counts(matrix)[0] or 0) == 2
    marked(matrix, *entries("blk/split", "SD-DR-01"))
    assert counts(matrix) == ("0", "0")
    for case in ("cell", "SD-DR-01"):
        ((tag, message),) = junit(matrix)[f"blk/split: {case}"]
        assert tag == "skipped"
        assert message.startswith("known failure: issue of SD-DR-01: ")
    (result,) = sarif(matrix)["results"]
    (suppression,) = result["suppressions"]
    assert suppression == {"kind": "external", "justification": "issue of SD-DR-01"}


def test_another_cell_knows_nothing(matrix: Path) -> None:
    marked(matrix, *entries("blk/packed", "SD-DR-01"))
    assert counts(matrix) == ("2", "0")
    assert "suppressions" not in sarif(matrix)["results"][0]


def test_what_held_and_what_names_nothing_fail(matrix: Path) -> None:
    marked(matrix, *entries("blk/split", "SD-DR-01", "VQ-DR-01", "XX-99"))
    found = junit(matrix)
    assert [message for _, message in found["baseline: blk/split: VQ-DR-01"]] == [
        "unexpected pass: take it out of the baseline"
    ]
    assert found["baseline: blk/split: XX-99"][0][0] == "failure"
    assert counts(matrix) == ("2", "0")


def test_a_cell_that_failed_anew_stays_failed(matrix: Path, tmp_path: Path) -> None:
    rules = (rule("SD-DR-01", "fail"), rule("VQ-DR-01", "fail"))
    failed = {"blk/split": replace(records()["blk/split"], status="failed", rules=rules)}
    directory = write_matrix(tmp_path / "worse", failed, (CELLS["blk/split"],))
    write_results(directory)
    marked(directory, *entries("blk/split", "SD-DR-01"))
    found = junit(directory)
    assert found["blk/split: cell"][0][0] == "failure"
    assert found["blk/split: SD-DR-01"][0][0] == "skipped"
    assert found["blk/split: VQ-DR-01"][0][0] == "failure"


def test_a_run_by_the_verb(tmp_path: Path) -> None:
    run = unpack("one-chain-a-kick.tar.xz", tmp_path)
    first = tmp_path / "first"
    assert pykit("check", run, "--to", first, cwd=tmp_path).returncode == 1
    outcome = {"kind": "hang", "message": "mkfs"}
    (first / "run.json").write_text(json.dumps({"scenario": "capture", "outcome": outcome}))
    done = pykit("baseline", first, "--reason", "issue 12", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    again = tmp_path / "again"
    known = tmp_path / "pykit-baseline.toml"
    done = pykit("check", run, "--to", again, "--baseline", known, cwd=tmp_path)
    assert "0 new" in done.stdout
    assert int(counts(first)[0] or 0) + int(counts(first)[1] or 0) > 1
    assert counts(again) == ("0", "0")
    assert sarif(first)["invocations"][0]["executionSuccessful"] is False
    results = sarif(again)["results"]
    assert results
    assert all(result["suppressions"] for result in results)
    texts = [
        notice["message"]["text"]
        for notice in sarif(again)["invocations"][0]["toolExecutionNotifications"]
        if notice["message"]["text"].startswith("known")
    ]
    assert [text[:23] for text in texts] == ["known failure: issue 12"]
