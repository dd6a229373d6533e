# SPDX-License-Identifier: GPL-2.0-only
"""Known failures: expected, new, unexpected passes, stale lines; the file and the verb."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pykit.baseline import BaselineFile, Examined, KnownFailure, compare, of_directory, read, render
from pykit.errors import Exit, UsageError
from tests.cli.command import pykit
from tests.cli.test_errors import one_line
from tests.matrix.conftest import CELLS, records, rule, write_matrix


def entry(what: str, where: str = "drive blk") -> KnownFailure:
    return KnownFailure(where=where, what=what, reason="issue 12")


@pytest.mark.parametrize(
    ("failed", "held", "listed", "code", "line"),
    [
        ({"DX-25": "len 0"}, (), ["DX-25"], Exit.OK, "0 new, 1 known"),
        ({"DX-25": "len 0"}, (), [], Exit.FAILED, "new failure: drive blk: DX-25: len 0"),
        ({}, ("DX-25",), ["DX-25"], Exit.FAILED, "unexpected pass: drive blk: DX-25"),
        ({}, ("request: ",), ["request: lost"], Exit.FAILED, "unexpected pass"),
        ({}, (), ["DX-25"], Exit.OK, "0 new, 0 known"),
        ({}, (), ["DX-999"], Exit.FAILED, "stale line: drive blk: DX-999"),
        ({}, (), ["no-row/split"], Exit.FAILED, "stale line"),
        ({}, (), ["next-itself/last/first/split/direct/16"], Exit.OK, "0 stale"),
        ({"outcome: hang": "stuck"}, (), ["outcome: hang"], Exit.OK, "1 known"),
        ({}, (), ["outcome: bored"], Exit.FAILED, "stale line"),
    ],
)
def test_compare(
    failed: dict[str, str], held: tuple[str, ...], listed: list[str], code: Exit, line: str
) -> None:
    baseline = BaselineFile(known=[entry(what) for what in listed])
    found = compare(baseline, [Examined("drive blk", Exit.OK, failed, frozenset(held))])
    assert found.exit_code == code
    assert line in "\n".join(found.lines())


def test_what_stays_undecided_stays_so() -> None:
    examined = [Examined("io", Exit.SKIP, {"DX-25": "x"}), Examined("net", Exit.OK)]
    baseline = BaselineFile(known=[entry("DX-25", "io"), entry("DX-25", "elsewhere")])
    assert compare(baseline, examined).exit_code == Exit.SKIP


def test_the_file_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "known.toml"
    hostile = KnownFailure(where='a"b', what="DX-25", reason="\\ \x1b]0;é", seen="x\ny\x7f")
    path.write_text(render([entry("DX-25"), hostile]))
    (first, second) = read(path).known
    assert (first.where, first.reason, second) == ('a"b', "\\ \\x1b]0;é", entry("DX-25"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[known]]\nwhere = "io"\nwhat = "DX-25"\nreason = " "\n', ":4: known[0].reason: empty"),
        ('[[known]]\nwhere = "io"\nwhat = "DX-25"\n', ":1: known[0]: reason is missing"),
        (render([entry("DX-25"), entry("DX-25")]), "DX-25 in drive blk is listed twice"),
        ("known = 1\n", "write [[known]]"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "known.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        read(path)
    assert words in str(error.value)


def driven(directory: Path, **changes: Any) -> Path:
    directory.mkdir(parents=True)
    case = {"case": "a/b", "class": "crashed", "right": ["handled"]}
    result = {
        "device": "blk", "requests": 3, "deviations": [], "classes": {"crashed": 1},
        "cases": [case, {"case": "a/c", "right": [], "skipped": "no"}],
        "failed-rules": [{"id": "DX-25", "message": "len 0"}],
    } | changes  # fmt: skip
    rules = [{"id": "SU-DE-02", "verdict": "pass"}, {"id": "DX-25", "verdict": "fail"}]
    (directory / "drive.json").write_text(json.dumps(result))
    (directory / "verdicts.json").write_text(json.dumps({"rules": rules}))
    return directory


def test_a_drive(tmp_path: Path) -> None:
    (one,) = of_directory(driven(tmp_path / "one"))
    assert one.where == "drive blk"
    assert one.failed == {"DX-25": "len 0", "a/b": "crashed (right: handled)"}
    assert one.held == {"SU-DE-02", "request: "}


def test_a_drive_of_all_devices(tmp_path: Path) -> None:
    run = json.loads((driven(tmp_path / "every/virtio-blk-pci") / "drive.json").read_text())
    devices = [
        {"device": "virtio-blk-pci", "obstacle": "", "failure": "", "run": run},
        {"device": "virtio-gpu-pci", "obstacle": "", "failure": "it did not start"},
        {"device": "virtio-snd-pci", "obstacle": "needs audio", "failure": ""},
    ]
    (tmp_path / "every/drive.json").write_text(json.dumps({"devices": devices}))
    blk, gpu = of_directory(tmp_path / "every")
    assert (blk.where, set(blk.failed)) == ("drive virtio-blk-pci", {"DX-25", "a/b"})
    assert (gpu.where, gpu.otherwise) == ("drive virtio-gpu-pci", Exit.INFRA)


def test_the_verb_and_a_matrix(tmp_path: Path) -> None:
    held = {"blk/split": records()["blk/split"]}
    cell = (CELLS["blk/split"],)
    rules = (rule("SD-DR-01", "fail"), rule("VQ-DR-01", "pass"))
    failed = {"blk/split": replace(held["blk/split"], status="failed", rules=rules)}
    bad = write_matrix(tmp_path / "bad", failed, cell)
    done = pykit("baseline", bad, cwd=tmp_path)
    assert "1 new failures (SD-DR-01): say why by --reason TEXT" in one_line(done, 2)
    done = pykit("baseline", bad, "--reason", "issue 12", cwd=tmp_path)
    assert done.stdout.splitlines() == [
        "added: blk/split: SD-DR-01",
        "pykit-baseline.toml: 1 known failures",
    ]
    (known,) = read(tmp_path / "pykit-baseline.toml").known
    assert (known.where, known.reason) == ("blk/split", "issue 12")
    # A run that is made again drops what holds now, and keeps the rest.
    good = {
        "blk/split": replace(failed["blk/split"], status="held", rules=(rule("SD-DR-01", "pass"),))
    }
    done = pykit("baseline", write_matrix(tmp_path / "good", good, cell), cwd=tmp_path)
    assert done.stdout.splitlines()[0] == "dropped: blk/split: SD-DR-01"
    assert "no run, matrix or drive" in one_line(pykit("baseline", tmp_path, cwd=tmp_path), 2)
