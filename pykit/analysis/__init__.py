# SPDX-License-Identifier: GPL-2.0-only
"""Analyse a run: `show` prints it, `write` exports it to other tools."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pykit.analysis.export import export
from pykit.analysis.live import LiveLook, looks
from pykit.analysis.requests import requests
from pykit.analysis.shown import Shown, one_queue, one_request
from pykit.analysis.why import Why, why_running
from pykit.analysis.why import why as _why
from pykit.trace import load

__all__ = ["LiveLook", "Shown", "Why", "follow", "requests", "show", "why", "why_running", "write"]


def show(run: Path, *, queue: str | None, request: int | None) -> Shown:
    """A run's queues, or the life of one of its requests.

    Raises:
        CaptureError: there is no such run, or it cannot be decoded.
        UsageError: no such queue or request.
    """
    events = load(_capture(run))
    table = requests(events)
    if queue is not None:
        table = one_queue(table, queue)
    if request is not None:
        table = one_request(table, request)
    return Shown(events, table, single=request is not None)


def why(run: Path) -> Why:
    """Explain which queues of a run stand still, and why; raises CaptureError."""
    return _why(_capture(run))


def follow(run: Path, *, queue: str | None, every: float = 1.0) -> Iterator[LiveLook]:
    """Look at the queues of a run that is going on; see ``looks``."""
    return looks(_capture(run), queue=queue, every=every)


def write(run: Path, form: str, path: Path) -> tuple[str, ...]:
    """Write a run in another tool's format, see ``export``; return a line for each loss."""
    capture = _capture(run)
    events = load(capture)
    export(events, capture, form, path)
    return events.losses


def _capture(run: Path) -> Path:
    return run / "capture" if (run / "capture").is_dir() else run
