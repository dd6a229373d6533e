# SPDX-License-Identifier: GPL-2.0-only
"""A disk takes over the size of its file at SIGHUP, and announces that."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from pykit.drive.carriers.vhost_user import VhostUserCarrier
from pykit.drive.driver import Shape, VirtioDriver
from pykit.drive.kinds import kind_of
from pykit.drive.memory import SharedMemory
from pykit.drive.peer import Peer
from pykit.drive.record import Recorder
from pykit.spec.bits import SECTOR
from pykit.vhost_user import Protocol


def test_growth_is_announced(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(64 * SECTOR))
    command = ["device", "--disk", str(disk), "--socket", "{socket}"]
    peer = Peer([sys.executable, "-m", "pykit.cli", *command])
    memory = SharedMemory()
    try:
        peer.start()
        kind = kind_of("blk")
        carrier = VhostUserCarrier(peer.socket, peer.activity)
        carrier.drive_also(Protocol.BACKEND_REQ)
        driver = VirtioDriver(carrier, kind, memory, Recorder(kind.type))
        driver.bring_up(Shape())
        assert int.from_bytes(carrier.config(0, 8), "little") == 64
        os.truncate(disk, 96 * SECTOR)
        os.kill(peer.pid, signal.SIGHUP)
        deadline = time.monotonic() + 10
        while not (changes := carrier.config_changes()) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert changes == 1
        assert int.from_bytes(carrier.config(0, 8), "little") == 96
        # The same size again is no change.
        os.kill(peer.pid, signal.SIGHUP)
        assert driver.serve(kind.queue, kind.request(memory, 0)) is not None
        assert carrier.config_changes() == 0
        carrier.stop()
    finally:
        peer.close()
        memory.close()
