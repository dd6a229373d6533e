# SPDX-License-Identifier: GPL-2.0-only
"""How the end of a guest's life is judged and described, the same for all guests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pykit.guests.channel import GuestEndedError
from pykit.run.work import Ended, ScenarioSteps
from pykit.scenario import load_scenario
from tests.guests.test_carried import archive

STATUS = b"Name:\tdd\nState:\tD (disk sleep)\nTgid:\t9\nPid:\t9\nPPid:\t1\n"


@pytest.fixture
def work(tmp_path: Path) -> ScenarioSteps:
    return ScenarioSteps(load_scenario("blk"), tmp_path, lambda _: None)


@pytest.mark.parametrize(
    ("carried", "ended", "found", "complete"),
    [
        (True, ("clean", "done"), ("clean", "done"), True),
        (True, ("hang", "timed out"), ("hang", "timed out: dd (state D)"), True),
        (False, ("hang", "timed out"), ("hang", "timed out"), False),
        (False, ("panic", "why"), ("panic", "why"), False),
    ],
)
def test_the_end_of_a_guest(
    work: ScenarioSteps, tmp_path: Path, carried: bool, ended: Ended, found: Ended, complete: bool
) -> None:
    if carried:
        (tmp_path / "carry").write_bytes(archive({"tasks/9/status": STATUS}))
    capture = tmp_path / "capture"
    capture.mkdir()
    assert work.finish(tmp_path / "carry", capture, ended, kernel="6.12") == found
    about = json.loads((capture / "capture.json").read_text())
    assert about["complete"] is complete
    assert about["outcome"] == {"kind": found[0], "message": found[1]}


def test_a_clean_end_without_a_capture_is_none(work: ScenarioSteps, tmp_path: Path) -> None:
    kind, message = work.finish(tmp_path / "carry", tmp_path, ("clean", "done"), kernel="6.12")
    assert (kind, message[:29]) == ("workload-failed", "the capture did not come out:")


def test_a_console_with_a_warning_is_not_clean(work: ScenarioSteps) -> None:
    assert work.judged("[    1.0] WARNING: CPU: 0\n")[0] == "splat"
    assert work.judged("nothing\n") == ("clean", "0 steps done")
    assert work.ended(GuestEndedError("hang", "timed out")) == ("hang", "timed out")
