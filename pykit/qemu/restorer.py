# SPDX-License-Identifier: GPL-2.0-only
"""Put a QEMU back that pykit observes, whenever and however pykit ends.

A process of its own, in a session of its own, of Python's standard library alone. It shares
pykit's connection to QEMU's monitor: QEMU answers one client at a time, and another might come
first. It waits until its standard input closes, by pykit's normal end or by SIGKILL, then sends
the commands that restore QEMU's state, empties the record of them and reports on its standard
output. It does so earlier where QEMU's log grows and is not read (pykit was stopped).

    python restorer.py MONITOR_FD RECORD_FD LOG MOST_BYTES RESERVE_BYTES
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: How often the size of the log is looked at, s.
_LOOK_S = 0.5
#: Makes QEMU's parser begin anew, after a command that pykit did not send to its end.
_RESET = b"\xff"
_BLOCK = 512
#: For each thing to restore, commands (a name with its arguments) of which QEMU has to take one.
Commands = list[list[tuple[str, dict[str, Any]]]]


def main(arguments: list[str]) -> None:
    """Wait, restore, report."""
    monitor, record, most, reserve = (int(arguments[at]) for at in (0, 1, 3, 4))
    log = Path(arguments[2])
    report: dict[str, Any] = {"early": _wait(log, most, reserve), "refused": []}
    try:
        report["refused"] = restore(socket.socket(fileno=monitor), read_record(record))
    except OSError as error:
        # QEMU has ended: nothing is left that could be restored.
        report["ended"] = str(error)
    os.ftruncate(record, 0)
    sys.stdout.write(json.dumps(report) + "\n")


def read_record(record: int) -> Commands:
    """Return the commands that restore a QEMU, as they were recorded."""
    size = os.fstat(record).st_size
    commands: Commands = json.loads(os.pread(record, size, 0)) if size else []
    return commands


def _wait(log: Path, most: int, reserve: int) -> str:
    """Wait until pykit ends; return why not as long, or nothing."""
    while True:
        ready, _, _ = select.select([sys.stdin], [], [], _LOOK_S)
        if ready and not os.read(sys.stdin.fileno(), 1 << 16):
            return ""
        try:
            taken = log.stat().st_blocks * _BLOCK
            found = os.statvfs(log.parent)
        except OSError:
            continue
        if taken > most:
            return f"QEMU's log grew by {taken >> 20} MiB that pykit did not read"
        if found.f_bavail * found.f_frsize < reserve:
            return f"{log.parent.parent} has no space left for QEMU's log"


def restore(monitor: socket.socket, commands: Commands) -> list[str]:
    """Send the commands; return what QEMU refused. Raises OSError where QEMU has ended."""
    refused = []
    _send(monitor, _RESET + b"\n")
    lines = _lines(monitor)
    for number, alternatives in enumerate(commands):
        words = ""
        for other, (name, arguments) in enumerate(alternatives):
            ident = f"pykit-restore-{number}-{other}"
            command = {"execute": name, "arguments": arguments, "id": ident}
            _send(monitor, json.dumps(command).encode() + b"\n")
            answer = next(found for found in lines if found.get("id") == ident)
            # human-monitor-command returns its complaint as text.
            words = answer.get("error", {}).get("desc") or answer.get("return") or ""
            if not words:
                break
            words = f"{arguments.get('command-line', name)}: {words.strip()}"
        if words:
            refused.append(words)
    return refused


def _send(monitor: socket.socket, data: bytes) -> None:
    # The socket is not blocking, for pykit shares it.
    while data:
        select.select([], [monitor], [])
        data = data[monitor.send(data) :]


def _lines(monitor: socket.socket) -> Iterator[dict[str, Any]]:
    """QEMU's messages; without the rest of one that pykit had begun to read."""
    pending = b""
    while True:
        select.select([monitor], [], [])
        data = monitor.recv(1 << 16)
        if not data:
            raise ConnectionError("QEMU closed its monitor")
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if isinstance(message, dict):
                yield message


if __name__ == "__main__":
    main(sys.argv[1:])
