# SPDX-License-Identifier: GPL-2.0-only
"""Fetch a back-end, and lay out what it serves."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pykit.kernels import programs
from pykit.paths import cache_dir
from pykit.peers.catalog import NamedPeer

_FOLDER = "{folder}"
_DISK_BYTES = 1 << 20


@dataclass(frozen=True)
class StartedPeer:
    """A back-end that can be started.

    Attributes:
        command: program and arguments, with `{socket}` where its socket goes.
        title: name and Debian version.
    """

    command: tuple[str, ...]
    title: str


def folder() -> Path:
    """Where unpacked back-ends are, a folder for each set of packages."""
    return cache_dir().absolute() / "peers"


@contextmanager
def started(peer: NamedPeer, progress: Callable[[str], None]) -> Iterator[StartedPeer]:
    """Yield the command of a back-end, fetched unless the cache has it; what it serves is new,
    and gone afterwards.

    Raises:
        InfraError: it cannot be fetched.
    """
    root = programs.unpacked(peer.packages, folder(), progress)
    version = programs.version_of(peer.packages, folder())
    with tempfile.TemporaryDirectory(prefix="pykit-peer-") as served:
        with Path(served, "disk").open("wb") as disk:
            disk.truncate(_DISK_BYTES)
        Path(served, "share").mkdir()
        arguments = (word.replace(_FOLDER, served) for word in peer.arguments)
        yield StartedPeer((str(root / peer.program), *arguments), f"{peer.name} {version}")
