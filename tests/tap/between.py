# SPDX-License-Identifier: GPL-2.0-only
"""A driver of ours, a tap, and a back-end, all without a guest."""

from __future__ import annotations

import contextlib
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pykit import spec, trace
from pykit.device import FAULTS as DEVICE_FAULTS
from pykit.device import ServedDisk
from pykit.device.server import Connection
from pykit.drive import kind_of
from pykit.drive.activity import Activity
from pykit.drive.carriers.vhost_user import VhostUserCarrier
from pykit.drive.driver import VirtioDriver
from pykit.drive.lives import DrivenDevice
from pykit.drive.memory import SharedMemory
from pykit.drive.peer import Peer
from pykit.drive.record import Recorder
from pykit.spec.engine import judge
from pykit.tap import FAULTS, Injection, Tap, TapResult
from pykit.vhost_user import PeerGoneError

DAEMON = shutil.which("qemu-storage-daemon")
needs_daemon = pytest.mark.skipif(DAEMON is None, reason="qemu-storage-daemon is not installed")


class OwnDevice:
    """Our own back-end in threads of this process: stopped, it ends its connection."""

    def __init__(self, folder: Path, fault: str = "") -> None:
        self.socket = folder / "own"
        self._fault = DEVICE_FAULTS[fault] if fault else None
        self._disk = ServedDisk(None, 1 << 20, 2)
        self._served: list[socket.socket] = []

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self.socket))
        listener.listen(1)
        threading.Thread(target=self._serve, args=(listener,), daemon=True).start()

    def _serve(self, listener: socket.socket) -> None:
        with listener:
            sock, _ = listener.accept()
        self._served.append(sock)
        with sock, contextlib.suppress(PeerGoneError):
            Connection(sock, self._disk, 2, self._fault, lambda _: None).run()

    def kill(self) -> None:
        for sock in self._served:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._served.clear()

    close = kill


class Busy(Activity):
    """Of a back-end that may have something to do: its driver waits for as long as it may."""

    def __init__(self) -> None:
        super().__init__(0)

    def asleep(self) -> bool:
        return False


def daemon(disk: Path) -> Peer:
    """qemu-storage-daemon with a disk of 8 MiB in a file."""
    with disk.open("wb") as file:
        file.truncate(8 << 20)
    assert DAEMON is not None
    return Peer([
        DAEMON,
        "--blockdev", f"driver=file,node-name=disk,filename={disk}",
        "--export",
        "vhost-user-blk,id=disk,node-name=disk,writable=on,num-queues=2,"
        "addr.type=unix,addr.path={socket}",
    ])  # fmt: skip


@dataclass
class Between:
    """The three of them; ``said`` are the tap's lines."""

    peer: Peer | OwnDevice
    driver: VirtioDriver
    tap: Tap
    run: Path
    thread: threading.Thread
    said: list[str] = field(default_factory=list)

    @property
    def device(self) -> DrivenDevice:
        return DrivenDevice(self.driver, None)

    def end(self) -> TapResult:
        """End the connection and the tap; the capture is written then."""
        self.driver.carrier.stop()
        self.tap.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()
        return self.tap.result

    def verdicts(self) -> spec.Verdicts:
        """End, and judge the capture."""
        self.end()
        return spec.check(trace.load(self.run / "capture"))

    def failed(self, *rules: str) -> set[str]:
        """End, judge by these rules, and return those that failed."""
        self.end()
        events = trace.load(self.run / "capture")
        found = judge(events, [rule for rule in spec.rules() if rule.id in rules], ())
        return {verdict.rule.id for verdict in found.rules if verdict.verdict == "fail"}


@contextmanager
def between(
    folder: Path, peer: Peer | OwnDevice, fault: str = "", at: int = 1, heals: bool = False
) -> Iterator[Between]:
    """Start a back-end and a tap before it, with a driver that is not connected yet."""
    said: list[str] = []
    memory = SharedMemory()
    try:
        peer.start()
        injection = Injection(FAULTS[fault], at) if fault else None
        kind = kind_of("blk")
        tap = Tap(
            folder / "front", peer.socket, kind, folder / "run",
            injection=injection, heals=heals, say=said.append,
        )  # fmt: skip
        thread = threading.Thread(target=tap.run)
        thread.start()
        carrier = VhostUserCarrier(folder / "front", Busy())
        driver = VirtioDriver(carrier, kind, memory, Recorder(kind.type))
        found = Between(peer, driver, tap, folder / "run", thread, said)
        try:
            yield found
        finally:
            if thread.is_alive():
                found.end()
    finally:
        peer.close()
        memory.close()
