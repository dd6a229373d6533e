# SPDX-License-Identifier: GPL-2.0-only
"""The lines that steps of benches have in common."""

from __future__ import annotations

from pykit.paths import PROGRAMS


def measuring(name: str) -> str:
    """Lines that measure, of guest/programs, with those for idle times before them."""
    return "".join((PROGRAMS / f"{part}.sh").read_text() for part in ("idle", name))
