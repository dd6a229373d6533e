# SPDX-License-Identifier: GPL-2.0-only
"""The process at the other end of a socket: start it, know how it ended, start it again."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pykit.drive.activity import Activity
from pykit.errors import PykitError, UsageError
from pykit.scenario.model import SOCKET
from pykit.vhost_user import listens

#: Stands for the path of a raw file that is made for the process, and how large that is.
DISK, DISK_BYTES = "{disk}", 64 << 20
#: How long a process may take until its socket is there, and until it has died, in seconds.
START, END = 60.0, 5.0
_KEPT = 64 << 10


class PeerError(PykitError):
    """The process could not be started."""


@dataclass(frozen=True)
class Death:
    """How a process ended: its exit status, or the signal that killed it."""

    status: int

    @property
    def signal(self) -> str:
        """Name of the signal; empty for an exit."""
        if self.status >= 0:
            return ""
        try:
            return signal.Signals(-self.status).name
        except ValueError:
            return f"signal {-self.status}"

    def __str__(self) -> str:
        return f"killed by {self.signal}" if self.status < 0 else f"exited with {self.status}"


class Peer:
    """A back-end that this process starts, with its output read along and bounded.

    Args:
        command: program and arguments; ``{socket}`` stands for the socket's path, ``{disk}`` for
            that of a disk that is empty at first.
        quote: how a path is written in these arguments.

    Raises:
        UsageError: the command names no socket, or the program is not there.
    """

    def __init__(self, command: Sequence[str], quote: Callable[[Path], str] = str) -> None:
        if not any(SOCKET in part for part in command):
            raise UsageError(f"the command names no socket: write {SOCKET} where its path goes")
        if shutil.which(command[0]) is None:
            raise UsageError(f"no program {command[0]!r}: install it, or name its path")
        self._command, self._quote = list(command), quote
        self._folder = Path(tempfile.mkdtemp(prefix="pykit-drive-"))
        self.socket = self._folder / "socket"
        #: The file behind a disk, where the command names it.
        self.disk: Path | None = None
        if any(DISK in part for part in command):
            self.disk = self._folder / "disk"
            with self.disk.open("wb") as file:
                file.truncate(DISK_BYTES)
        self._process: subprocess.Popen[bytes] | None = None
        self._tail = b""
        #: Bytes of output of all that were started.
        self.logged = 0
        self.starts = 0
        self._polls = False
        self.activity = Activity(0)

    def start(self) -> None:
        """Start the process and wait until it listens.

        Raises:
            PeerError: it ended before, or did not listen in time.
        """
        self.socket.unlink(missing_ok=True)
        self._tail = b""
        named = {SOCKET: self._quote(self.socket)}
        if self.disk is not None:
            named[DISK] = self._quote(self.disk)
        arguments = self._command
        for name, path in named.items():
            arguments = [part.replace(name, path) for part in arguments]
        self._process = subprocess.Popen(
            # Whatever becomes of pykit, the process does not outlive it.
            ["setpriv", "--pdeathsig", "KILL", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        # A crash must not write the process's memory to the disk.
        resource.prlimit(self._process.pid, resource.RLIMIT_CORE, (0, 0))
        self.starts += 1
        self.activity = Activity(self._process.pid, self._polls)
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()
        deadline = time.monotonic() + START
        while not listens(self.socket):
            if (death := self.death()) is not None:
                raise PeerError(f"{self._command[0]} {death} before it listened: {self.last_line}")
            if time.monotonic() > deadline:
                self.kill()
                raise PeerError(
                    f"{self._command[0]} did not make {SOCKET} within {START:.0f} s: "
                    "check its arguments"
                )
            time.sleep(0.002)

    def observe_idle(self) -> None:
        """Find out whether the process polls: it is busy while it has nothing to do."""
        self._polls = self.activity.never_sleeps()
        self.activity.polls = self._polls

    def death(self, patience: float = 0.0) -> Death | None:
        """Return how the process ended; None while it lives. Wait for its end this long."""
        if self._process is None:
            return None
        try:
            return Death(self._process.wait(patience))
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End the process and all that it started."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def close(self) -> None:
        """End the process and remove its folder."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        """Of the process that was started last; 0 without one."""
        return self._process.pid if self._process is not None else 0

    @property
    def last_line(self) -> str:
        """The last line of its output that is not empty."""
        lines = [line for line in self._tail.decode(errors="replace").splitlines() if line.strip()]
        return lines[-1].strip() if lines else "no output"

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as pipe:
            while data := os.read(pipe.fileno(), 1 << 16):
                self.logged += len(data)
                self._tail = (self._tail + data)[-_KEPT:]
