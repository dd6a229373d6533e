# SPDX-License-Identifier: GPL-2.0-only
"""compile_commands.json, by which clangd and its like know how our C files are compiled.

Run by ``make compile_commands.json`` with the kernel's build directory, after kbuild has left
beside every object the command that made it (``.name.o.cmd``). Needs nothing but Python.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

ROOT = Path(__file__).resolve().parent.parent
#: "cmd_" before Linux 6.3; a second command (objtool's) may follow the compiler's.
_COMMAND = re.compile(r"^(?:saved)?cmd_\S+ := (.*? -c .*?)(?: ; .*)?$", re.MULTILINE)
#: gcc's own, which clang says it does not know, and what would write files.
_DROPPED = re.compile(
    r"-Wp,-MMD|-fconserve-stack|-mpreferred-stack-boundary|-mindirect-branch|-mfunction-return"
    r"|-fno-allow-store-data-races|-mrecord-mcount|-mskip-rax-setup|-fplugin|-fsanitize"
    r"|-fmin-function-alignment|-fno-tree-|-fno-ipa-|-fno-partial|-falign-|-fstrict-flex"
    r"|-ftrivial-auto-var-init|-fzero-init-padding|-flive-patching|--param"
)


class Entry(TypedDict):
    """One file, as https://clang.llvm.org/docs/JSONCompilationDatabase.html has it."""

    directory: str
    file: str
    arguments: list[str]


def compiled(kdir: Path) -> Iterator[Entry]:
    """The files that kbuild has compiled here."""
    for path in sorted(ROOT.glob("kernel/**/.*.o.cmd")):
        found = _COMMAND.search(path.read_text())
        if not found:
            continue  # a module's, made of other objects
        arguments = [word for word in shlex.split(found[1]) if not _DROPPED.match(word)]
        source = arguments.pop()
        # gcc takes any -Wno-… that it does not know.
        arguments.append("-Wno-unknown-warning-option")
        # make stays in the kernel's build directory, since Linux 6.13 it is in ours.
        directory = kdir if Path(source).is_absolute() else ROOT
        yield entry(directory, directory / source, [*arguments, source])


def left_out(known: list[Entry]) -> Iterator[Entry]:
    """Files that this build had no use for, by the command of a neighbour or of any other."""
    files = {entry["file"] for entry in known}
    for source in sorted(ROOT.glob("kernel/*/*.c")):
        if str(source) not in files and not source.name.endswith(".mod.c"):
            near = [entry for entry in known if Path(entry["file"]).parent == source.parent]
            model = (near or known)[0]
            defines = ["-DPYKIT_FAULT"] if source.name == "fault.c" else []
            arguments = [*model["arguments"][:-1], *defines, str(source)]
            yield entry(Path(model["directory"]), source, arguments)


def guest() -> Iterator[Entry]:
    """Our programs in the guest, which are no kernel code."""
    for source in sorted(ROOT.glob("guest/*/*.c")):
        flags = ["-std=gnu11", "-O2", "-pthread", "-Wall", f"-I{ROOT}/kernel/include/uapi"]
        yield entry(ROOT, source, ["gcc", *flags, "-c", str(source)])


def entry(directory: Path, source: Path, arguments: list[str]) -> Entry:
    """One entry of the database."""
    return {"directory": str(directory), "file": str(source.resolve()), "arguments": arguments}


def main() -> None:
    """Print the database for the kernel build directory that is named."""
    modules = list(compiled(Path(sys.argv[1]).resolve()))
    if not modules:
        sys.exit("no module was built here: make modules first")
    json.dump([*modules, *left_out(modules), *guest()], sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
