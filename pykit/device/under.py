# SPDX-License-Identifier: GPL-2.0-only
"""Have a driver of another maker use the device, without a guest, with one fault at a time."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pykit.device.catalog import FAULTS, OF_DISKS
from pykit.device.faults import Ring
from pykit.drive.peer import Death, Peer
from pykit.errors import InfraError
from pykit.kernels import programs
from pykit.kernels.programs import PackagedProgram
from pykit.peers import blkio, folder
from pykit.peers.catalog import DPDK
from pykit.peers.virtio_user import VirtioUser

#: As the matrix of reactions has them (docs/matrices.md).
Fared = Literal["contained", "detected", "hung", "wrong-data", "crashed"]
#: How long the program may take, in seconds: it waits itself for a request.
_DEADLINE = 20.0
_WORDS: dict[int, Fared] = {
    blkio.RIGHT: "contained", blkio.ERROR: "detected", blkio.WRONG: "wrong-data",
    blkio.HUNG: "hung",
}  # fmt: skip


@dataclass(frozen=True)
class OtherDriver:
    """A driver of another maker.

    Attributes:
        device: type of the device that it drives.
        ring: layout of its rings; both where it is not known.
        packages: where it comes from.
        program: what of the unpacked folder is used, as a pattern.
        use: use the device at a socket, by that program; return how that went.
    """

    device: Literal["blk", "net"]
    ring: Ring
    packages: PackagedProgram
    program: str
    use: Callable[[Path, Path], tuple[Fared, str]]

    def faults(self) -> tuple[str, ...]:
        """Those that a device of its type, driven by its rings, can have."""
        return tuple(
            name
            for name, fault in FAULTS.items()
            if fault.ring == self.ring or "both" in (fault.ring, self.ring)
            if self.device == "blk" or not (fault.zoned or name in OF_DISKS)
        )


@dataclass(frozen=True)
class DriverReaction:
    """What a driver did with a fault; ``fault`` is empty for the device without one."""

    fault: str
    fared: Fared
    said: str

    def as_json(self) -> dict[str, Any]:
        """The same for other programs."""
        return {"fault": self.fault, "reaction": self.fared, "said": self.said}


def react(
    driver: OtherDriver, faults: Iterable[str], say: Callable[[str], None]
) -> Iterator[DriverReaction]:
    """Yield what a driver does with each fault; the empty name stands for none.

    Raises:
        InfraError: it cannot be fetched.
        PeerError: the device does not start.
    """
    root = programs.unpacked(driver.packages, folder(), say)
    program = next(root.glob(driver.program), None)
    if program is None:
        raise InfraError(f"{root} has no {driver.program}: remove it, to have it fetched again")
    for fault in faults:
        say(fault or "no fault")
        with _served(driver.device, fault) as socket:
            yield DriverReaction(fault, *driver.use(program, socket))


@contextmanager
def _served(device: str, fault: str) -> Iterator[Path]:
    command = [sys.executable, "-m", "pykit.cli", "device", "--device", device]
    peer = Peer([*command, "--socket", "{socket}", *(("--fault", fault) if fault else ())])
    try:
        peer.start()
        yield peer.socket
    finally:
        peer.close()


def _by_libblkio(library: Path, socket: Path) -> tuple[Fared, str]:
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


def _by_virtio_user(program: Path, socket: Path, *, packed: bool) -> tuple[Fared, str]:
    with tempfile.TemporaryDirectory(prefix="pykit-device-") as place:
        used = VirtioUser(program, socket, packed=packed, folder=Path(place))
        used.run()
    return _fared(used)


def _fared(used: VirtioUser) -> tuple[Fared, str]:
    if used.status is not None and used.status < 0:
        return "crashed", f"{Death(used.status)}: {used.last_line}"
    for number, frame in enumerate(used.got):
        if frame not in used.given:
            return "wrong-data", f"frame {number} is not one that was sent"
    if used.status is not None:
        return "detected", used.last_line
    if missing := len(set(used.given) - set(used.got)):
        return "hung", f"{missing} of {len(used.given)} frames did not come back"
    if used.got != used.given:
        return "wrong-data", "frames came back in another order, or twice"
    return "contained", f"{len(used.got)} frames verified"


DRIVERS: dict[str, OtherDriver] = {
    "libblkio": OtherDriver(
        "blk",
        "both",
        PackagedProgram("libblkio", ("sid",), ("libblkio1",)),
        "usr/lib/*/libblkio.so.1",
        _by_libblkio,
    ),
    **{
        f"virtio-user-{ring}": OtherDriver(
            "net",
            ring,
            DPDK,
            "usr/bin/dpdk-testpmd",
            partial(_by_virtio_user, packed=ring == "packed"),
        )
        for ring in ("split", "packed")
    },
}
