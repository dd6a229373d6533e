# SPDX-License-Identifier: GPL-2.0-only
"""TOML files: the line of everything that stands in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pykit.errors import UsageError
from pykit.toml import TomlFile, choice

TEXT = '''# a comment
a.b = 1
"quoted key" = [
  1,
  { x = 2 },
]
[table]
text = """
[not.a.table]
"""
[table.inner]
y = 3
[[array]]
z = 4
[[array]]
[array.sub]
w = 5
[[array.deep]]
v = 6
'''


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("a",), 2),
        (("a", "b"), 2),
        (("quoted key", 0), 4),
        (("quoted key", 1, "x"), 5),
        (("table",), 7),
        (("table", "text"), 8),
        (("table", "inner", "y"), 12),
        (("array", 0, "z"), 14),
        (("array", 1, "sub", "w"), 17),
        (("array", 1, "deep", 0, "v"), 19),
        (("array", 1, "sub", "lacks"), 16),
        (("nothing",), 1),
    ],
)
def test_lines(tmp_path: Path, place: tuple[str | int, ...], line: int) -> None:
    path = tmp_path / "x.toml"
    path.write_text(TEXT)
    assert str(TomlFile(path).wrong(place, "w")).startswith(f"{path}:{line}: ")


@pytest.mark.parametrize(
    ("text", "line"), [("a = ", 1), ("a = 1\nb = [", 2), ("a = 1\na = 2\n", 2), ("[x\n", 1)]
)
def test_no_toml(tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=rf"x\.toml:{line}: "):
        TomlFile(path)


def test_no_text(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b"\xff")
    for name in ("x.toml", "lacks.toml", ""):
        with pytest.raises(UsageError, match="cannot be read"):
            TomlFile(tmp_path / name)


def test_what_was_meant() -> None:
    near = "unknown tag 'smok' (did you mean 'smoke'?)"
    assert choice("smok", ["smoke", "blk"], "tag") == near
    assert choice("x", ["b", "a"], "tag") == "unknown tag 'x' (choose from a, b)"
    assert choice("x", [], "tag") == "unknown tag 'x' (there are none)"
