# SPDX-License-Identifier: GPL-2.0-only
"""The process that serves a vhost-user disk: qemu-storage-daemon, or the user's back-end."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pykit.errors import InfraError
from pykit.guests.device_args import disk, node, socket_of
from pykit.scenario.model import SOCKET, Device
from pykit.vhost_user import listens

_SERVED_S = 20.0


@contextlib.contextmanager
def served(device: Device, folder: Path) -> Iterator[None]:
    """A vhost-user disk is served until the block is left; its files are in ``folder``.

    Raises InfraError where it is not.
    """
    path = socket_of(device, folder)
    if isinstance(device.peer, Path):
        if not path.is_socket():
            raise InfraError(f"{path} is no socket: start the back-end that listens there")
        yield
        return
    if device.peer:
        if shutil.which(device.peer[0]) is None:
            raise InfraError(f"no program {device.peer[0]}: install it, or name its path")
        command = [word.replace(SOCKET, str(path)) for word in device.peer]
    else:
        command = _storage_daemon(device, folder)
    log = folder / f"{device.id}.log"
    with _started(command, path, log):
        yield


def _storage_daemon(device: Device, folder: Path) -> list[str]:
    daemon = shutil.which("qemu-storage-daemon")
    if daemon is None:
        raise InfraError("qemu-storage-daemon is not installed: make setup")
    export = {
        "type": "vhost-user-blk", "id": device.id, "node-name": node(device), "writable": True,
        "addr": {"type": "unix", "path": str(socket_of(device, folder))},
        "num-queues": int(device.options.get("num-queues", 1)),
    }  # fmt: skip
    described = json.dumps(disk(device, folder))
    return [daemon, "--blockdev", described, "--export", json.dumps(export)]


@contextlib.contextmanager
def _started(command: Sequence[str], path: Path, log: Path) -> Iterator[None]:
    """Start a back-end and wait until it listens at ``path``; end it, and all that it started."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            # Whatever becomes of pykit, the back-end does not outlive it.
            ["setpriv", "--pdeathsig", "KILL", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + _SERVED_S
        while not listens(path):
            ended = process.poll() is not None
            if ended or time.monotonic() > end:
                said = (log.read_text(errors="replace").strip().splitlines() or ["nothing"])[-1]
                what = "ended" if ended else f"does not listen at {path} after {_SERVED_S:.0f} s"
                raise InfraError(f"{command[0]}, for {log.stem}, {what}: its last line: {said}")
            time.sleep(0.02)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        # A guest's next scenario has a device of the same name, and not each back-end takes the
        # place of a socket that is there.
        path.unlink(missing_ok=True)
