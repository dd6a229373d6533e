# SPDX-License-Identifier: GPL-2.0-only
"""The runner: workers that die, batches that fail, and a matrix that is gone on with."""

from __future__ import annotations

from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pykit.matrix.execute import runner
from pykit.matrix.execute.batch import GuestBatch
from pykit.matrix.execute.display import Display
from pykit.matrix.execute.prepare import PreparedCells
from pykit.matrix.execute.spool import Spool
from pykit.matrix.plan.cell import MatrixCell
from pykit.matrix.record import read_journal
from tests.matrix.conftest import planned, record

CELLS = [MatrixCell(f"x/{n}", "x", "io", {}, (), ()) for n in range(6)]


class Workers:
    """Runs a batch at once; ``fates`` has what is to happen when a cell is begun."""

    workers = 2

    def __init__(self, directory: Path, fates: dict[str, list[BaseException]]) -> None:
        self._spool, self._fates = Spool(directory), fates
        self.ran: list[list[str]] = []

    def submit(self, batch: GuestBatch) -> Future[None]:
        names = [entry.cell.name for entry in batch.cells]
        self.ran.append(names)
        future: Future[None] = Future()
        for name in names:
            if any(isinstance(fate, AttributeError) for fate in self._fates.get(name, ())):
                future.set_exception(self._fates[name][0])
                return future
            self._spool.begin(name)
            if self._fates.get(name):
                future.set_exception(self._fates[name].pop(0))
                return future
            self._spool.finish(record(planned(name), scenario="io"), None)
        future.set_result(None)
        return future

    def close(self) -> None:
        pass


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    def prepared(cells: list[Any], **_: Any) -> PreparedCells:
        halves = [tuple(cells[:3]), tuple(cells[3:])]
        return PreparedCells(tuple(GuestBatch(None, half) for half in halves if half), ())

    monkeypatch.setattr(runner, "prepare", prepared)

    def run(fates: dict[str, list[BaseException]]) -> tuple[Any, list[list[str]]]:
        made: list[Workers] = []

        def executor(directory: Path, *_: Any) -> Workers:
            made.append(Workers(directory, fates))
            return made[0]

        monkeypatch.setattr(runner, "_executor", executor)
        view = runner.run(CELLS, tmp_path, say=lambda _: None, display=Display(Console(quiet=True)))
        return view, made[0].ran if made else []

    return run


def test_all(start: Any, tmp_path: Path) -> None:
    view, ran = start({})
    assert view.counts["held"] == 6
    assert [n for names in ran for n in names] == [cell.name for cell in CELLS]
    assert not (tmp_path / "spool").exists()
    _, again = start({})
    assert again == []


def test_a_worker_dies_once(start: Any) -> None:
    view, ran = start({"x/1": [BrokenProcessPool("gone")]})
    assert view.counts["held"] == 6
    assert ran == [["x/0", "x/1", "x/2"], ["x/3", "x/4", "x/5"], ["x/1"], ["x/2"]]


def test_a_worker_dies_of_a_cell(start: Any, tmp_path: Path) -> None:
    view, _ = start({"x/1": [BrokenProcessPool("gone"), BrokenProcessPool("gone")]})
    assert (view.counts["held"], view.counts["error"]) == (5, 1)
    (bad,) = [r for r in read_journal(tmp_path / "journal.jsonl") if r.status == "error"]
    assert (bad.cell, bad.outcome) == ("x/1", "not-run")
    assert bad.message == "the worker died 2 times while it ran this cell"


def test_a_cell_that_breaks_the_judge(start: Any, tmp_path: Path) -> None:
    _, _ = start({"x/4": [ValueError("odd"), ValueError("odd")]})
    (bad,) = [r for r in read_journal(tmp_path / "journal.jsonl") if r.status == "error"]
    assert bad.message == "the worker failed: odd 2 times while it ran this cell"


def test_interrupted_and_gone_on_with(start: Any, tmp_path: Path) -> None:
    class Stop(Workers):
        def submit(self, batch: GuestBatch) -> Future[None]:
            if self.ran:
                raise KeyboardInterrupt
            return super().submit(batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(__name__ + ".Workers", Stop)
        with pytest.raises(KeyboardInterrupt):
            start({})
    assert len([*Spool(tmp_path).finished()]) == 3
    view, ran = start({})
    assert ran == [["x/3", "x/4", "x/5"]]
    assert view.counts["held"] == 6


def test_a_cell_that_cannot_be_sent(start: Any) -> None:
    view, ran = start({"x/1": [AttributeError("cannot pickle")]})
    found = {cell.name: cell.record for cell in view.cells}
    assert found["x/1"].status == "error"
    assert "no worker could begin it: cannot pickle" in found["x/1"].message
    assert all(found[name].status != "error" for name in found if name != "x/1")
    assert ran.count(["x/1"]) == 1
