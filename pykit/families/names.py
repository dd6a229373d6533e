# SPDX-License-Identifier: GPL-2.0-only
"""How cells are named."""

from __future__ import annotations

from pathlib import Path


def is_pattern(text: str) -> bool:
    """Whether an argument of `pykit run` names cells, and no scenario or file of one."""
    return "/" in text and not text.endswith(".toml") and not Path(text).exists()


def slug(cell: str) -> str:
    """A cell's name as a file's."""
    return cell.replace("/", ".")
