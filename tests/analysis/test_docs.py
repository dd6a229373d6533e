# SPDX-License-Identifier: GPL-2.0-only
"""The page on the events table is whole, and its scripts run on a real capture."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pykit import analysis
from pykit.analysis.requests import MOMENTS
from pykit.paths import ROOT
from pykit.trace import load
from pykit.trace.kinds import BASE, KINDS, SOURCES
from tests.trace.conftest import unpack

PAGE = (ROOT / "docs/events.md").read_text()
GUIDE = (ROOT / "docs/how-to/analyse-a-trace.md").read_text()
SCRIPTS = {"latency": "requests", "notifications": "parquet", "ring_space": "parquet"}


def test_every_kind_stands_there_with_its_columns() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", PAGE, re.MULTILINE))
    for kind, fields in KINDS.items():
        named = re.findall(r"`(\w+)`", rows.pop(kind))
        assert set(named) == set(fields), kind
    assert set(rows) <= set(BASE) | {"row", "source", "kind"}
    words = set(re.findall(r"`(\w+)`", PAGE))
    assert words >= {*BASE, *SOURCES, *MOMENTS}


def test_all_columns_of_requests_stand_there(tmp_path: Path) -> None:
    capture = unpack("capture-6.12.tar.xz", tmp_path)
    columns = analysis.requests(load(capture)).columns
    reported = PAGE[PAGE.index("## Requests") :]
    assert set(columns) - {"request"} <= set(re.findall(r"`(\w+)`", reported))


def test_no_script_is_forgotten() -> None:
    assert {path.stem for path in (ROOT / "docs/examples").glob("*.py")} == set(SCRIPTS)


@pytest.mark.parametrize("name", SCRIPTS)
def test_script(tmp_path: Path, name: str) -> None:
    capture = unpack("capture-6.12.tar.xz", tmp_path / "capture")
    path = tmp_path / "events.parquet"
    analysis.write(capture, SCRIPTS[name], path)
    done = subprocess.run(
        [sys.executable, ROOT / f"docs/examples/{name}.py", path],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 5


def test_the_guide_prints_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    capture = unpack("capture-6.12.tar.xz", tmp_path / "capture")
    analysis.write(capture, "parquet", tmp_path / "events.parquet")
    monkeypatch.chdir(tmp_path)
    programs = re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```", GUIDE, re.M | re.S)
    assert len(programs) == GUIDE.count("```python") == 2
    for program, shown in programs:
        exec(compile(program, "analyse-a-trace.md", "exec"), {})
        assert capsys.readouterr().out == shown
