# SPDX-License-Identifier: GPL-2.0-only
"""Each format of a matrix, read by somebody else's reader where there is one."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import duckdb
import kcidb_io
from pydantic_sarif.model import StaticAnalysisResultsFormatSarifVersion210JsonSchema as Sarif

from pykit.matrix.results import MatrixView, dataset, write_results
from pykit.matrix.results import junit as junit_file
from pykit.matrix.results import kcidb as kcidb_file
from pykit.matrix.results import ktap as ktap_file
from pykit.matrix.results import sarif as sarif_file

from ...report import ktap as reader
from ..conftest import HOSTILE

FILES = {
    "index.html",
    "journal.jsonl",
    "junit.xml",
    "kcidb.json",
    "conformance.md",
    "matrix.json",
    "plan.json",
    "results.ktap",
    "sarif.json",
    "verdicts.parquet",
}


def test_all_files_are_written_and_nothing_else(matrix: Path) -> None:
    view = write_results(matrix)
    assert {path.name for path in matrix.iterdir()} == FILES
    assert view.exit_code == 1
    for path in matrix.iterdir():
        if path.suffix != ".parquet":
            text = path.read_text(encoding="utf-8")
            assert path.name == "journal.jsonl" or HOSTILE not in text
            assert all(c.isprintable() or c == "\n" for c in text), path


def test_ktap(view: MatrixView) -> None:
    matrices = reader.parse(ktap_file.render(view))
    assert [*matrices] == ["blk", "faults", "net"]
    cells = {c.name: c for matrix in matrices.values() for c in matrix.tests.values()}
    assert {name: (cell.ok, cell.directive) for name, cell in cells.items()} == {
        "blk/split": (True, None),
        "blk/packed": (False, None),
        "blk/old-split": (True, "SKIP"),
        "blk/old-packed": (True, "SKIP"),
        "faults/loop": (True, None),
        "faults/unnoticed": (False, None),
        "net/split": (False, "ERROR"),
        "net/packed": (False, "ERROR"),
        "net/crash": (False, None),
        "net/waived": (True, None),
    }
    assert not any(matrix.ok for matrix in matrices.values())
    rules = {name: (r.ok, r.directive) for name, r in cells["faults/loop"].tests.items()}
    assert rules == {
        "guest": (True, None),
        "events": (True, None),
        "SD-DR-01": (True, "XFAIL"),
        "NA-DR-01": (True, "XFAIL"),
        "NU-DR-01": (True, None),
        "VQ-DR-01": (True, None),
    }
    assert [*cells["blk/split"].tests] == ["guest", "events", "SD-DR-01"]
    assert not cells["faults/unnoticed"].tests["SD-DR-02"].ok
    assert cells["net/waived"].tests["NU-DR-01"].directive == "XFAIL"
    assert cells["blk/old-split"].tests["events"].directive == "SKIP"
    assert not cells["net/crash"].tests["guest"].ok
    assert "repeat: pykit run blk/packed" in cells["blk/packed"].diagnostics


def test_a_cell_is_ok_only_if_all_in_it_is(view: MatrixView) -> None:
    for matrix in reader.parse(ktap_file.render(view)).values():
        for cell in matrix.tests.values():
            assert cell.ok == (all(test.ok for test in cell.tests.values()) and (
                cell.directive != "ERROR"))  # fmt: skip


def test_junit(view: MatrixView) -> None:
    root = ET.fromstring(junit_file.render(view))
    own = {s.get("name"): [e.tag for e in s.find("testcase") or ()] for s in root}
    assert own == {
        "blk/split": [],
        "blk/packed": ["failure"],
        "blk/old-split": ["skipped"],
        "blk/old-packed": ["skipped"],
        "faults/loop": [],
        "faults/unnoticed": ["failure"],
        "net/split": ["error"],
        "net/packed": ["error"],
        "net/crash": ["failure"],
        "net/waived": [],
    }
    # Three cells, and the rules: one that failed, two that were silent.
    assert (root.get("failures"), root.get("errors"), root.get("skipped")) == ("6", "2", "4")
    packed = next(suite for suite in root if suite.get("name") == "blk/packed")
    reported = {p.get("name"): p.get("value") for p in packed.iter("property")}
    assert (reported["ring"], reported["command"]) == ("packed", "pykit run blk/packed")
    failure = packed.find("testcase[@name='NA-DR-01']/failure")
    assert failure is not None
    assert "device 0 life 0 queue 1 seq 12" in (failure.text or "")


def test_kcidb(view: MatrixView) -> None:
    data = json.loads(kcidb_file.render(view))
    kcidb_io.schema.LATEST.validate(data)
    tests = {test["path"]: test for test in data["tests"]}
    assert len({test["id"] for test in data["tests"]}) == len(data["tests"])
    statuses = {path: test["status"] for path, test in tests.items()}
    assert {path: s for path, s in statuses.items() if path.count(".") == 2} == {
        "pykit.blk.split": "PASS",
        "pykit.blk.packed": "FAIL",
        "pykit.blk.old-split": "SKIP",
        "pykit.blk.old-packed": "SKIP",
        "pykit.faults.loop": "PASS",
        "pykit.faults.unnoticed": "FAIL",
        "pykit.net.split": "MISS",
        "pykit.net.packed": "MISS",
        "pykit.net.crash": "FAIL",
        "pykit.net.waived": "PASS",
    }
    assert statuses["pykit.blk.packed.NA-DR-01"] == "FAIL"
    assert statuses["pykit.faults.loop.SD-DR-01"] == "PASS"
    assert statuses["pykit.faults.unnoticed.SD-DR-01"] == "ERROR"
    assert statuses["pykit.blk.old-split.SD-DR-01"] == "SKIP"
    assert "pykit.blk.split.VQ-DR-01" not in statuses
    builds = {build["id"]: build["checkout_id"] for build in data["builds"]}
    assert {test["build_id"] for test in data["tests"]} <= builds.keys()
    assert {*builds.values()} == {checkout["id"] for checkout in data["checkouts"]}
    # A known failure is one, with an incident that says of which issue.
    (incident,), (issue,) = data["incidents"], data["issues"]
    assert tests["pykit.net.waived.NU-DR-01"]["status"] == "FAIL"
    assert incident["test_id"] == tests["pykit.net.waived.NU-DR-01"]["id"]
    assert incident["issue_id"] == issue["id"]
    assert "start_time" not in tests["pykit.net.packed"]
    assert tests["pykit.blk.split"]["start_time"] == "2026-01-02T03:04:05+00:00"


def sarif(view: MatrixView) -> dict[str, Any]:
    """The one run of the file, which a model made of SARIF's own JSON schema accepts."""
    text = sarif_file.render(view)
    Sarif.model_validate_json(text)
    run: dict[str, Any] = json.loads(text)["runs"][0]
    return run


