# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from pykit.errors import Exit, UsageError
from pykit.matrix import CellRecord, PlanFile, read_journal
from pykit.matrix.compare.merge import merge
from pykit.matrix.plan.shard import shard
from pykit.matrix.results import load
from tests.trace.conftest import unpack
from tests.trace.test_sealed import seal

from .conftest import CELLS, RULES, records, rule, write_matrix


def complete(record: CellRecord) -> CellRecord:
    """The record with a verdict of every rule, as each run has one."""
    given = {entry.id for entry in record.rules}
    rest = [rule(name, "not-applicable") for name in (*RULES, "DX-01") if name not in given]
    return replace(record, rules=(*record.rules, *rest)) if record.rules else record


ALL = {name: complete(record) for name, record in records().items()}


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    return write_matrix(tmp_path / "matrix", ALL)


def shards(tmp_path: Path, n: int, entries: dict[str, CellRecord] = ALL) -> list[Path]:
    found = []
    for i in range(1, n + 1):
        names = [cell.name for cell in shard(list(CELLS.values()), i, n)]
        mine = {name: entries[name] for name in names if name in entries}
        found.append(write_matrix(tmp_path / str(i), mine, shard=(i, n)))
    return found


@pytest.mark.parametrize("n", [1, 3, 4, 20])
def test_shards_together_are_the_whole(tmp_path: Path, matrix: Path, n: int) -> None:
    done = merge(shards(tmp_path, n), tmp_path / "to")
    assert done.missing == ("net/packed",)
    assert done.twice == ()
    assert done.view.cells == load(matrix).cells
    assert PlanFile.read(tmp_path / "to/plan.json") == PlanFile.read(matrix / "plan.json")
    assert done.view.exit_code == Exit.FAILED
    order = [record.cell for record in read_journal(tmp_path / "to/journal.jsonl")]
    assert order == [name for name in CELLS if name in ALL]
    assert {path.name for path in (tmp_path / "to").iterdir()} >= {"results.ktap", "index.html"}


def test_a_shard_that_was_not_run_is_missing(tmp_path: Path) -> None:
    done = merge(shards(tmp_path, 3)[:2], tmp_path / "to")
    gone = {cell.name for cell in shard(list(CELLS.values()), 3, 3)} | {"net/packed"}
    assert {*done.missing} == gone
    assert done.view.counts["missing"] == len(gone)


def test_captures_come_along(tmp_path: Path) -> None:
    directories = shards(tmp_path, 2)
    for directory in directories:
        for entry in read_journal(directory / "journal.jsonl"):
            if entry.capture:
                (directory / entry.capture).mkdir(parents=True)
                (directory / entry.capture / "console.log").write_text("Oops")
    merge(directories, tmp_path / "to")
    assert (tmp_path / "to/cells/blk.packed/console.log").read_text() == "Oops"


@pytest.mark.parametrize("place", ["../1", "/etc", ".", "cells/../..", "cells/blk.split"])
def test_a_capture_that_is_elsewhere_is_not_copied(tmp_path: Path, place: str) -> None:
    entries = {"blk/packed": replace(ALL["blk/packed"], capture=place)}
    whole = write_matrix(tmp_path / "whole", entries)
    with pytest.raises(UsageError, match=r"its capture can only be cells/blk\.packed"):
        merge([whole], tmp_path / "to")
    assert not (tmp_path / "to").exists()


def capture(tmp_path: Path) -> tuple[Path, Path]:
    """A matrix of one cell, and the folder of its capture."""
    whole = write_matrix(tmp_path / "whole", {"blk/packed": ALL["blk/packed"]})
    folder = whole / "cells/blk.packed"
    folder.mkdir(parents=True)
    return whole, folder


