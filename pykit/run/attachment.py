# SPDX-License-Identifier: GPL-2.0-only
"""Observe a QEMU that runs already, and leave it as it was, however pykit ends.

Its guest never waits for pykit: QEMU logs to a plain file. A process that outlives pykit
(pykit.qemu.restorer) puts trace events and log back. What it has to restore is also recorded in
the cache, for the case that it is killed as well: the next ``--attach`` then restores it and does
not take what pykit left for the user's own settings.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pykit.errors import InfraError, UsageError
from pykit.guests import outcome
from pykit.guests.channel import GuestEndedError
from pykit.guests.monitor import (
    LATER_EVENTS,
    REGISTER_EVENTS,
    TRACE_EVENTS,
    Monitor,
    QemuRefusedError,
)
from pykit.guests.outcome import Outcome
from pykit.guests.tracelog import RESERVE_BYTES, TraceLog
from pykit.observe.survey import Surveyor
from pykit.paths import cache_dir, used
from pykit.qemu import restorer
from pykit.qemu.keeper import Keeper
from pykit.run import outside
from pykit.run.session import require_free

Progress = Callable[[str], None]

_GREETING_S = 5.0
_LOOK_S = 0.1
#: QEMU answers a monitor within this time, or it is stopped (by a debugger, by SIGSTOP).
_RESTORE_S = 30.0
#: So much of QEMU's log may be unread: pykit is stopped, and nobody gives back its blocks.
_MOST_UNREAD_BYTES = 256 << 20


def attach(qmp: Path, *, out: Path, seconds: float, progress: Progress = lambda _: None) -> Outcome:
    """Observe a running QEMU by its QMP socket for some seconds, and leave it as it was.

    Trace events that were off are on for that time. QEMU's log goes to pykit and then back to the
    file that its command line names, else to its standard error.

    Raises UsageError for a socket without QMP, or a QEMU without such a log; InfraError, after
    QEMU was restored, for a full disk.
    """
    require_free(out)
    capture = out.absolute() / "capture"
    with contextlib.ExitStack() as stack:
        keeper = stack.enter_context(Keeper())
        line = stack.enter_context(_connected(qmp))
        peer = _Peer.of(line)
        record = stack.enter_context(_recorded(qmp, peer.key))
        monitor = stack.enter_context(contextlib.closing(_monitor(qmp, line)))
        version = monitor.ask("query-version")["qemu"]
        name = ".".join(str(version[part]) for part in ("major", "minor", "micro"))
        if left := restorer.read_record(record):
            _restore_now(monitor, left)
            os.ftruncate(record, 0)
            progress("restored trace events and log that an earlier pykit left switched")
        devices = outside.devices(monitor)
        capture.mkdir(parents=True)
        kind: outcome.Kind = "clean"
        message = f"watched for {seconds:g} s, and left running"
        answers: list[dict[str, Any]] = []
        surveyor = Surveyor()
        try:
            answers = outside.look(monitor, surveyor, "begin")
            with (
                TraceLog(keeper.folder / "log", capture / "qemu.log") as log,
                _traced(monitor, line, record, log.source, peer) as restore,
            ):
                progress(f"attached to QEMU {name}, for {seconds:g} s: Ctrl-C ends it")
                with contextlib.suppress(KeyboardInterrupt):
                    _watch(seconds, log, restore)
                answers += outside.look(monitor, surveyor, "end")
        except GuestEndedError as ended:
            kind, message = "qemu-died", ended.message
    outside.write_capture(
        capture,
        guest="",
        devices=devices,
        ended=(kind, message),
        steps=[],
        answers=answers,
        surveyor=surveyor,
        version=name,
    )
    return Outcome(kind, message, (), name)


def _watch(seconds: float, log: TraceLog, restore: _Restore) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        log.check()
        restore.check()
        time.sleep(min(left, _LOOK_S))


@contextlib.contextmanager
def _connected(qmp: Path) -> Iterator[socket.socket]:
    """Connect to a QMP socket; QEMU answers one client at a time, and does not greet another."""
    if not qmp.is_socket():
        raise UsageError(f"{qmp} is no socket: name the one of QEMU's -qmp unix:PATH,server=on")
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(_GREETING_S)
        try:
            line.connect(str(qmp))
            greeting = line.recv(1 << 16, socket.MSG_PEEK)
        except OSError as error:
            raise UsageError(
                f"{qmp}: no QMP answers: {error}: is another client connected?"
            ) from error
        if b'"QMP"' not in greeting:
            raise UsageError(f"{qmp}: the server there does not speak QMP")
        yield line


@contextlib.contextmanager
def monitored(qmp: Path) -> Iterator[Monitor]:
    """Connect to a running QEMU's monitor for questions alone; raises UsageError as ``attach``."""
    with _connected(qmp) as line, contextlib.closing(_monitor(qmp, line)) as monitor:
        yield monitor


def _monitor(qmp: Path, line: socket.socket) -> Monitor:
    try:
        return Monitor(line.dup())
    except GuestEndedError as error:
        raise UsageError(f"{qmp}: {error.message}") from error


