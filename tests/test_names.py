# SPDX-License-Identifier: GPL-2.0-only
"""A public class name means one thing in all of pykit."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pykit


def test_one_class_a_name() -> None:
    package = Path(pykit.__file__).parent
    modules: dict[str, list[str]] = defaultdict(list)
    for path in sorted(package.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                modules[node.name].append(str(path.relative_to(package)))
    several = {name: found for name, found in modules.items() if len(found) > 1}
    assert several == {}
