# SPDX-License-Identifier: GPL-2.0-only
"""A newer suite's programs, made to run on this machine from a plain folder.

They want a newer C library than the machine's. Each is replaced by a script that starts
it with its own suite's loader and libraries; no root, no chroot, nothing installed.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

#: What kbuild's tools and the compiler that a headers package names need; libraries to
#: link programs with (-dev) are not needed for modules.
PACKAGES = re.compile(r"(?:gcc|cpp)-[0-9]+-(?:for-host|x86)|binutils|pahole$|lib(?!.*-dev$)")

#: Of the suite's C library, below the folder.
LOADER = Path("usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")

_PREFIX = "x86_64-linux-gnu-"

_SCRIPT = """\
#!/bin/sh
exec {loader} --argv0 "$0" --library-path {libraries} {program} "$@"
"""


def make_runnable(root: Path, final: Path) -> None:
    """Wrap every program below `root`, so that it runs once the folder is at `final`.

    Programs in ``usr/bin`` get their plain names too (as, ld): the compiler looks for
    those on the PATH.
    """
    for program in list(_programs(root)):
        wrapped = program.with_name(program.name + ".elf")
        program.rename(wrapped)
        words = {
            "loader": final / LOADER,
            "libraries": final / LOADER.parent,
            "program": final / wrapped.relative_to(root),
        }
        quoted = {name: shlex.quote(str(path)) for name, path in words.items()}
        program.write_text(_SCRIPT.format(**quoted), encoding="utf-8")
        program.chmod(0o755)
    tools = root / "usr/bin"
    for tool in list(tools.glob(f"{_PREFIX}*")):
        plain = tools / tool.name.removeprefix(_PREFIX)
        if not tool.name.endswith(".elf") and not plain.exists():
            plain.symlink_to(tool.name)


def _programs(root: Path) -> Iterator[Path]:
    """Executable ELF files with an interpreter. The C library and its loader can be run
    too, but are libraries all the same."""
    for directory, _, names in os.walk(root):
        for name in names:
            path = Path(directory, name)
            if path.is_symlink() or ".so" in name or not path.stat().st_mode & 0o111:
                continue
            with path.open("rb") as file:
                try:
                    segments = list(ELFFile(file).iter_segments("PT_INTERP"))
                except ELFError:
                    continue
            if segments:
                yield path
