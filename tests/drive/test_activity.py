# SPDX-License-Identifier: GPL-2.0-only
"""What a process does, from what the kernel counts of it; and connections that do not last."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from pykit.drive.carriers import PeerGoneError
from pykit.drive.carriers.vhost_user import VhostUserCarrier
from pykit.drive.memory import SharedMemory
from pykit.drive.peer import Peer
from pykit.vhost_user import U64, FrontEndRequest, listen, receive, send


@pytest.mark.parametrize(("does", "polls"), [("while True: pass", True), ("s.accept()", False)])
def test_a_peer_that_polls_keeps_its_mark(does: str, polls: bool) -> None:
    program = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_UNIX)\n"
        "s.bind(sys.argv[1])\n"
        f"s.listen()\n{does}\n"
    )
    peer = Peer([sys.executable, "-c", program, "{socket}"])
    try:
        peer.start()
        assert not peer.activity.polls
        before = peer.activity.ran()
        peer.observe_idle()
        assert peer.activity.polls == polls
        assert (peer.activity.ran() - before > 0.01) == polls
        peer.kill()
        peer.start()
        assert peer.activity.polls == polls
    finally:
        peer.close()


@pytest.mark.parametrize(("resets", "reached"), [(2, True), (9, False)])
def test_connections_that_end_at_once(tmp_path: Path, resets: int, reached: bool) -> None:
    """A daemon that makes its listener anew resets what waited at the old one."""
    listener = listen(tmp_path / "socket", 8)

    def serve() -> None:
        for _ in range(resets):
            try:
                listener.accept()[0].close()
            except OSError:
                return
        connection, _ = listener.accept()
        with connection:
            receive(connection)
            send(connection, FrontEndRequest.GET_FEATURES, U64.pack(1 << 32), 4)
            receive(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    memory = SharedMemory()
    carrier = VhostUserCarrier(tmp_path / "socket")
    try:
        if reached:
            carrier.reset(memory)
            assert carrier.offered() == 1 << 32
        else:
            with pytest.raises(PeerGoneError):
                carrier.reset(memory)
    finally:
        carrier.stop()
        memory.close()
        listener.close()
