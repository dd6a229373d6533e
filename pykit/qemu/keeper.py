# SPDX-License-Identifier: GPL-2.0-only
"""Processes of a guest that cannot outlive us, and their folder.

A shell in a session of its own holds the read end of a pipe. Whatever becomes of pykit,
SIGKILL included, the pipe closes; then the shell kills the guest's process group and
removes the folder. The normal end goes the same way, so there is only one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from pykit.errors import InfraError

# Ctrl-C and a closing terminal reach only the foreground group, and this is none.
_SCRIPT = """
trap '' INT TERM HUP
group=
while read -r next; do group=$next; done
# No "--" before the group: dash takes it for a process id.
[ -z "$group" ] || kill -KILL "-$group" 2>/dev/null
rm -rf -- "$1"
"""

# The shell passes its process id to the keeper before it becomes the guest, so that killing
# pykit at any moment leaves no guest behind.
_START = 'echo $$ >&0 && exec "$@" </dev/null'
_TERM_S = 5.0
#: The longest path of a socket, sun_path of struct sockaddr_un without its end.
_SOCKET_BYTES = 107
#: The longest name of a socket that every guest has.
_LONGEST_SOCKET = "qmp-access"


def require_socket(path: Path) -> None:
    """Raise InfraError where no socket can be bound at a path in a keeper's folder."""
    if len(os.fsencode(path)) > _SOCKET_BYTES:
        raise InfraError(
            f"TMPDIR: {path} has over {_SOCKET_BYTES} bytes, too many for a socket: "
            "name a directory with a shorter path"
        )


class Keeper:
    """A private folder and at most one process group, gone when the block is left."""

    def __init__(self) -> None:
        # Not a relative one: a guest's command may be started elsewhere.
        self.folder = Path(tempfile.mkdtemp(prefix="pykit-")).absolute()
        try:
            require_socket(self.folder / _LONGEST_SOCKET)
            if "%" in str(self.folder):
                raise InfraError(
                    f"TMPDIR: {self.folder.parent}: QEMU takes % in a log's name for a "
                    "placeholder: name a directory without it"
                )
            self._shell = subprocess.Popen(
                ["/bin/sh", "-c", _SCRIPT, "pykit-keeper", str(self.folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, command: Sequence[str], output: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start the guest's command; its standard output and error go to ``output``.

        Another one that was started before is stopped first.
        """
        self.stop()
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", _START, "pykit-start", *command],
            stdin=self._shell.stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # virtme-ng leaves files of its own in TMPDIR when it is killed.
            env={**os.environ, "TERM": "dumb", "TMPDIR": str(self.folder)},
        )
        return self.process

    def stop(self) -> None:
        """End the process group: asked first, killed after five seconds."""
        if self.process is None:
            return
        self._signal(signal.SIGTERM)
        end = time.monotonic() + _TERM_S
        while self.process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        self._signal(signal.SIGKILL)
        self.process.wait()

    def _signal(self, number: int) -> None:
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.stop()
        finally:
            assert self._shell.stdin is not None
            self._shell.stdin.close()
            self._shell.wait()