def test_sarif(view: MatrixView) -> None:
    run = sarif(view)
    results = {(r["locations"][0]["logicalLocations"][-1]["name"], r["ruleId"]): r
               for r in run["results"]}  # fmt: skip
    found = {
        (result["locations"][0]["logicalLocations"][1]["fullyQualifiedName"], result["ruleId"]):
        [entry["kind"] for entry in result.get("suppressions", ())]
        for result in run["results"]
    }  # fmt: skip
    assert found == {
        ("blk/packed", "NA-DR-01"): [],
        ("faults/loop", "SD-DR-01"): ["external"],
        ("faults/loop", "NA-DR-01"): ["external"],
        ("net/waived", "NU-DR-01"): ["external"],
    }
    failed = results["blk", "NA-DR-01"]
    assert failed["message"]["text"].endswith("(device 0 life 0 queue 1 seq 12)")
    assert failed["locations"][0]["physicalLocation"]["artifactLocation"] == {
        "uri": "scenarios/blk.toml",
        "uriBaseId": "PYKIT",
    }
    rules = run["tool"]["driver"]["rules"]
    assert rules[failed["ruleIndex"]]["id"] == "NA-DR-01"
    assert failed["level"] == rules[failed["ruleIndex"]]["defaultConfiguration"]["level"]
    assert len({str(r["partialFingerprints"]) for r in run["results"]}) == len(run["results"])


def test_what_is_no_violation_is_told_in_sarif_all_the_same(view: MatrixView) -> None:
    (invocation,) = sarif(view)["invocations"]
    assert not invocation["executionSuccessful"]
    reported = {
        entry["locations"][0]["logicalLocations"][0]["fullyQualifiedName"]
        for entry in invocation["toolExecutionNotifications"]
    }
    assert reported == {"blk/old-split", "faults/unnoticed", "net/split", "net/packed", "net/crash"}


def test_the_dataset_answers_duckdb(matrix: Path, view: MatrixView) -> None:
    write_results(matrix)
    with duckdb.connect() as connection:

        def ask(query: str) -> list[tuple[Any, ...]]:
            rows: list[tuple[Any, ...]] = connection.sql(query).fetchall()
            return rows

        connection.execute(f"create view v as from '{matrix / 'verdicts.parquet'}'")
        assert ask("select count(distinct cell) from v") == [(10,)]
        judged = {entry.judged for cell in view.cells for entry in cell.rules}
        assert {row[0] for row in ask("select distinct judged from v where rule is not null")} == (
            judged
        )
        assert ask("select rule, side, ring from v where judged = 'fail'") == [
            ("NA-DR-01", "driver", "packed")
        ]
        assert ask("select cell from v where rule is null order by cell") == [
            ("blk/old-packed",),
            ("net/packed",),
            ("net/split",),
        ]
        assert ask(
            "select ring, count(distinct cell) filter (status = 'held') from v group by ring "
            "order by ring"
        ) == [("packed", 1), ("split", 2)]
        assert ask("select count(distinct cell) from v where fault is null") == [(8,)]
        smoke = "select distinct cell from v where list_contains(tags, 'smoke') order by cell"
        assert ask(smoke) == [("blk/old-split",), ("blk/split",), ("net/split",)]


def test_an_axis_that_is_called_like_a_column(view: MatrixView) -> None:
    for cell in view.cells:
        cell.planned.axes["rule"] = "all"
    frame = dataset.frame(view)
    assert frame["axis_rule"].unique().to_list() == ["all"]
    assert frame["rule"].null_count() == 3


def test_the_summary(matrix: Path) -> None:
    write_results(matrix)
    data = json.loads((matrix / "matrix.json").read_text())
    assert data["summary"] == {
        "failed": 3,
        "error": 1,
        "missing": 1,
        "inconclusive": 1,
        "impossible": 1,
        "held": 3,
    }
    assert (data["complete"], data["exit_code"]) == (False, 1)
    cells = {cell["name"]: cell for cell in data["cells"]}
    assert cells["blk/packed"]["failed"] == ["NA-DR-01"]
    assert cells["blk/packed"]["alone"]
    assert cells["net/packed"] == {
        "name": "net/packed",
        "axes": {"ring": "packed", "kernel": "debian-6.12"},
        "status": "missing",
        "why": "it was not run",
    }
