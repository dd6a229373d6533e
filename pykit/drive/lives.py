# SPDX-License-Identifier: GPL-2.0-only
"""Begin lives of a device whose process may have ended with the one before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pykit.drive.carriers import PeerGoneError
from pykit.drive.driver import Shape, Stage, VirtioDriver
from pykit.drive.peer import Peer
from pykit.drive.record import Recorder


@dataclass(frozen=True)
class DrivenDevice:
    """A driver with its carrier, and the process behind it where this command started it."""

    driver: VirtioDriver
    peer: Peer | None

    @property
    def logged(self) -> int:
        """Bytes that the process has written to its output until now."""
        return self.peer.logged if self.peer is not None else 0

    def begin(self, shape: Shape, until: Stage = "live") -> None:
        """Begin a life, up to a stage; start the process again where it has ended.

        Some back-ends end with their connection, so that an end in between is no fault.

        Raises:
            PeerGoneError: the device cannot be reached.
            UsageError: it does not offer the ring layout that is wanted.
        """
        if self.peer is not None and self.peer.death() is not None:
            self.restart()
        try:
            self.driver.bring_up(shape, until)
        except PeerGoneError:
            if self.peer is None or self.peer.death(DYING) is None:
                raise
            self.restart()
            self.driver.bring_up(shape, until)

    def save(self, capture: Path, peer: str, message: str) -> None:
        """Write what was recorded to a new capture directory, and begin a new record.

        Args:
            capture: the directory, which must not exist.
            peer: program and version at the other side.
            message: how it ended, in one line.
        """
        recorder = self.driver.recorder
        recorder.save(capture, peer, "clean", message)
        self.driver.recorder = Recorder(recorder.device, recorder.options)

    def disconnect(self) -> None:
        """End the connection; a process that is not ours may be another one behind it."""
        self.driver.carrier.stop()
        if self.peer is None:
            self.driver.recorder.event("restarted", life=None)

    def restart(self) -> None:
        """Start the process anew, where it is ours; else only end the connection."""
        self.driver.carrier.stop()
        self.driver.recorder.event("restarted", life=None)
        # A QEMU begins its log anew.
        self.driver.recorder.log = None
        if self.peer is not None:
            self.peer.kill()
            self.peer.start()
            self.driver.carrier.attend(self.peer.activity)


#: How long a process may take to die after it has ended the connection, in seconds.
DYING = 0.3
