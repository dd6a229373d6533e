# SPDX-License-Identifier: GPL-2.0-only
"""Print compile_commands.json, which gives clangd the compile command of each C file.

Run by ``make compile_commands.json`` with the kernel's build directory, after kbuild has written
the command of every object beside it (``.name.o.cmd``). Needs only Python.
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
#: gcc's options that clang does not know, and options that write files.
_DROPPED = re.compile(
    r"-Wp,-MMD|-fconserve-stack|-mpreferred-stack-boundary|-mindirect-branch|-mfunction-return"
    r"|-fno-allow-store-data-races|-mrecord-mcount|-mskip-rax-setup|-fplugin|-fsanitize"
    r"|-fmin-function-alignment|-fno-tree-|-fno-ipa-|-fno-partial|-falign-|-fstrict-flex"
    r"|-ftrivial-auto-var-init|-fzero-init-padding|-flive-patching|--param"
)
#: What files that a build may leave out are compiled with.
_DEFINED = (("fault*.c", "-DPYKIT_FAULT"), ("vringh.c", "-DCONFIG_VHOST_RING"))


class Entry(TypedDict):
    """One entry, in the format of https://clang.llvm.org/docs/JSONCompilationDatabase.html."""

    directory: str
    file: str
    arguments: list[str]


def compiled(kdir: Path) -> Iterator[Entry]:
    """Yield the files that kbuild has compiled here."""
    for path in sorted(ROOT.glob("kernel/**/.*.o.cmd")):
        found = _COMMAND.search(path.read_text())
        if not found:
            continue  # linked from other objects
        arguments = [word for word in shlex.split(found[1]) if not _DROPPED.match(word)]
        source = arguments.pop()
        # gcc accepts an unknown -Wno-… silently.
        arguments.append("-Wno-unknown-warning-option")
        # make runs in the kernel's build directory; since Linux 6.13 in ours.
        directory = kdir if Path(source).is_absolute() else ROOT
        yield entry(directory, directory / source, [*arguments, source])


def left_out(known: list[Entry]) -> Iterator[Entry]:
    """Yield the files that this build left out, with the command of another file.

    That is a file that includes it, or else one beside it.
    """
    files = {entry["file"] for entry in known}
    for source in sorted(ROOT.glob("kernel/*/*.c")):
        if str(source) not in files and not source.name.endswith(".mod.c"):
            name = f'"../{source.parent.name}/{source.name}"'
            users = [entry for entry in known if name in Path(entry["file"]).read_text()]
            near = [entry for entry in known if Path(entry["file"]).parent == source.parent]
            model = [*users, *near, *known][0]
            defines = [define for pattern, define in _DEFINED if source.match(pattern)]
            arguments = [*model["arguments"][:-1], *defines, str(source)]
            yield entry(Path(model["directory"]), source, arguments)


def guest() -> Iterator[Entry]:
    """Yield the guest's programs, which are user-space code."""
    for source in sorted(ROOT.glob("guest/*/*.c")):
        flags = ["-std=gnu11", "-O2", "-pthread", "-Wall", f"-I{ROOT}/kernel/include/uapi"]
        yield entry(ROOT, source, ["gcc", *flags, "-c", str(source)])


def entry(directory: Path, source: Path, arguments: list[str]) -> Entry:
    """Return one entry of the database."""
    return {"directory": str(directory), "file": str(source.resolve()), "arguments": arguments}


def main() -> None:
    """Print the database for the kernel build directory in the first argument."""
    modules = list(compiled(Path(sys.argv[1]).resolve()))
    if not modules:
        sys.exit("no module was built here: make modules first")
    json.dump([*modules, *left_out(modules), *guest()], sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
