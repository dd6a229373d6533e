# SPDX-License-Identifier: GPL-2.0-only
"""Begin lives of a device whose process may have ended with the one before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pykit.drive.carriers import PeerGoneError
from pykit.drive.driver import Shape, Stage, VirtioDriver
from pykit.drive.peer import Peer
from pykit.drive.record import Recorder
from pykit.observe import look_at_storage
from pykit.spec import bits


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
        if not self.driver.recorder.rows("survey_storage"):
            self.look_at_storage("begin")
        try:
            self.driver.bring_up(shape, until)
        except PeerGoneError:
            if self.peer is None or self.peer.death(DYING) is None:
                raise
            self.restart()
            self.driver.bring_up(shape, until)

    @property
    def disk(self) -> Path | None:
        """The file behind a block device, where this command made it."""
        return self.peer.disk if self.peer and self.driver.kind.id == bits.BLK_ID else None

    def look_at_storage(self, state: str) -> None:
        """Write down how much of the file behind the disk is allocated, where that is known."""
        if self.disk is not None and (found := look_at_storage(self.disk)) is not None:
            recorder = self.driver.recorder
            recorder.event("survey_storage", state=state, **found._asdict(), life=None)

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
