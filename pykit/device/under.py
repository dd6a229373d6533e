# SPDX-License-Identifier: GPL-2.0-only
"""Have a driver of another maker use the device, without a guest, with one fault at a time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pykit.drive.peer import Peer
from pykit.errors import InfraError
from pykit.kernels import programs
from pykit.kernels.programs import PackagedProgram
from pykit.peers import blkio, folder

#: As the matrix of reactions has them (docs/matrices.md).
Fared = Literal["contained", "detected", "hung", "wrong-data", "crashed"]
#: How long the program may take, in seconds: it waits itself for a request.
_DEADLINE = 20.0
_LIBBLKIO = PackagedProgram("libblkio", ("sid",), ("libblkio1",))
DRIVERS = ("libblkio",)
_WORDS: dict[int, Fared] = {
    blkio.RIGHT: "contained", blkio.ERROR: "detected", blkio.WRONG: "wrong-data",
    blkio.HUNG: "hung",
}  # fmt: skip


@dataclass(frozen=True)
class DriverReaction:
    """What a driver did with a fault; ``fault`` is empty for the device without one."""

    fault: str
    fared: Fared
    said: str

    def as_json(self) -> dict[str, Any]:
        """The same for other programs."""
        return {"fault": self.fault, "reaction": self.fared, "said": self.said}


def react(faults: Iterable[str], say: Callable[[str], None]) -> Iterator[DriverReaction]:
    """Yield what libblkio does with each fault; the empty name stands for none.

    Raises:
        InfraError: it cannot be fetched.
        PeerError: the device does not start.
    """
    root = programs.unpacked(_LIBBLKIO, folder(), say)
    library = next(root.glob("usr/lib/*/libblkio.so.1"), None)
    if library is None:
        raise InfraError(f"{root} has no libblkio.so.1: remove it, to have it fetched again")
    for fault in faults:
        say(fault or "no fault")
        with _served(fault) as socket:
            yield DriverReaction(fault, *_used(library, socket))


@contextmanager
def _served(fault: str) -> Iterator[Path]:
    command = [sys.executable, "-m", "pykit.cli", "device", "--socket", "{socket}"]
    peer = Peer([*command, *(("--fault", fault) if fault else ())])
    try:
        peer.start()
        yield peer.socket
    finally:
        peer.close()


def _used(library: Path, socket: Path) -> tuple[Fared, str]:
    command = [sys.executable, "-m", blkio.__name__, str(library), str(socket)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_DEADLINE, check=False
        )
    except subprocess.TimeoutExpired:
        return "hung", f"not through after {_DEADLINE:.0f} s"
    lines = (done.stdout + done.stderr).strip().splitlines() or [""]
    if done.returncode in _WORDS:
        return _WORDS[done.returncode], lines[-1]
    if done.returncode > 0:
        raise InfraError(f"libblkio cannot be used: {lines[-1]}")
    return "crashed", lines[0]
