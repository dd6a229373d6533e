# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import errno
import io
import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from pykit import report
from pykit.paths import write_atomically
from pykit.report.view import ORDER, view_of
from pykit.spec import Verdicts
from pykit.spec.engine import VERDICTS
from pykit.trace import CapturedOutcome, CapturedStep, Events
from pykit.trace.events import join

from .conftest import EVIDENCE, HOSTILE, make_row, make_view

FILES = [
    "junit.xml",
    "kcidb.json",
    "report.html",
    "results.ktap",
    "sarif.json",
    "verdicts.json",
]


@pytest.fixture
def verdicts() -> Verdicts:
    failed = make_row("fail", 2, violations=2, message=HOSTILE, evidence=EVIDENCE)
    return Verdicts((make_row("pass", 1), failed), 20_000, 3)


@pytest.fixture
def events() -> Events:
    capture = replace(
        make_view().capture,
        outcome=CapturedOutcome("panic", HOSTILE),
        steps=(CapturedStep("fio", 1, 2.0, HOSTILE),),
    )
    frames, fields = join(None, None, {})
    return Events(frames, 3, (HOSTILE,), capture, devices={}, fields=fields)


def test_all_files_are_written_and_nothing_else(
    tmp_path: Path, verdicts: Verdicts, events: Events
) -> None:
    report.write_all(tmp_path, verdicts, events)
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    written = (tmp_path / "verdicts.json").read_text()
    assert json.loads(written) == verdicts.as_json()
    assert written == json.dumps(verdicts.as_json(), indent=2, sort_keys=True) + "\n"
    assert ET.parse(tmp_path / "junit.xml").getroot().get("failures") == "2"


def test_run_json_and_the_console_are_taken_from_the_directory(
    tmp_path: Path, verdicts: Verdicts, events: Events
) -> None:
    (tmp_path / "run.json").write_text('{"scenario": "blk-hotplug"}')
    (tmp_path / "console.log").write_bytes(b"early\n" * 90_000 + b"\xff\x1b[1mOops\x1b[0m <b>\n")
    report.write_all(tmp_path, verdicts, events)
    page = (tmp_path / "report.html").read_text()
    assert "blk-hotplug" in page
    assert "Oops &lt;b&gt;" in page
    assert page.count("early") < 200


@pytest.mark.parametrize("text", ["", "[]", "{", "\x00", '{"seconds": "long", "fault": {}}'])
def test_a_damaged_run_json_is_no_reason_to_give_up(
    tmp_path: Path, verdicts: Verdicts, events: Events, text: str
) -> None:
    (tmp_path / "run.json").write_text(text)
    report.write_all(tmp_path, verdicts, events)
    assert (tmp_path / "report.html").stat().st_size > 1000


def test_run_info_that_is_given_is_used(tmp_path: Path, verdicts: Verdicts, events: Events) -> None:
    report.write_all(tmp_path, verdicts, events, {"scenario": "given"})
    assert "given" in (tmp_path / "report.html").read_text()


def test_what_the_guest_said_reaches_no_output_raw(
    tmp_path: Path, verdicts: Verdicts, events: Events
) -> None:
    (tmp_path / "console.log").write_text(HOSTILE)
    report.write_all(tmp_path, verdicts, events)
    for name in FILES[:-1]:
        text = (tmp_path / name).read_text()
        assert all(character.isprintable() or character == "\n" for character in text)
    assert "<script>alert" not in (tmp_path / "report.html").read_text()
    stream = io.StringIO()
    report.print_terminal(Console(file=stream, width=100), verdicts, events)
    assert all(character.isprintable() or character == "\n" for character in stream.getvalue())


def test_the_view_is_what_the_verdicts_say(verdicts: Verdicts, events: Events) -> None:
    view = view_of(verdicts, events, {}, "")
    assert [row.rule.id for row in view.rows] == ["SD-DR-02", "SD-DR-01"]
    assert (view.counts["pass"], view.counts["fail"], view.counts["waived"]) == (1, 1, 0)
    assert (view.events, view.lost) == (20_000, 3)


def test_the_verdicts_are_the_engines() -> None:
    assert set(ORDER) == set(VERDICTS)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "verdicts.json"
    write_atomically(path, b"old")

    def full(self: Path, data: bytes) -> int:
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
