# SPDX-License-Identifier: GPL-2.0-only
"""Source trees to build kernels from, and how changes are detected."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pykit.errors import UsageError
from pykit.kernels.model import Kernel, Progress
from pykit.kernels.sources import whole_tree

#: What kbuild leaves in a tree that was built in; it refuses to build beside such a tree.
_PRODUCTS = (".config", "include/config", "arch/x86/include/generated")


@dataclass(frozen=True)
class KernelSource:
    """A tree to build from.

    Attributes:
        tree: its top directory.
        name: "6.12" for Debian's 6.12, else the directory's own.
        identity: changes whenever a file of it does.
    """

    tree: Path
    name: str
    identity: str


def of_kernel(kernel: Kernel, progress: Progress) -> KernelSource:
    """The source that one of Debian's kernels was built from, fetched on demand."""
    tree, version = whole_tree(kernel, progress)
    return KernelSource(tree, kernel.name.removeprefix("debian-"), f"debian {version}")


def of_directory(path: Path) -> KernelSource:
    """Return a user's own tree.

    Raises: UsageError where it is none, or has been built in.
    """
    tree = path.resolve()
    if not (tree / "Kconfig").exists() or not (tree / "scripts").is_dir():
        raise UsageError(f"{path} is no kernel source tree: name one, or debian-6.12")
    if re.search(r"[\s:]", str(tree)):
        raise UsageError(f"{tree}: kbuild wants a path without spaces and colons")
    if any((tree / product).exists() for product in _PRODUCTS):
        raise UsageError(
            f"{tree} has been built in: run 'make mrproper' there, or take the kernel that was "
            f"built with --kernel {path}"
        )
    return KernelSource(tree, re.sub(r"[^\w.+-]", "-", tree.name), _identity(tree))


def _identity(tree: Path) -> str:
    digest = hashlib.sha256()
    for part in _git_state(tree) or _file_times(tree):
        digest.update(part)
    return digest.hexdigest()


def _git_state(tree: Path) -> list[bytes] | None:
    """Hash git's commit, the changes since, and untracked files; None without git."""

    def git(*arguments: str) -> bytes:
        command = ["git", "-C", str(tree), *arguments]
        return subprocess.run(command, check=True, capture_output=True).stdout

    try:
        if Path(os.fsdecode(git("rev-parse", "--show-toplevel").strip())) != tree:
            return None
        state = [git("rev-parse", "HEAD^{tree}"), git("diff", "--binary", "HEAD")]
        others = git("ls-files", "--others", "--exclude-standard", "-z").split(b"\0")
    except (OSError, subprocess.CalledProcessError):
        return None
    for name in filter(None, others):
        state += [name, (tree / os.fsdecode(name)).read_bytes()]
    return state


def _file_times(tree: Path) -> Iterator[bytes]:
    for directory, folders, names in os.walk(tree):
        folders.sort()
        for name in sorted(names):
            path = Path(directory, name)
            stat = path.lstat()
            yield f"{path.relative_to(tree)}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode()
