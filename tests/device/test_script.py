# SPDX-License-Identifier: GPL-2.0-only
"""A fault of the user's own, and scripts that are wrong."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pykit.device import load_script
from pykit.errors import Exit, InfraError, UsageError


def written(folder: Path, text: str) -> Path:
    path = folder / "late.py"
    path.write_text(text)
    return path


def test_a_script_changes_its_steps(tmp_path: Path) -> None:
    text = (
        "def change(step):\n    step.length = 5\n\ndef features(offered):\n    return offered | 8\n"
    )
    fault = load_script(written(tmp_path, text))
    step: Any = SimpleNamespace(length=0)
    fault.change(step)
    assert step.length == 5
    assert fault.features(1) == 9


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def change(step:\n", r"late\.py:1: SyntaxError"),
        ("x = 1\n1 / 0\n", r"late\.py:2: ZeroDivisionError"),
        ("raise SystemExit(0)\n", r"late\.py:1: SystemExit"),
        ("x = 1\n", "defines no function change"),
    ],
)
def test_a_wrong_script_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load_script(written(tmp_path, text))
    with pytest.raises(UsageError, match="cannot be read"):
        load_script(tmp_path / "none.py")


def test_a_script_that_raises_ends_the_device(tmp_path: Path) -> None:
    fault = load_script(written(tmp_path, "def change(step):\n    step.nothing.at_all\n"))
    with pytest.raises(InfraError, match=r"late\.py:2: AttributeError") as raised:
        fault.change(SimpleNamespace())  # type: ignore[arg-type]
    assert raised.value.exit_code == Exit.INFRA
