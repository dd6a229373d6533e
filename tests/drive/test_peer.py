# SPDX-License-Identifier: GPL-2.0-only
"""The process at the other end of a socket."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

LISTENS = """
import os, pathlib, socket, sys, time
pathlib.Path(sys.argv[2]).write_text(str(os.getpid()))
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(sys.argv[1])
    listener.listen()
    time.sleep(600)
"""
STARTS = f"""
import os, signal, sys
from pykit.drive.peer import Peer
peer = Peer([sys.executable, "-c", {LISTENS!r}, "{{socket}}", sys.argv[1]])
print(peer.socket.parent, flush=True)
peer.start()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_does_not_outlive_a_pykit_that_is_killed(tmp_path: Path) -> None:
    written = tmp_path / "pid"
    done = subprocess.run(
        [sys.executable, "-c", STARTS, written],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    # Nothing is left of that pykit that could do it.
    shutil.rmtree(done.stdout.strip())
    assert done.returncode == -signal.SIGKILL, done.stderr
    peer = Path("/proc") / written.read_text()
    end = time.monotonic() + 30
    while peer.exists():
        assert time.monotonic() < end
        time.sleep(0.01)
