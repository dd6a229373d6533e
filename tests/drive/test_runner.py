# SPDX-License-Identifier: GPL-2.0-only
"""What is serious has to come again, where a busy machine may have made it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pykit import spec
from pykit.drive import Case, CaseOutcome, CaseResult, DriveResult, Target, expand, read_tables
from pykit.drive.lives import DrivenDevice
from pykit.drive.outcome import Effect
from pykit.drive.runner import CaseRunner
from tests.spec import deviations


class Scripted(CaseRunner[Case]):
    """Runs nothing: each run of a case has the next outcome."""

    def __init__(self, *outcomes: CaseOutcome) -> None:
        device: Any = SimpleNamespace(driver=None, peer=None, logged=0, restart=lambda: None)
        super().__init__(cast(DrivenDevice, device))
        self._outcomes = list(outcomes)

    def _once(self, case: Case) -> CaseResult:
        return CaseResult(case, self._outcomes.pop(0))


GOOD = CaseOutcome("served", "queue")
WEDGED = CaseOutcome("swallowed", "nothing")
TRESPASSED = CaseOutcome("served", "queue", trespass="1 bytes")


@pytest.mark.parametrize(
    ("outcomes", "verdict", "confirmed"),
    [
        ((WEDGED, GOOD, GOOD, GOOD), None, (0, 0)),
        ((WEDGED, GOOD, WEDGED, GOOD), "wedged", (1, 3)),
        # No load writes into memory.
        ((TRESPASSED, GOOD, GOOD, GOOD), "trespassed", (0, 3)),
        ((GOOD,), "handled", (0, 0)),
    ],
)
def test_confirmation(
    outcomes: tuple[CaseOutcome, ...], verdict: str | None, confirmed: tuple[int, int]
) -> None:
    case = next(c for c in expand(read_tables(), ["plain"]) if isinstance(c, Case))
    (found,) = Scripted(*outcomes).run([case])
    assert (found.outcome.verdict if found.outcome else None) == verdict
    assert found.confirmed == confirmed
    assert bool(found.skipped) == (verdict is None)


@pytest.mark.parametrize(("effect", "known"), [("swallowed", True), ("signal", False)])
def test_waived_deviation_is_known(tmp_path: Path, effect: Effect, known: bool) -> None:
    """What the rules waive is no failure of the case that shows the same; a crash always is."""
    (case,) = expand(read_tables(), ["table-behind-buffers/first/first/split/indirect/16"])
    found = CaseResult(case, CaseOutcome(effect, "queue"))
    result = DriveResult(Target("blk"), 1, tmp_path, cases=[found])
    assert result.wrong == [found]
    result.verdicts = spec.check(deviations.table_behind_buffers().build())
    assert (result.wrong == []) is known
