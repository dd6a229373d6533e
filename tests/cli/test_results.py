# SPDX-License-Identifier: GPL-2.0-only
"""The verbs that compare, merge, export and bisect, from their command line to their exit code."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from pykit.spec import check
from pykit.trace import load

from ..matrix.conftest import CELLS, records, rule, write_matrix
from ..trace.conftest import unpack
from .command import pykit
from .test_errors import one_line

HELD = {"blk/split": records()["blk/split"]}
CELL = (CELLS["blk/split"],)
FAILED = {
    "blk/split": replace(
        HELD["blk/split"],
        status="failed",
        rules=(rule("SD-DR-01", "fail"), rule("VQ-DR-01", "not-applicable")),
    )
}


def test_diff(tmp_path: Path) -> None:
    old = write_matrix(tmp_path / "old", HELD, CELL)
    new = write_matrix(tmp_path / "new", FAILED, CELL)
    done = pykit("diff", old, new, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "new violation: SD-DR-01: SD-DR-01 fail (device 0 life 0 queue 1 seq 12)",
        "    blk/split",
        "1 cells compared, 1 changes for worse",
    ]
    assert pykit("diff", new, old, cwd=tmp_path).returncode == 0
    data = json.loads(pykit("diff", old, new, "--json", cwd=tmp_path).stdout)
    assert data["changes"][0]["kind"] == "new violation"
    assert "no run and no matrix" in one_line(pykit("diff", old, tmp_path, cwd=tmp_path), 2)


def test_merge(tmp_path: Path) -> None:
    one = write_matrix(tmp_path / "one", HELD, CELL)
    two = write_matrix(tmp_path / "two", HELD, CELL)
    done = pykit("merge", one, two, "--to", "whole", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "in more than one directory, with the same verdicts: blk/split",
        "1 held",
        "report: whole/index.html",
    ]
    assert json.loads((tmp_path / "whole/matrix.json").read_text())["complete"]
    write_matrix(two, FAILED, CELL)
    message = one_line(pykit("merge", one, two, "--to", "again", cwd=tmp_path), 2)
    assert "cell blk/split is in" in message
    write_matrix(one, {}, CELL)
    done = pykit("merge", one, "--to", "again", "--json", cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout)["summary"]["missing"]) == (3, 1)


@pytest.mark.parametrize("system", ["github", "lava"])
def test_export_jobs(tmp_path: Path, system: str) -> None:
    arguments = ["export-jobs", "--to", system, "--all", "--shards", "2", "-o", "jobs"]
    arguments += ["--repository", "https://example.org/p.git", "--revision", "v1"]
    done = pykit(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = done.stdout.split()
    assert {tmp_path / name for name in names} == {*(tmp_path / "jobs").iterdir()}
    for name in names:
        assert "matrix --all --shard" in str(yaml.safe_load((tmp_path / name).read_text()))


def test_what_is_to_be_exported_is_said(tmp_path: Path) -> None:
    done = pykit("export-jobs", "--to", "github", "-o", "jobs", cwd=tmp_path)
    assert "no cells chosen" in one_line(done, 2)
    done = pykit("export-jobs", "--to", "lava", "--all", "-o", "jobs", cwd=tmp_path)
    assert "--repository" in one_line(done, 2)
    assert not (tmp_path / "jobs").exists()


def test_bisect(tmp_path: Path) -> None:
    arguments = ["bisect", "--good", "a", "--bad", "b", "--source", tmp_path, "--", "blk"]
    assert "no kernel source tree" in one_line(pykit(*arguments, cwd=tmp_path), 2)


def test_exit_codes_for_git(tmp_path: Path) -> None:
    # Not there: bad usage for a person, and for git a reason to stop.
    assert pykit("run", "no-such-scenario", cwd=tmp_path).returncode == 2
    assert pykit("run", "no-such-scenario", "--bisect", cwd=tmp_path).returncode == 255
    missing = {"PYKIT_QEMU": "/nowhere/qemu", "XDG_CACHE_HOME": str(tmp_path)}
    plain = pykit("run", "seabios", cwd=tmp_path, **missing).returncode
    assert plain in (2, 3)
    code = pykit("run", "seabios", "--bisect", cwd=tmp_path, **missing).returncode
    assert code == (125 if plain == 3 else 255)


def test_a_finding_of_a_capture(tmp_path: Path) -> None:
    capture = unpack("used-len-zero.tar.xz", tmp_path) / "capture"
    failed = [r.rule.id for r in check(load(capture)).rules if r.verdict == "fail"]
    done = pykit("finding", capture, cwd=tmp_path)
    assert done.returncode == 0
    assert re.findall(r"(?m)^# The \w+ deviates from ([\w-]+):", done.stdout) == failed != []
    assert pykit("finding", capture, failed[0], "-o", "x.md", cwd=tmp_path).returncode == 0
    assert (tmp_path / "x.md").read_text().startswith("# The ")
    assert "is pass here" in one_line(pykit("finding", capture, "DX-01", cwd=tmp_path), 2)
