# SPDX-License-Identifier: GPL-2.0-only
"""Run a cell that needs no guest: a back-end that is driven by our own driver."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pykit.guests import Outcome


def driven_without_guest(peer: str, out: Path, say: Callable[[str], None]) -> Outcome:
    """Drive a back-end by its name, and leave the capture in ``out``.

    Raises: PykitError for one that cannot be fetched, started or reached.
    """
    from pykit import drive

    cases = drive.expand(drive.read_tables())
    result = drive.drive_peer(peer, cases, out, progress=say)
    wrong, deviate = len(result.wrong), len(result.deviations)
    known = sum(result.known_as(case) is not None for case in result.cases)
    words = (
        f"{result.requests} conforming requests, {deviate} deviate; "
        f"{result.classes.total()} cases, {wrong} deviate, {known} as is known"
    )
    title = str(result.target)
    return Outcome("workload-failed" if wrong or deviate else "clean", words, qemu=title)
