# SPDX-License-Identifier: GPL-2.0-only
"""Drive a back-end by its name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pykit import peers
from pykit.drive.rows import AnyCase
from pykit.drive.run import DriveResult, Progress, Target, drive


def drive_peer(
    name: str, cases: Iterable[AnyCase], directory: Path, *, seed: int = 1, progress: Progress
) -> DriveResult:
    """Fetch a back-end unless the cache has it, drive it, and write the run directory.

    Raises:
        UsageError: there is no back-end of this name.
        PykitError: it could not be fetched, started or reached.
    """
    peer = peers.peer_of(name)
    with peers.started(peer, progress) as one:
        target = Target(peer.kind, command=one.command, title=one.title, known=peer.known)
        return drive(target, cases, directory, seed=seed, progress=progress)
