# SPDX-License-Identifier: GPL-2.0-only
"""git bisect run, driven on a small tree with commands that stand for pykit's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pykit.bisect import Found, bisect, code_for_git
from pykit.errors import Exit, InfraError, UsageError

#: A "pykit" whose kernels and runs end with what the tree's file `codes` says.
PROGRAM = """\
import sys
from pathlib import Path
here = Path(__file__).parent
with (here / "calls").open("a") as calls:
    print(*sys.argv[1:], file=calls)
if sys.argv[1:3] == ["kernel", "build"]:
    tree = Path(sys.argv[5])
    build, run = (tree / "codes").read_text().split()
    (here / "run").write_text(run)
    print("resolving minimal")
    print("minimal-tree")
    sys.exit(int(build))
assert sys.argv[1] == "run" and sys.argv[-2:] == ["--kernel", "minimal-tree"], sys.argv
sys.exit(int((here / "run").read_text()))
"""


def git(tree: Path, *arguments: str) -> str:
    names = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in
             ("NAME", "EMAIL")}  # fmt: skip
    done = subprocess.run(
        ["git", "-C", str(tree), *arguments], check=True, capture_output=True, text=True,
        env={**os.environ, **names},
    )  # fmt: skip
    return done.stdout.strip()


class Case:
    """A tree with one commit a pair of exit codes (of the build, of the run), tagged c0, c1, …"""

    def __init__(self, base: Path, codes: list[str]) -> None:
        self.base, self.tree = base, base / "tree"
        self.tree.mkdir()
        git(base, "init", "-q", "-b", "main", "tree")
        (self.tree / "Kconfig").touch()
        for number, code in enumerate(codes):
            (self.tree / "codes").write_text(code)
            (self.tree / "number").write_text(str(number))
            git(self.tree, "add", ".")
            git(self.tree, "commit", "-qm", f"change {number}")
            git(self.tree, "tag", f"c{number}")
        (base / "pykit.py").write_text(PROGRAM)
        self.last = f"c{len(codes) - 1}"

    def run(self, good: str = "c0", bad: str = "") -> Found:
        return bisect(
            self.tree,
            good=good,
            bad=bad or self.last,
            profile="minimal",
            run=["blk", "--boot", "direct"],
            say=print,
            pykit=[sys.executable, str(self.base / "pykit.py")],
        )

    def calls(self) -> list[str]:
        return (self.base / "calls").read_text().splitlines()


GOOD, BAD, NO_BUILD, NO_BOOT, UNDECIDED, WRONG = "0 0", "0 1", "3 0", "0 3", "0 4", "0 2"


@pytest.mark.parametrize("first", [1, 4, 8])
def test_the_first_bad_commit(tmp_path: Path, first: int) -> None:
    case = Case(tmp_path, [GOOD] * first + [BAD] * (9 - first))
    found = case.run()
    (suspect,) = found.suspects
    assert suspect.commit == git(case.tree, "rev-parse", f"c{first}")
    assert suspect.subject == f"change {first}"
    assert found.exit_code == Exit.OK
    assert f"kernel build minimal --source {case.tree}" in case.calls()
    assert "run blk --boot direct --kernel minimal-tree" in case.calls()


@pytest.mark.parametrize("odd", [NO_BUILD, NO_BOOT, UNDECIDED])
def test_what_cannot_be_tested_is_no_verdict(tmp_path: Path, odd: str) -> None:
    case = Case(tmp_path, [GOOD, odd, GOOD, odd, GOOD, BAD, odd, BAD])
    (suspect,) = case.run().suspects
    assert suspect.subject == "change 5"
    case.base = tmp_path / "other"
    case.base.mkdir()
    case = Case(case.base, [GOOD, GOOD, odd, odd, BAD, BAD])
    found = case.run()
    assert {suspect.subject for suspect in found.suspects} == {"change 2", "change 3", "change 4"}
    assert found.exit_code == Exit.SKIP


def test_the_tree_is_left_as_it_was(tmp_path: Path) -> None:
    case = Case(tmp_path, [GOOD, GOOD, BAD, BAD])
    case.run()
    assert git(case.tree, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert git(case.tree, "status", "--porcelain") == ""
    assert not (case.tree / ".git/BISECT_LOG").exists()


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([BAD, BAD, BAD], "c0 is not good: the run failed there"),
        ([GOOD, GOOD, GOOD], "c2 is not bad: the run held there"),
    ],
)
def test_an_end_that_is_not_what_it_was_said_to_be(
    tmp_path: Path, codes: list[str], message: str
) -> None:
    case = Case(tmp_path, codes)
    with pytest.raises(UsageError, match=message):
        case.run()
    assert git(case.tree, "symbolic-ref", "HEAD") == "refs/heads/main"


def test_an_end_that_cannot_be_tested(tmp_path: Path) -> None:
    with pytest.raises(InfraError, match="c0 cannot be tested"):
        Case(tmp_path, [NO_BUILD, GOOD, BAD]).run()


def test_bad_usage_stops_it(tmp_path: Path) -> None:
    case = Case(tmp_path, [GOOD, GOOD, WRONG, BAD, BAD])
    with pytest.raises(InfraError, match="git bisect run stopped"):
        case.run()
    assert git(case.tree, "symbolic-ref", "HEAD") == "refs/heads/main"


def test_a_tree_that_cannot_be_bisected(tmp_path: Path) -> None:
    case = Case(tmp_path, [GOOD, BAD])
    with pytest.raises(UsageError, match="no commit c7"):
        case.run(bad="c7")
    (case.tree / "number").write_text("changed")
    with pytest.raises(UsageError, match="has changes"):
        case.run()
    git(case.tree, "checkout", "number")
    git(case.tree, "bisect", "start", "c1", "c0")
    with pytest.raises(UsageError, match="is being bisected"):
        case.run()
    git(case.tree, "bisect", "reset")
    (case.tree / "Kconfig").unlink()
    with pytest.raises(UsageError, match="no kernel source tree"):
        case.run()


def test_exit_codes_for_git() -> None:
    assert {code: code_for_git(code) for code in Exit} == {
        Exit.OK: 0,
        Exit.FAILED: 1,
        Exit.USAGE: 255,
        Exit.INFRA: 125,
        Exit.SKIP: 125,
    }
    # Interrupted, or killed: git stops.
    assert code_for_git(130) == code_for_git(-9) == 255
