# SPDX-License-Identifier: GPL-2.0-only
"""Lint the C code: the kernel tree's own checkpatch, warnings, a build with sparse and W=1.

Run as ``python -m tools.lint_kernel``; any line that one of them prints is a failure.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from pykit import kernels, modules
from pykit.errors import PykitError
from pykit.paths import ROOT

#: Complaints that hold for kernel code only: the plugin and the recorder are programs of their own,
#: without the kernel's types and functions, and declare types of QEMU's interface and the kernel's.
PROGRAM = (
    "CAMELCASE", "NEW_TYPEDEFS", "PREFER_DEFINED_ATTRIBUTE_MACRO", "PREFER_KERNEL_TYPES",
    "STRCPY", "STRNCPY",
)  # fmt: skip

#: The recorder's macros expand lists and make programs, and its messages are long.
RECORDER = (
    *PROGRAM, "ARRAY_SIZE", "AVOID_EXTERNS", "BIT_MACRO", "BRACKET_SPACE", "COMPLEX_MACRO",
    "EMBEDDED_FUNCTION_NAME", "LINE_SPACING", "MACRO_ARG_PRECEDENCE", "MACRO_ARG_REUSE",
    "MACRO_ARG_UNUSED", "MACRO_WITH_FLOW_CONTROL", "MULTISTATEMENT_MACRO_USE_DO_WHILE",
    "NAKED_SSCANF", "OPEN_BRACE", "SPACING", "SPLIT_STRING", "STRING_FRAGMENTS",
    "TRAILING_SEMICOLON", "VOLATILE",
)  # fmt: skip

#: Lists of fields for TRACE_EVENT() cannot be enclosed in parentheses.
TRACE_HEADER = ("COMPLEX_MACRO",)


def checkpatch(tree: Path) -> list[str]:
    """Complaints of ``checkpatch --strict`` about every C file that is ours."""
    events = ROOT / "kernel/include/trace/events/pykit.h"
    kernel = [*_c_files("kernel"), *_c_files("guest")]
    return [
        *_checkpatch(tree, [path for path in kernel if path != events]),
        *_checkpatch(tree, [events], TRACE_HEADER),
        *_checkpatch(tree, _c_files("plugin"), PROGRAM),
        *_checkpatch(tree, _c_files("record"), RECORDER),
    ]


def _c_files(folder: str) -> list[Path]:
    found = sorted((ROOT / folder).rglob("*.[ch]"))
    return [path for path in found if not path.name.endswith(".mod.c")]


def _checkpatch(tree: Path, files: list[Path], ignored: tuple[str, ...] = ()) -> list[str]:
    command: list[str | Path] = [
        "perl", tree / "scripts" / "checkpatch.pl", "--no-tree", "--strict", "--terse",
        "--no-summary", "--show-types",
    ]  # fmt: skip
    if ignored:
        command += ["--ignore", ",".join(ignored)]
    command += ["--file", *files]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    return (done.stdout + done.stderr).splitlines()


def plugin() -> list[str]:
    """Complaints of gcc with -Wall -Wextra about the plugin."""
    sources = [path for path in _c_files("plugin") if path.suffix == ".c"]
    command: list[str | Path] = [
        "gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror",
        "-fsyntax-only", *sources,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    return done.stderr.splitlines()


def main() -> int:
    """Print every complaint; return 0 if there is none."""
    kernel = kernels.resolve(progress=lambda line: print(line, file=sys.stderr))
    tree = kernels.source_tree(kernel, progress=lambda line: print(line, file=sys.stderr))
    found = 0
    for name, complaints in (
        ("checkpatch --strict", checkpatch(tree)),
        ("plugin, -Wall -Wextra", plugin()),
        ("W=1 C=1", modules.complaints(kernel)),
        ("W=1 C=1 FAULT=1", modules.complaints(kernel, fault=True)),
    ):
        print(f"{name}: {'clean' if not complaints else f'{len(complaints)} complaints'}")
        for line in complaints:
            print(f"  {line}")
        found += len(complaints)
    return 1 if found else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except PykitError as error:
        print(f"lint_kernel: {error}", file=sys.stderr)
        sys.exit(int(error.exit_code))
