# SPDX-License-Identifier: GPL-2.0-only
"""Drive a back-end by its name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pykit import peers
from pykit.drive.carriers.vhost import VHOST_DEVICES, VHOST_KNOWN
from pykit.drive.emulated import kind_of, known
from pykit.drive.rows import AnyCase
from pykit.drive.run import DriveResult, Progress, Target, drive
from pykit.errors import UsageError


def drive_peer(
    name: str, cases: Iterable[AnyCase], directory: Path, *, seed: int = 1, progress: Progress
) -> DriveResult:
    """Fetch a back-end unless the cache has it, drive it, and write the run directory.

    Raises:
        UsageError: there is no back-end of this name.
        PykitError: it could not be fetched, started or reached.
    """
    with _named(name, progress) as target:
        return drive(target, cases, directory, seed=seed, progress=progress)


@contextmanager
def chosen_target(
    socket: Path | None,
    peer: str | None,
    qemu: str | None,
    command: Sequence[str] | None,
    device: str,
    progress: Progress,
    *,
    guest: bool = False,
) -> Iterator[Target]:
    """Yield the one device that is named, of the type ``device`` where nothing else says it.

    Raises:
        UsageError: none is named, or more than one.
        PykitError: a back-end by its name could not be fetched.
    """
    if sum(map(bool, (socket, peer, qemu, command))) != 1:
        raise UsageError(
            "name one device: --socket PATH, --peer NAME, --qemu DEVICE, or a command with "
            "{socket} after --"
        )
    if guest and (peer or qemu):
        raise UsageError("--guest goes with --socket, or a command with {socket} after --")
    if peer:
        with _named(peer, progress) as target:
            yield target
    else:
        vhost = device if device in VHOST_DEVICES else ""
        if vhost and not guest:
            raise UsageError(f"{vhost} is a device of a guest's kernel: add --guest")
        kind = kind_of(qemu) if qemu else VHOST_DEVICES.get(device, device)
        known_so = known(qemu) if qemu else VHOST_KNOWN if vhost else ()
        yield Target(
            kind, socket, tuple(command or ()), qemu or "", known=known_so, guest=guest, vhost=vhost
        )


@contextmanager
def _named(name: str, progress: Progress) -> Iterator[Target]:
    """Yield a back-end by its name, fetched unless the cache has it.

    Raises:
        UsageError: there is no back-end of this name.
        PykitError: it could not be fetched.
    """
    peer = peers.peer_of(name)
    with peers.started(peer, progress) as one:
        yield Target(peer.kind, command=one.command, title=one.title, known=peer.known)
