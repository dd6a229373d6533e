# SPDX-License-Identifier: GPL-2.0-only
"""Add the files that a run reads to the installed package, below ``pykit/share/``.

In a checkout they lie beside the package, where ``make KDIR=…`` and users find them;
``pykit/paths.py`` looks in both places. A wheel has man pages as well, made from the help texts.
Everything else about the package is in pyproject.toml.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
#: Files, and whole directories. One that is not there is left out; tests/wheel compares the
#: wheel with the files that git tracks.
SHARED = (
    "Kbuild",
    "cases",
    "configs",
    "guest",
    "kernel",
    "matrices",
    "mutants",
    "plugin",
    "record",
    "scenarios",
    "tools/drgn",
    "tools/packages.tsv",
    "upstream",
)
#: What make and Python leave in the directories of a checkout: see .gitignore.
PRODUCTS = (
    "__pycache__", ".*", "*.a", "*.ko", "*.log", "*.mod", "*.mod.c", "*.o", "*.order", "*.probe",
    "*.symvers", "pykit_compat.h",
)  # fmt: skip


class BuildWithShare(build_py):
    """build_py that also copies SHARED; an editable install reads the checkout instead."""

    def run(self) -> None:
        """Copy the modules, then the shared files."""
        if self.editable_mode:
            super().run()
            return
        # An earlier build left files here that the checkout may no longer have.
        shutil.rmtree(Path(self.build_lib) / "pykit", ignore_errors=True)
        super().run()
        share = Path(self.build_lib) / "pykit" / "share"
        for name in SHARED:
            source, target = ROOT / name, share / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns(*PRODUCTS))
            elif source.exists():
                shutil.copy2(source, target)


def man_pages() -> list[tuple[str, list[str]]]:
    """Return the man pages of a wheel that is built, as data files."""
    if "bdist_wheel" not in sys.argv:
        return []
    sys.path.insert(0, str(ROOT))
    try:
        from tools.man_pages import write
    except ModuleNotFoundError as error:
        print(f"no man pages: {error.name} is not installed", file=sys.stderr)
        return []
    pages = write(ROOT / "build" / "man")
    return [("share/man/man1", [str(page.relative_to(ROOT)) for page in pages])]


setup(cmdclass={"build_py": BuildWithShare}, data_files=man_pages())
