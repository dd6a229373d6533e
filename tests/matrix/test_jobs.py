# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import json
import shlex
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from pykit.errors import UsageError
from pykit.matrix.ci_jobs import CiJobs, export, lava_result
from pykit.matrix.results.view import STATUSES

JOBS = CiJobs(["--only", "blk/*", "--tag", "smoke test"], cells=10, shards=3)
LAVA = replace(JOBS, repository="https://example.org/pykit.git", revision="v1")


def github(jobs: CiJobs = JOBS) -> dict[str, Any]:
    (text,) = export(jobs, "github").values()
    data: dict[str, Any] = yaml.safe_load(text)
    return data


def test_the_workflow_is_one() -> None:
    vendor = files("check_jsonschema") / "builtin_schemas" / "vendor"
    schema = json.loads((vendor / "github-workflows.json").read_text(encoding="utf-8"))
    jsonschema.validate(github(), schema)


def test_what_a_shard_runs_and_who_decides() -> None:
    jobs = github()["jobs"]
    shard, merge = jobs["shard"], jobs["merge"]
    assert shard["strategy"] == {"fail-fast": False, "matrix": {"shard": [1, 2, 3]}}
    (run,) = [step["run"] for step in shard["steps"] if "matrix" in step.get("run", "")]
    command, _, rest = run.replace("${{ matrix.shard }}", "2").partition(" || ")
    assert shlex.split(command) == [
        ".venv/bin/pykit", "matrix", "--only", "blk/*", "--tag", "smoke test", "--shard", "2/3",
        "--to", "shard",
    ]  # fmt: skip
    for code, green in ((0, True), (1, False), (2, False), (3, False), (4, True)):
        done = subprocess.run(["bash", "-ec", f"(exit {code}) || {rest}"], check=False)
        assert (done.returncode == 0) == green
    # It runs after shards that failed as well, for a cell that did not hold is no reason to stop.
    assert merge["needs"] == "shard"
    assert merge["if"] == "${{ !cancelled() }}"
    assert {"run": ".venv/bin/pykit merge shards/* --to matrix"} in merge["steps"]


def test_more_cells_have_more_time() -> None:
    def minutes(cells: int, shards: int) -> int:
        found = github(CiJobs([], cells, shards))["jobs"]["shard"]["timeout-minutes"]
        assert isinstance(found, int)
        return found

    assert minutes(1, 1) < minutes(100, 1) < minutes(400, 1)
    assert minutes(400, 4) == minutes(100, 1)
    assert minutes(100_000, 1) == 360


def test_a_lava_job_a_shard() -> None:
    found = export(LAVA, "lava")
    assert [*found] == ["pykit-1-of-3.yaml", "pykit-2-of-3.yaml", "pykit-3-of-3.yaml"]
    job = yaml.safe_load(found["pykit-2-of-3.yaml"])
    assert {"job_name", "device_type", "priority", "visibility", "timeouts", "actions"} == {*job}
    assert [next(iter(action)) for action in job["actions"]] == ["deploy", "boot", "test"]
    (definition,) = job["actions"][2]["test"]["definitions"]
    assert definition["from"] == "inline"
    steps = definition["repository"]["run"]["steps"]
    assert all(isinstance(step, str) for step in steps)
    assert "git clone https://example.org/pykit.git pykit" in steps
    assert "git checkout v1" in steps
    run = ".venv/bin/pykit matrix --only 'blk/*' --tag 'smoke test' --shard 2/3 "
    assert any(step.startswith(run) for step in steps)


def test_what_lava_is_told(tmp_path: Path) -> None:
    """The last steps, run by a shell on a matrix.json that has every status."""
    (text, *_) = export(LAVA, "lava").values()
    test = yaml.safe_load(text)["actions"][2]["test"]
    steps = test["definitions"][0]["repository"]["run"]["steps"]
    (tell, read) = steps[-2:]
    cells = [{"name": f"blk/{status}", "status": status} for status in STATUSES]
    (tmp_path / "shard").mkdir()
    (tmp_path / "shard/matrix.json").write_text(json.dumps({"cells": cells}))
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    script = f'lava-test-case() {{ echo "$@"; }}\nset -e\n{tell}\n{read}\n'
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == [
        f"blk.{status} --result {lava_result(status)}" for status in STATUSES
    ]


def test_what_cannot_be_exported() -> None:
    with pytest.raises(UsageError, match="10 cells make 1 to 10 shards, not 11"):
        export(replace(JOBS, shards=11), "github")
    with pytest.raises(UsageError, match="not 0"):
        export(replace(JOBS, shards=0), "github")
    with pytest.raises(UsageError, match="say --repository and --revision"):
        export(JOBS, "lava")
