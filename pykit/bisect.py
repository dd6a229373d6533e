# SPDX-License-Identifier: GPL-2.0-only
"""Which commit of a kernel tree broke a scenario: git bisect run, a kernel and a run a step."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pykit.errors import Exit, InfraError, UsageError

Say = Callable[[str], None]

#: git takes that for "cannot be tested", and leaves the commit out.
_UNTESTABLE = 125
#: Above 127 git stops: what is wrong is wrong at every commit.
_STOP = 255
_PYKIT = (sys.executable, "-m", "pykit.cli")
_FOUND = re.compile(r"^# (possible )?first bad commit: \[([0-9a-f]+)\] (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Suspect:
    """A commit that may be the first bad one."""

    commit: str
    subject: str


@dataclass(frozen=True)
class Found:
    """What a bisection came to: the first bad commit, or several where some could not be tested."""

    suspects: tuple[Suspect, ...]

    @property
    def exit_code(self) -> Exit:
        """Return OK where one commit is left, else SKIP."""
        return Exit.OK if len(self.suspects) == 1 else Exit.SKIP


def code_for_git(code: int) -> int:
    """An exit code of pykit's as `git bisect run` has to have it.

    0 is good and 1 is bad. What could not be run, or was not decided, is no word on the commit;
    bad usage is none either, and will not get better.
    """
    if code in (Exit.OK, Exit.FAILED):
        return code
    return _UNTESTABLE if code in (Exit.INFRA, Exit.SKIP) else _STOP


def bisect(
    tree: Path,
    *,
    good: str,
    bad: str,
    profile: str,
    run: Sequence[str],
    say: Say,
    pykit: Sequence[str] = _PYKIT,
) -> Found:
    """Find the first bad commit between two, by `pykit kernel build` and `pykit run` in each.

    ``run`` are the arguments of `pykit run`. Both ends are tried first: a scenario that fails at
    the good one too would blame whatever commit came first. The tree is left as it was.

    Raises UsageError where the tree is none of git's, has changes or is being bisected already,
    where a revision is unknown or an end is not what it was said to be; InfraError where an end
    cannot be tested, or git stops.
    """
    tree = tree.resolve()
    _require_at_rest(tree)
    ends = {name: _commit(tree, name) for name in (good, bad)}
    step = [sys.executable, "-m", "pykit.bisect", str(tree), profile, str(len(pykit)), *pykit, *run]
    _git(tree, "bisect", "start", ends[bad], ends[good])
    try:
        for name, wanted in ((good, Exit.OK), (bad, Exit.FAILED)):
            _try_end(tree, name, ends[name], wanted, step, say)
        say(f"bisect {good}..{bad} of {tree}")
        # Its progress, and that of pykit, are for people: they go where ours goes.
        done = subprocess.run(
            ["git", "-C", str(tree), "bisect", "run", *step], check=False, stdout=sys.stderr
        )
        log = _git(tree, "bisect", "log")
    finally:
        _git(tree, "bisect", "reset")
    return _read(log, done.returncode)


def step(tree: str, profile: str, pykit: Sequence[str], run: Sequence[str]) -> int:
    """Try what is checked out; returns an exit code for git."""
    build = [*pykit, "kernel", "build", profile, "--source", tree]
    built = subprocess.run(build, check=False, stdout=subprocess.PIPE, text=True)
    if built.returncode:
        return code_for_git(built.returncode)
    kernel = built.stdout.split()[-1]
    command = [*pykit, "run", *run, "--kernel", kernel]
    return code_for_git(subprocess.run(command, check=False).returncode)


def _try_end(
    tree: Path, name: str, commit: str, wanted: Exit, command: Sequence[str], say: Say
) -> None:
    word = "good" if wanted == Exit.OK else "bad"
    say(f"try {name}, which is said to be {word}")
    _git(tree, "checkout", "--quiet", "--detach", commit)
    code = subprocess.run(command, check=False, stdout=sys.stderr).returncode
    if code == wanted:
        return
    if code in (Exit.OK, Exit.FAILED):
        raise UsageError(f"{name} is not {word}: the run {'failed' if code else 'held'} there")
    raise InfraError(f"{name} cannot be tested: see what was said above")


def _require_at_rest(tree: Path) -> None:
    if not (tree / "Kconfig").exists():
        raise UsageError(f"{tree} is no kernel source tree: name one with --source")
    top = _git(tree, "rev-parse", "--show-toplevel").strip()
    if Path(top) != tree:
        raise UsageError(f"{tree} is not the top of a git tree: that is {top}")
    if _git(tree, "status", "--porcelain", "--untracked-files=no"):
        raise UsageError(f"{tree} has changes: commit or stash them first")
    if Path(_git(tree, "rev-parse", "--absolute-git-dir").strip(), "BISECT_LOG").exists():
        raise UsageError(f"{tree} is being bisected: git -C {tree} bisect reset")


def _commit(tree: Path, name: str) -> str:
    try:
        return _git(tree, "rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}").strip()
    except InfraError:
        raise UsageError(f"{tree} has no commit {name}") from None


def _read(log: str, code: int) -> Found:
    found = _FOUND.findall(log)
    certain = [Suspect(commit, subject) for possible, commit, subject in found if not possible]
    suspects = tuple(certain or [Suspect(commit, subject) for _, commit, subject in found])
    if not suspects:
        raise InfraError(f"git bisect run stopped ({code}): see what was said above")
    return Found(suspects)


def _git(tree: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(tree), *arguments], check=False, capture_output=True, text=True
        )
    except FileNotFoundError:
        raise InfraError("there is no git on this machine: install git") from None
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise InfraError(f"git {arguments[0]}: {words[-1] if words else done.returncode}")
    return done.stdout


if __name__ == "__main__":
    count = int(sys.argv[3])
    sys.exit(step(sys.argv[1], sys.argv[2], sys.argv[4 : 4 + count], sys.argv[4 + count :]))
