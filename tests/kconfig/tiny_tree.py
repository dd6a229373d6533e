# SPDX-License-Identifier: GPL-2.0-only
"""Kernel trees of a few lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

#: Writes a tree with that Kconfig, below a MODULES symbol.
MakeTree = Callable[[str], Path]

_MODULES = """\
config MODULES
	bool "modules"
	modules
	default y

"""


def write_tree(tree: Path, kconfig: str) -> Path:
    """A folder that passes for a kernel source tree."""
    tree.mkdir(exist_ok=True)
    (tree / "Makefile").write_text(
        "VERSION = 7\nPATCHLEVEL = 2\nSUBLEVEL = 0\nEXTRAVERSION = -rc1\n"
    )
    (tree / "Kconfig").write_text(_MODULES + kconfig)
    return tree
