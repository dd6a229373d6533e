# SPDX-License-Identifier: GPL-2.0-only
"""Names of matrices and cells, and the file names made of them."""

from __future__ import annotations

import re
from pathlib import Path

#: No dot in a matrix's name, so that slug() gives no two cells the same file name.
_MATRIX = r"[A-Za-z0-9_][A-Za-z0-9_+-]{0,63}"
_CELL = rf"{_MATRIX}/[A-Za-z0-9_][A-Za-z0-9_.+-]{{0,159}}"


def is_matrix_name(text: str) -> bool:
    """Whether a matrix can be called so."""
    return re.fullmatch(_MATRIX, text) is not None


def is_cell_name(text: str) -> bool:
    """Whether a cell can be called so: matrix/cell, safe as a part of a file's name."""
    return re.fullmatch(_CELL, text) is not None


def is_pattern(text: str) -> bool:
    """Whether an argument of `pykit run` names cells, rather than a scenario or its file."""
    return "/" in text and not text.endswith(".toml") and not Path(text).exists()


def slug(cell: str) -> str:
    """A cell's name as a file's."""
    return cell.replace("/", ".")
