# SPDX-License-Identifier: GPL-2.0-only
"""The process that restores a QEMU, against a monitor of the test's own."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pykit.qemu import restorer

COMMANDS: restorer.Commands = [
    [("trace-event-set-state", {"name": "virtqueue_pop", "enable": False})],
    [
        ("human-monitor-command", {"command-line": 'logfile ""'}),
        ("human-monitor-command", {"command-line": 'logfile "/dev/stderr"'}),
        ("human-monitor-command", {"command-line": 'logfile "/dev/null"'}),
    ],
]


class Monitor:
    """A monitor that refuses to log to a file without a name."""

    def __init__(self) -> None:
        self.mine, self.theirs = socket.socketpair()
        self.theirs.setblocking(False)
        self.commands: list[str] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            self._answer()

    def _answer(self) -> None:
        self.mine.sendall(b'rest of a line}\n{"event": "RESET"}\n')
        for line in self.mine.makefile("rb"):
            command = json.loads(line.removeprefix(b"\xff").strip() or b"{}")
            if not command:
                self.mine.sendall(b'{"error": {"desc": "JSON parse error"}}\n')
                continue
            text = command["arguments"].get("command-line", command["execute"])
            self.commands.append(text)
            answer: Any = "" if "command-line" in command["arguments"] else {}
            if text == 'logfile ""':
                answer = "Error opening logfile\r\n"
            self.mine.sendall(json.dumps({"return": answer, "id": command["id"]}).encode() + b"\n")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.mine.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self.mine.close()
        self.theirs.close()


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    made = Monitor()
    yield made
    made.close()


@pytest.fixture
def record(tmp_path: Path) -> Iterator[int]:
    file = os.open(tmp_path / "record", os.O_RDWR | os.O_CREAT)
    os.pwrite(file, json.dumps(COMMANDS).encode(), 0)
    yield file
    os.close(file)


def start(monitor: Monitor, record: int, log: Path, most: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            sys.executable, "-I", "-S", restorer.__file__, str(monitor.theirs.fileno()),
            str(record), str(log), str(most), "0",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=(monitor.theirs.fileno(), record),
    )  # fmt: skip


def test_it_restores_when_its_input_closes(monitor: Monitor, record: int, tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    process = start(monitor, record, tmp_path / "log", 1 << 20)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    assert not monitor.commands
    written, _ = process.communicate(timeout=30)
    assert json.loads(written) == {"early": "", "refused": []}
    # The first way to log that QEMU takes is the last one tried.
    assert monitor.commands == [
        "trace-event-set-state", 'logfile ""', 'logfile "/dev/stderr"',
    ]  # fmt: skip
    assert restorer.read_record(record) == []


def test_it_restores_early_where_the_log_is_not_read(
    monitor: Monitor, record: int, tmp_path: Path
) -> None:
    (tmp_path / "log").write_bytes(bytes(3 << 20))
    process = start(monitor, record, tmp_path / "log", 1 << 20)
    process.wait(30)
    assert process.stdout is not None
    assert "grew by 3 MiB" in json.loads(process.stdout.read())["early"]
    assert monitor.commands[0] == "trace-event-set-state"
    assert restorer.read_record(record) == []


def test_a_qemu_that_has_ended(monitor: Monitor, record: int, tmp_path: Path) -> None:
    monitor.mine.shutdown(socket.SHUT_RDWR)
    process = start(monitor, record, tmp_path / "log", 1 << 20)
    written, _ = process.communicate(timeout=30)
    assert "ended" in json.loads(written)
    assert restorer.read_record(record) == []


def test_what_qemu_refuses_is_reported(monitor: Monitor, record: int) -> None:
    refused = restorer.restore(monitor.theirs, [COMMANDS[1][:1]])
    assert refused == ['logfile "": Error opening logfile']
