# SPDX-License-Identifier: GPL-2.0-only
"""The composite action and GitLab's template: their form, their step, and a job from nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from pykit.paths import ROOT

ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
TEMPLATE = ROOT / ".ci" / "gitlab.yml"


@pytest.mark.parametrize(
    ("schema", "path"),
    [("vendor.github-actions", ROOT / "action.yml"), ("vendor.gitlab-ci", TEMPLATE)],
)
def test_the_files_are_valid(schema: str, path: Path) -> None:
    from check_jsonschema import main

    with pytest.raises(SystemExit) as ended:
        main(["--builtin-schema", schema, str(path)])
    assert ended.value.code in (0, None)


def check(folder: Path, code: int = 0, **variables: str) -> tuple[int, list[str]]:
    """Run .ci/check with a pykit that only notes its arguments; its exit code, and these."""
    fake = folder / "pykit"
    fake.write_text(f'#!/bin/sh\necho "$*" >>{folder}/calls\nexit {code}\n')
    fake.chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "PYKIT": str(fake), **variables}
    done = subprocess.run([ROOT / ".ci/check"], cwd=folder, env=environment, check=False)
    calls = folder / "calls"
    return done.returncode, calls.read_text().splitlines() if calls.exists() else []


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (
            {"PYKIT_BACK_END": "./mine --socket {socket}"},
            "drive --quick --to pykit-results --device blk -- "
            "bash -c exec ./mine --socket {socket}",
        ),
        (
            {"PYKIT_SOCKET": "/s", "PYKIT_DEVICE": "net", "PYKIT_CASES": "a/*\n\nb"},
            "drive --only a/* --only b --device net --socket /s --to pykit-results",
        ),
        ({"PYKIT_QEMU_DEVICE": "all"}, "drive --quick --qemu all --to pykit-results"),
        (
            {"PYKIT_KERNEL": "/k", "PYKIT_MODULES": "a.ko\nb.ko", "PYKIT_SCENARIO": "io"},
            "run io --boot direct --kernel /k --module a.ko --module b.ko --to pykit-results",
        ),
    ],
)
def test_the_command_of_a_step(tmp_path: Path, variables: dict[str, str], expected: str) -> None:
    assert check(tmp_path, 1, **variables) == (1, [expected])


def test_a_step_takes_the_baseline_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "known.toml").touch()
    code, calls = check(tmp_path, PYKIT_SOCKET="/s", PYKIT_BASELINE="known.toml")
    assert (code, calls[0].rpartition("pykit-results ")[2]) == (0, "--baseline known.toml")


def test_a_step_with_nothing_to_check_is_refused(tmp_path: Path) -> None:
    assert check(tmp_path) == (2, [])


@dataclass
class Runner:
    """Runs the steps of action.yml that have a command, in an environment with nothing else."""

    folder: Path
    inputs: dict[str, str]
    outputs: dict[str, str] = field(default_factory=dict)
    log: str = ""

    def job(self, **given: str) -> int:
        """Run the action in the user's repository; return the exit code of the first failure."""
        defaults = {name: entry["default"] for name, entry in ACTION["inputs"].items()}
        self.inputs = defaults | {name.replace("_", "-"): text for name, text in given.items()}
        shutil.rmtree(self.folder / "repository/pykit-results", ignore_errors=True)
        (self.folder / "summary.md").write_text("")
        for step in ACTION["runs"]["steps"]:
            if "run" in step and self._wanted(step.get("if", "")):
                code = self._step(step)
                if code:
                    return code
        return 0

    @property
    def summary(self) -> str:
        return (self.folder / "summary.md").read_text()

    def _wanted(self, condition: str) -> bool:
        compared = re.findall(r"inputs\.([a-z-]+) != ''", condition)
        return not condition or any(self.inputs[name] for name in compared)

    def _step(self, step: dict[str, Any]) -> int:
        environment = {name: self._value(text) for name, text in step.get("env", {}).items()}
        environment |= {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.folder),
            "RUNNER_TEMP": str(self.folder),
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(self.folder / "action"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
            "GITHUB_OUTPUT": str(self.folder / "outputs"),
        }
        done = subprocess.run(
            ["bash", "-e", "-c", step["run"]], cwd=self.folder / "repository", env=environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        self.log = done.stdout + done.stderr
        return done.returncode

    def _value(self, text: str) -> str:
        text = text.replace("${{ runner.temp }}", str(self.folder))
        return re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda m: self.inputs[m[1]], text)


@pytest.mark.slow
def test_a_job_from_nothing_to_its_summary(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, tracked.stdout.split("\0")):
        (tmp_path / "action" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "action" / name)
    runner = Runner(tmp_path, {})
    pykit = tmp_path / "pykit/bin/pykit"
    good = f"{pykit} device --socket {{socket}}"
    bad = f"{pykit} device --fault length-zero --socket {{socket}}"

    begun, used = time.monotonic(), os.times()
    assert runner.job(back_end=good) == 0, runner.log
    spent, now = time.monotonic() - begun, os.times()
    cpu = now.children_user + now.children_system - used.children_user - used.children_system
    print(f"from nothing to the summary: {spent:.0f} s, {cpu:.0f} s of CPU time")
    assert "pykit: everything held" in runner.summary
    results = repository / "pykit-results"
    assert {"report.html", "junit.xml", "sarif.json", "summary.md"} <= {
        path.name for path in results.iterdir()
    }
    # A new failure breaks the job.
    assert runner.job(back_end=bad) == 1
    assert "pykit: 1 new failure" in runner.summary
    assert "::error title=DX-25 MUST" in runner.log
    # In the baseline, with its reason, it does not.
    made = subprocess.run(
        [pykit, "baseline", results, "--reason", "issue 12"], cwd=repository, check=False
    )
    assert made.returncode == 0
    assert runner.job(back_end=bad) == 0, runner.log
    assert "nothing new, 1 known failure" in runner.summary
    # Once it is mended, the line has to go.
    assert runner.job(back_end=good) == 1
    assert "unexpected pass" in runner.summary
    assert "exit-code=1" in (tmp_path / "outputs").read_text().splitlines()
