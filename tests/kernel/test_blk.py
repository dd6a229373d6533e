# SPDX-License-Identifier: GPL-2.0-only
"""The main job: the default scenario, in both runners."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import polars as pl
import pytest

from pykit import steps
from pykit.errors import Exit
from pykit.trace.guest import kind_of, own_fields
from pykit.trace.kinds import BASE, TRACEPOINTS
from pykit.trace.tracing import read_tracing
from tests.kernel.conftest import require_same_verdicts

WIDTHS = {1: pl.UInt8, 2: pl.UInt16, 4: pl.UInt32, 8: pl.UInt64}

CONTRACT = (
    "run.json", "capture", "events.parquet", "verdicts.json", "results.ktap", "junit.xml",
    "sarif.json", "kcidb.json", "report.html", "console.log",
)  # fmt: skip


@pytest.fixture(params=["direct", "vng"])
def result(request: pytest.FixtureRequest) -> steps.RunResult:
    value: steps.RunResult = request.getfixturevalue(request.param)
    return value


def test_everything_held(result: steps.RunResult) -> None:
    assert result.outcome.kind == "clean", result.outcome.message
    assert result.verdicts.having("fail") == ()
    assert result.exit_code == Exit.OK


def test_enough_was_seen_and_nothing_lost(result: steps.RunResult) -> None:
    events = result.events
    assert events.table.filter(events.table["source"] == "driver").height > 20_000
    assert (events.lost, events.losses) == (0, ())


def test_every_pass_counted_something_and_every_other_says_why(result: steps.RunResult) -> None:
    for verdict in result.verdicts.rules:
        if verdict.verdict == "pass":
            assert verdict.checked > 0, verdict.rule.id
        else:
            assert verdict.message, verdict.rule.id


def test_the_formats_are_the_ones_we_know(direct: steps.RunResult) -> None:
    """Every tracepoint is a kind with exactly these fields and widths."""
    assert direct.directory is not None
    found = {}
    for form in read_tracing(direct.directory / "capture/tracing").formats.values():
        if form.system == "pykit":
            found[kind_of(form)] = {
                field.name: pl.Int32 if field.signed else WIDTHS[field.size]
                for field in own_fields(form)
                if field.name not in BASE
            }
    assert found == TRACEPOINTS


def test_the_observers_were_compared(result: steps.RunResult) -> None:
    for name in ("XC-01", "XC-02", "XC-03"):
        assert result.verdicts.of(name).verdict == "pass"
        assert result.verdicts.of(name).checked >= 2


def test_the_run_directory_keeps_the_contract(result: steps.RunResult) -> None:
    directory = result.directory
    assert directory is not None
    assert {path.name for path in directory.iterdir()} == set(CONTRACT)
    verdicts = json.loads((directory / "verdicts.json").read_text())
    assert verdicts["schema"] == 1
    assert sum(verdicts["summary"].values()) == len(verdicts["rules"])
    assert set(verdicts["rules"][0]) == {
        "id", "clauses", "side", "strength", "verdict", "checked", "violations", "evidence",
        "message",
    }  # fmt: skip
    assert (directory / "results.ktap").read_text().startswith("KTAP version 1\n")
    assert ET.parse(directory / "junit.xml").getroot().tag == "testsuites"


def test_the_capture_gives_the_same_verdicts_again(result: steps.RunResult) -> None:
    assert result.directory is not None
    again = steps.check(result.directory, to=None)
    assert again.verdicts.as_json() == result.verdicts.as_json()
    assert again.exit_code == result.exit_code


def test_both_runners_give_the_same_verdicts(direct: steps.RunResult, vng: steps.RunResult) -> None:
    require_same_verdicts(direct, vng)
