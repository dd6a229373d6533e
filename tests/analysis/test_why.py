# SPDX-License-Identifier: GPL-2.0-only
"""Which queues stand still, and why: `pykit why` and `pykit show`."""

from __future__ import annotations

from pathlib import Path

import pytest

from pykit import analysis
from pykit.analysis.why import explain
from pykit.errors import Exit
from tests.spec.cases.base import later, like
from tests.spec.machine import run
from tests.spec.test_core import ASLEEP, HELD
from tests.trace.conftest import unpack


@pytest.mark.parametrize(
    ("name", "sentence", "rows", "others"),
    [("one-chain-a-kick", ASLEEP, 3, 1), ("attach-stuck", HELD, 0, 0)],
)
def test_stuck(tmp_path: Path, name: str, sentence: str, rows: int, others: int) -> None:
    run_dir = unpack(f"{name}.tar.xz", tmp_path)
    found = analysis.why(run_dir)
    assert found.exit_code == Exit.FAILED
    stuck = [queue for queue in found.queues if queue.stuck]
    assert [queue.sentence for queue in stuck] == [sentence]
    assert len(stuck[0].evidence) == rows
    assert len(found.queues) == 1 + others
    assert next(found.lines()) == sentence
    shown = analysis.show(run_dir, queue=None, request=None)
    assert shown.as_dict()["stuck"] == [sentence]


def test_idle() -> None:
    found = explain(run().build())
    assert (found.exit_code, list(found.lines())) == (
        Exit.OK,
        ["no queue is in use where the trace ends"],
    )


def test_at_work() -> None:
    log = like(cut=True, queues=1)()
    found = explain(log.build())
    assert found.exit_code == Exit.OK
    assert "under way" in found.queues[0].sentence
    later(log)
    assert explain(log.build()).exit_code == Exit.FAILED
    log.lost = 1
    found = explain(log.build())
    assert found.exit_code == Exit.SKIP
    assert "1 events were lost" in list(found.lines())[-1]
