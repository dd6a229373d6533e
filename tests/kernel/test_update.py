# SPDX-License-Identifier: GPL-2.0-only
"""The guide to kernel updates on a tree of 24 commits: the one that broke the driver is named.

The tree is Linux's virtio_blk alone, built beside the kernel's headers as the guide has it: a step
takes a quarter of a minute, where a kernel takes many.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pykit import kernels
from pykit.paths import ROOT

KERNEL, FILE = "debian-7.2", "drivers/block/virtio_blk.c"
COMMITS, WRONG = 24, 15
GUIDE = ROOT / "docs/how-to/compare-kernels.md"


def git(tree: Path, *arguments: str) -> str:
    names = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in
             ("NAME", "EMAIL")}  # fmt: skip
    done = subprocess.run(
        ["git", "-C", str(tree), *arguments], capture_output=True, text=True, check=False,
        env={**os.environ, **names, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def grow(tree: Path, source: str) -> str:
    """Commit one function's comment after the other, and among them the fault; its commit."""
    git(tree, "init", "-q", "-b", "main")
    (tree / "Kbuild").write_text("obj-m := virtio_blk.o\n")
    (tree / ".gitignore").write_text("*.o\n*.ko\n*.mod*\n.*.cmd\nmodules.order\nModule.symvers\n")
    starts = [match.start() for match in re.finditer(r"^static ", source, re.MULTILINE)]
    assert len(starts) > COMMITS
    broken = ""
    for number in range(COMMITS):
        if number == WRONG:
            source = re.sub(
                r"^(\tblk_mq_start_request\(req\);)$",
                r"\tif (req_op(req) == REQ_OP_FLUSH)\n"
                r"\t\tvbr->out_hdr.sector = cpu_to_virtio64(vblk->vdev, blk_rq_pos(req) + 8);\n"
                r"\1",
                source, count=1, flags=re.MULTILINE,
            )  # fmt: skip
        else:
            at = [match.start() for match in re.finditer(r"^static ", source, re.MULTILINE)][number]
            source = f"{source[:at]}/* Part {number}. */\n{source[at:]}"
        (tree / "virtio_blk.c").write_text(source)
        git(tree, "add", ".")
        git(tree, "commit", "-qm", f"virtio_blk: change {number}")
        git(tree, "tag", f"v{number}")
        broken = git(tree, "rev-parse", "HEAD").strip() if number == WRONG else broken
    return broken


def step() -> str:
    """The guide's script for a driver's own tree."""
    (script,) = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    return re.sub(r"^ {3}", "", str(script), flags=re.MULTILINE)


@pytest.mark.slow
def test_a_bisection_of_a_driver_names_the_commit(tmp_path: Path) -> None:
    kernel = kernels.resolve(KERNEL)
    part = kernels.source_part(kernel, (FILE,), "virtio-blk")
    tree = tmp_path / "tree"
    tree.mkdir()
    broken = grow(tree, (part / FILE).read_text())
    script = tree.parent / "step.sh"
    script.write_text(step())
    git(tree, "bisect", "start", f"v{COMMITS - 1}", "v0")
    said = git(
        tree, "bisect", "run", "env", f"KDIR={kernel.build_dir}", f"KERNEL={KERNEL}",
        "sh", "-e", str(script),
    )  # fmt: skip
    print(said[-4000:])
    assert f"{broken} is the first bad commit" in said
    assert "BO-DR-04" in said