def test_a_link_in_a_capture_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    whole, folder = capture(tmp_path)
    (folder / "stolen").symlink_to(tmp_path / "secret")
    with pytest.raises(UsageError, match="stolen is neither a folder nor a regular file"):
        merge([whole], tmp_path / "to")
    (folder / "stolen").unlink()
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(UsageError, match=r"blk\.packed is no folder"):
        merge([whole], tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_a_capture_that_was_changed_is_refused(tmp_path: Path) -> None:
    whole, folder = capture(tmp_path)
    unpack("capture-7.2.tar.xz", folder / "capture")
    seal(folder / "capture")
    merge([whole], tmp_path / "first")
    log = folder / "capture/qemu.log"
    log.write_bytes(log.read_bytes()[:1000])
    with pytest.raises(UsageError, match=r"qemu\.log: cut, .*: run the cell again"):
        merge([whole], tmp_path / "second")


def test_a_fifo_in_a_capture_does_not_stop_it(tmp_path: Path) -> None:
    whole, folder = capture(tmp_path)
    os.mkfifo(folder / "fifo")
    with pytest.raises(UsageError, match="fifo is neither"):
        merge([whole], tmp_path / "to")


def test_a_record_that_lacks_rules(tmp_path: Path) -> None:
    less = replace(ALL["blk/split"], rules=ALL["blk/split"].rules[:1])
    whole = write_matrix(tmp_path / "whole", {**ALL, "blk/split": less})
    with pytest.raises(UsageError, match="blk/split has verdicts of 1 rules, and others of 5"):
        merge([whole], tmp_path / "to")


def test_a_cell_that_was_run_twice_counts_once(tmp_path: Path) -> None:
    again = {"blk/split": replace(ALL["blk/split"], worker="another", seconds=9.0)}
    one = write_matrix(tmp_path / "one", {"blk/split": ALL["blk/split"]})
    done = merge([one, write_matrix(tmp_path / "two", again)], tmp_path / "to")
    assert done.twice == ("blk/split",)
    (entry,) = read_journal(tmp_path / "to/journal.jsonl")
    assert entry == ALL["blk/split"]


@pytest.mark.parametrize(
    ("other", "reported"),
    [
        (replace(ALL["blk/split"], outcome="panic", status="failed"), "held, clean and failed, pa"),
        (
            complete(replace(ALL["blk/split"], rules=(rule("SD-DR-01"), rule("VQ-DR-01")))),
            "VQ-DR-01 not-applicable and pass",
        ),
        (
            replace(ALL["blk/split"], rules=(rule("SD-DR-01"),)),
            "VQ-DR-01 not-applicable and absent",
        ),
    ],
)
def test_a_cell_with_two_verdicts_is_an_error(
    tmp_path: Path, other: CellRecord, reported: str
) -> None:
    one = write_matrix(tmp_path / "one", {"blk/split": ALL["blk/split"]})
    two = write_matrix(tmp_path / "two", {"blk/split": other})
    with pytest.raises(UsageError, match=rf"cell blk/split is in .* \({reported}"):
        merge([one, two], tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_plans_that_differ(tmp_path: Path) -> None:
    cells = tuple(CELLS.values())
    one = write_matrix(tmp_path / "one", {})
    two = write_matrix(tmp_path / "two", {}, cells[1:])
    with pytest.raises(UsageError, match=r"different plans \(only one has blk/split\)"):
        merge([one, two], tmp_path / "to")
    two = write_matrix(tmp_path / "two", {}, (replace(cells[0], tags=("x",)), *cells[1:]))
    with pytest.raises(UsageError, match="the same names, and other axes or tags"):
        merge([one, two], tmp_path / "to")


def test_what_cannot_be_merged(tmp_path: Path, matrix: Path) -> None:
    with pytest.raises(UsageError, match="say which"):
        merge([], tmp_path / "to")
    with pytest.raises(UsageError, match="named twice"):
        merge([matrix, matrix / "../matrix"], tmp_path / "to")
    with pytest.raises(UsageError, match="no matrix directory"):
        merge([tmp_path], tmp_path / "to")
    with pytest.raises(UsageError, match="exists and is not an empty directory"):
        merge([matrix], matrix)
