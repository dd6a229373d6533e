# SPDX-License-Identifier: GPL-2.0-only
"""The journal and the spool: whatever is killed, no cell is lost and none is there twice."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pykit.errors import UsageError
from pykit.matrix.execute.journal import Journal
from pykit.matrix.execute.spool import Spool
from pykit.matrix.record import read_journal
from tests.matrix.conftest import CELLS, record

SPLIT, PACKED = CELLS["blk/split"], CELLS["blk/packed"]
BOTH = [SPLIT, PACKED]


def test_what_is_added_is_there_again(tmp_path: Path) -> None:
    with Journal(tmp_path / "m", BOTH, None) as journal:
        journal.add(record(SPLIT))
        journal.add(record(SPLIT, seconds=9.0))
    with Journal(tmp_path / "m", BOTH, None) as journal:
        assert journal.records == {"blk/split": record(SPLIT)}


def test_half_a_line_goes(tmp_path: Path) -> None:
    with Journal(tmp_path, BOTH, None) as journal:
        journal.add(record(SPLIT))
    file = tmp_path / "journal.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + record(PACKED).to_json().encode()[:50])
    with Journal(tmp_path, BOTH, None) as journal:
        assert [*journal.records] == ["blk/split"]
        journal.add(record(PACKED))
    assert [r.cell for r in read_journal(file)] == ["blk/split", "blk/packed"]


def test_of_other_cells(tmp_path: Path) -> None:
    with Journal(tmp_path, BOTH, None):
        pass
    for cells, shard in (([SPLIT], None), (BOTH, (1, 2))):
        with pytest.raises(UsageError, match="is of other cells"), Journal(tmp_path, cells, shard):
            pass


def test_not_ours(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UsageError, match="not empty"), Journal(tmp_path, BOTH, None):
        pass
    with pytest.raises(UsageError, match="no directory"):
        Journal(tmp_path / "thesis.tex", BOTH, None).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_two_runners(tmp_path: Path) -> None:
    other = pytest.raises(UsageError, match="another pykit is running")
    with Journal(tmp_path, BOTH, None), other, Journal(tmp_path, BOTH, None):
        pass


def test_the_spool_keeps_what_nobody_took(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "console.log").write_text("x")
    spool = Spool(tmp_path / "m")
    spool.begin("blk/split")
    spool.begin("blk/split")
    assert [(r.cell, r.times) for r in spool.running()] == [("blk/split", 2)]
    spool.finish(record(SPLIT), run)
    (found,) = Spool(tmp_path / "m").finished()
    assert found == dataclasses.replace(record(SPLIT), capture="cells/blk.split")
    assert (tmp_path / "m/cells/blk.split/console.log").read_text() == "x"
    assert spool.done() == {"blk/split"}
    spool.taken("blk/split")
    assert not spool.running()
    assert not [*spool.finished()]


def test_a_record_that_is_taken_while_others_are_read(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "m")
    for cell in ("blk/a", "blk/b"):
        spool.finish(dataclasses.replace(record(SPLIT), cell=cell), None)
    found = spool.finished()
    assert next(found).cell == "blk/a"
    spool.taken("blk/b")
    assert [*found] == []


@pytest.mark.parametrize("name", ["..", "../x", "a/..", "/etc", ""])
def test_a_record_that_names_another_folder_removes_nothing(tmp_path: Path, name: str) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (tmp_path / "m").mkdir()
    (tmp_path / "m/journal.jsonl").write_text("")
    with pytest.raises(UsageError, match="cannot name a cell"):
        Spool(tmp_path / "m").finish(dataclasses.replace(record(SPLIT), cell=name), run)
    assert (tmp_path / "m/journal.jsonl").exists()
    assert run.is_dir()