@dataclass(frozen=True)
class _Peer:
    """The process that serves a monitor's socket.

    Attributes:
        key: names it on this machine, as long as it runs.
        words: its command line; empty where that cannot be read.
        errors: the file of its standard error, if it is one that can be opened again.
    """

    key: str
    words: tuple[str, ...]
    errors: str

    @classmethod
    def of(cls, line: socket.socket) -> _Peer:
        layout = struct.Struct("3i")
        process: int = layout.unpack(
            line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, layout.size)
        )[0]
        proc = Path(f"/proc/{process}")
        try:
            started = proc.joinpath("stat").read_text().rpartition(")")[2].split()[19]
            words = proc.joinpath("cmdline").read_bytes().decode(errors="replace").split("\0")
            errors = str(proc.joinpath("fd/2").readlink())
        except (OSError, IndexError):
            return cls(f"{process}", (), "")
        return cls(f"{process} {started}", tuple(words), errors if errors[:1] == "/" else "")

    def log_back(self) -> restorer.Commands:
        """Commands that have QEMU log where its command line says: -D, else standard error.

        That has no name before QEMU 8, and none that can be opened where it is a socket (systemd's
        journal): nothing is logged there with all trace events off. A daemon's standard error
        becomes the log file that is opened (util/log.c of QEMU), so it gets the one that it had.
        """
        if "-D" in self.words[:-1]:
            return [_logfile(self.words[self.words.index("-D") + 1])]
        if "-daemonize" in self.words:
            return [_logfile(self.errors or "/dev/null"), _logfile("", "/dev/null")]
        return [_logfile("", "/dev/stderr", "/dev/null")]


def _logfile(*files: str) -> list[tuple[str, dict[str, Any]]]:
    """Commands that have QEMU log to the first of these files that it can open."""
    return [
        ("human-monitor-command", {"command-line": f"logfile {_quoted(file)}"}) for file in files
    ]


def _quoted(word: str) -> str:
    """A word as QEMU's human monitor takes it."""
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


@contextlib.contextmanager
def _recorded(qmp: Path, key: str) -> Iterator[int]:
    """Open and lock the record of what a QEMU has to get back; its descriptor is inheritable."""
    path = cache_dir() / "attached" / hashlib.sha256(key.encode()).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file).st_ino == path.stat().st_ino:
                break
        except BlockingIOError:
            os.close(file)
            raise UsageError(
                f"{qmp}: another pykit observes this QEMU: wait until it has ended"
            ) from None
        except FileNotFoundError:
            pass
        os.close(file)
    used(path)
    try:
        yield file
    finally:
        if not os.fstat(file).st_size:
            path.unlink(missing_ok=True)
        os.close(file)


@contextlib.contextmanager
def _traced(
    monitor: Monitor, line: socket.socket, record: int, log: Path, peer: _Peer
) -> Iterator[_Restore]:
    """QEMU logs all virtio events to ``log`` until the block is left, then as before."""
    off = []
    for name in (*TRACE_EVENTS, *LATER_EVENTS.values(), *REGISTER_EVENTS):
        # QEMU refuses to state an event that it lacks.
        with contextlib.suppress(QemuRefusedError):
            known = monitor.ask("trace-event-get-state", name=name)
            off += [event["name"] for event in known if event["state"] == "disabled"]
    commands: restorer.Commands = [
        *([("trace-event-set-state", {"name": name, "enable": False})] for name in off),
        *peer.log_back(),
    ]
    # Before the first change.
    os.pwrite(record, json.dumps(commands).encode(), 0)
    os.fsync(record)
    with _Restore(monitor, line, record, log) as restore:
        _human(monitor, f"logfile {_quoted(str(log))}")
        if not log.exists():
            raise UsageError(
                f"QEMU did not open {log} for its log: it runs in another container, or it is of a "
                "version that cannot leave standard error (8.0, 8.1): start it with -D FILE"
            )
        for name in off:
            monitor.ask("trace-event-set-state", name=name, enable=True)
        yield restore


class _Restore:
    """The process that restores QEMU when the block is left, or when pykit is gone."""

    def __init__(self, monitor: Monitor, line: socket.socket, record: int, log: Path) -> None:
        self._monitor, self._record = monitor, record
        self._found: dict[str, Any] | None = None
        self._process = subprocess.Popen(
            [
                sys.executable, "-I", "-S", restorer.__file__, str(line.fileno()), str(record),
                str(log), str(_MOST_UNREAD_BYTES), str(RESERVE_BYTES),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(line.fileno(), record),
        )  # fmt: skip

    def check(self) -> None:
        """Raise InfraError where QEMU was restored already."""
        if self._process.poll() is not None:
            raise InfraError(
                f"QEMU was restored early: {self._report()['early'] or 'restorer.py ended'}: "
                "free some space, do not stop pykit, and run it again"
            )

    def __enter__(self) -> _Restore:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        with _uninterrupted():
            # From here on only the other process speaks with QEMU.
            self._monitor.close()
            report = self._report()
        if restorer.read_record(self._record):
            raise InfraError("QEMU was not restored: run pykit with --attach again, which does it")
        if error is None and report["refused"]:
            raise InfraError(f"QEMU was not restored: {'; '.join(report['refused'])}")

    def _report(self) -> dict[str, Any]:
        if self._found is None:
            try:
                written, _ = self._process.communicate(timeout=_RESTORE_S)
            except subprocess.TimeoutExpired:
                raise InfraError(
                    f"QEMU does not answer: process {self._process.pid} restores its trace events "
                    "as soon as it does"
                ) from None
            self._found = {"early": "", "refused": [], **json.loads(written or "{}")}
        return self._found


def _restore_now(monitor: Monitor, commands: restorer.Commands) -> None:
    for alternatives in commands:
        for name, arguments in alternatives:
            with contextlib.suppress(QemuRefusedError):
                if not monitor.ask(name, **arguments):
                    break


def _human(monitor: Monitor, line: str) -> None:
    words = monitor.ask("human-monitor-command", **{"command-line": line})
    if words.strip():
        raise UsageError(f"QEMU does not take {line!r}: {' '.join(words.split())}")


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C: a second one must not keep a user's QEMU from being restored."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
