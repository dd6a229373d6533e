# SPDX-License-Identifier: GPL-2.0-only
"""Check the workflows of GitHub Actions, the check of sign-offs, and the lint of shell code."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from pykit.paths import ROOT
from tools import lint_shell

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_is_valid(path: Path) -> None:
    from check_jsonschema import main

    with pytest.raises(SystemExit) as ended:
        main(["--builtin-schema", "vendor.github-workflows", str(path)])
    assert ended.value.code in (0, None)


def test_the_targets_and_scripts_that_a_workflow_calls_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (path,) = WORKFLOWS
    jobs = yaml.safe_load(path.read_text())["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    words = [command.split() for command in commands]
    targets = {line[1] for line in words if line[0] == "make"}
    assert targets >= {"lint", "setup", "validate"}
    for target in targets:
        assert f"\n{target}:" in makefile
    scripts = [line[0] for line in words if line[0].startswith(".ci/")]
    assert scripts
    for script in scripts:
        assert (ROOT / script).stat().st_mode & 0o100


def git(folder: Path, *arguments: str) -> str:
    """Run git with an author of the tests' own."""
    identity = ("-c", "user.name=A. Author", "-c", "user.email=a@example.org")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit, ``base``, that no check looks at."""
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "base")
    git(tmp_path, "tag", "base")
    return tmp_path


def sign_off(folder: Path, span: str = "base..HEAD") -> subprocess.CompletedProcess[str]:
    """Run the check."""
    command = [ROOT / ".ci" / "sign-off", span]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_signed_commits_pass(repository: Path) -> None:
    git(repository, "commit", "-q", "--allow-empty", "-s", "-m", "one")
    git(repository, "commit", "-q", "--allow-empty", "-s", "-m", "two")
    assert sign_off(repository).returncode == 0


@pytest.mark.parametrize("body", ["", "\n\nSigned-off-by: Another <b@example.org>"])
def test_a_commit_that_its_author_did_not_sign_fails(repository: Path, body: str) -> None:
    git(repository, "commit", "-q", "--allow-empty", "-m", f"bad{body}")
    git(repository, "commit", "-q", "--allow-empty", "-s", "-m", "good")
    done = sign_off(repository)
    assert done.returncode == 1
    assert "bad: no 'Signed-off-by: A. Author <a@example.org>'" in done.stderr
    assert "good" not in done.stderr


def test_an_unknown_range_is_no_success(repository: Path) -> None:
    assert sign_off(repository, "nowhere..HEAD").returncode != 0


def test_shell_warnings_name_the_script(tmp_path: Path) -> None:
    script = tmp_path / "tools" / "bad.sh"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\nfor file in $(ls *.c); do cd $file; done\n")
    found = lint_shell.complaints(lint_shell.scripts(tmp_path), tmp_path)
    assert [line for line in found if line.startswith("tools/bad.sh:2:") and "SC2164" in line]


def test_shell_warnings_name_the_step_of_a_scenario(tmp_path: Path) -> None:
    text = (ROOT / "scenarios" / "live.toml").read_text()
    broken = '\n[[step]]\nname = "broken"\nguest = """\ncd /nowhere\nls\n"""\n'
    (tmp_path / "bad.toml").write_text(text + broken)
    (line,) = lint_shell.step_complaints(tmp_path)
    assert line.startswith("scenarios/bad.toml: step broken:1:")
    assert "SC2164" in line


def test_shell_of_the_checkout_is_clean() -> None:
    assert lint_shell.main() == 0
