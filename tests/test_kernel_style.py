# SPDX-License-Identifier: GPL-2.0-only
"""Kernel C: differences between kernels and builds are wrapped in headers."""

from __future__ import annotations

import re
from pathlib import Path

from pykit.paths import ROOT

_CONDITIONAL = re.compile(r"\s*#\s*(if|ifdef|ifndef|elif|else|endif)\b")


def _inside_functions(path: Path) -> list[str]:
    """Conditionals between a function's braces, which stand at the beginning of a line."""
    found, inside = [], False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("{"):
            inside = True
        elif line.startswith("}"):
            inside = False
        elif inside and _CONDITIONAL.match(line):
            found.append(f"{path.relative_to(ROOT)}:{number}: {line}")
    return found


def test_bodies_have_no_conditionals() -> None:
    """A conditional belongs into a header of kernel/compat, see docs/how-to/port-to-a-kernel.md."""
    sources = [
        path
        for path in sorted((ROOT / "kernel").rglob("*.[ch]"))
        if path.parent != ROOT / "kernel/compat"
    ]
    assert sources
    assert [line for path in sources for line in _inside_functions(path)] == []


def test_a_conditional_in_a_body_is_found() -> None:
    source = ROOT / "kernel/compat/blk.h"
    assert any("PYKIT_HAVE_MAP_SG_QUEUE" in line for line in _inside_functions(source))
