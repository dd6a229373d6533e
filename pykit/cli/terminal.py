# SPDX-License-Identifier: GPL-2.0-only
"""Consoles and printing that all verbs share."""

from __future__ import annotations

import json

from rich.console import Console
from rich.markup import escape

err = Console(stderr=True, highlight=False)
out = Console(highlight=False)


def say(message: str) -> None:
    """One line of progress, on standard error."""
    err.print(f"[dim]pykit:[/] {escape(message)}", soft_wrap=True)


def dump(data: object) -> None:
    """Print data as JSON on standard output."""
    print(json.dumps(data, indent=2, default=str))
