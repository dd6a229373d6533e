# SPDX-License-Identifier: GPL-2.0-only
"""Somebody's own guest: an image or a command line to boot, or a QEMU that runs already."""

from __future__ import annotations

import contextlib
import shlex
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pykit.errors import UsageError
from pykit.guests import outcome
from pykit.guests.channel import GuestEndedError
from pykit.guests.monitor import REGISTER_EVENTS, TRACE_EVENTS, Monitor, QemuRefusedError
from pykit.guests.outcome import Outcome
from pykit.guests.tracelog import TraceLog
from pykit.qemu import program
from pykit.qemu.keeper import Keeper
from pykit.run import outside
from pykit.run.session import require_free

Progress = Callable[[str], None]

_QCOW2 = b"QFI\xfb"
_MEMORY_MIB = 1024


def boot(
    image: Path | None,
    arguments: str,
    *,
    out: Path,
    seconds: float,
    progress: Progress = lambda _: None,
) -> Outcome:
    """Boot an image or QEMU with ``arguments`` (or both), and watch it from outside.

    It is watched until it ends by itself, ``seconds`` are over, or Ctrl-C. The image is not
    written to. Raises UsageError for an image or arguments that cannot be used.
    """
    require_free(out)
    given = _image_options(image) if image else []
    try:
        given += shlex.split(arguments)
    except ValueError as error:
        raise UsageError(f"--qemu-args: {error}: mend the quotes") from error
    if "-qmp" in given or "-daemonize" in given:
        raise UsageError("--qemu-args: -qmp and -daemonize are pykit's: leave them out")
    capture = out.absolute() / "capture"
    with Keeper() as keeper:
        folder = keeper.folder
        command = [
            program.find()[0], *given,
            "-qmp", f"unix:{folder}/qmp,server=on,wait=off", *outside.log_options(folder / "log"),
        ]  # fmt: skip
        capture.mkdir(parents=True)
        with TraceLog(folder / "log", capture / "qemu.log"):
            ended, devices, answers = _watch(
                keeper, command, out / "console.log", seconds, progress
            )
    outside.write_capture(
        capture, guest="", devices=devices, ended=ended, steps=[], answers=answers
    )
    return Outcome(*ended, tuple(command), program.version())


def _image_options(image: Path) -> list[str]:
    try:
        with image.open("rb") as file:
            kind = "qcow2" if file.read(len(_QCOW2)) == _QCOW2 else "raw"
    except OSError as error:
        raise UsageError(f"{image}: cannot be read: {error.strerror}: name a disk image") from error
    path = str(image.absolute()).replace(",", ",,")
    return [
        "-nodefaults", "-no-user-config", "-display", "none", "-M", "q35", "-m", str(_MEMORY_MIB),
        "-drive", f"if=none,id=image,snapshot=on,format={kind},file={path}",
        "-device", "virtio-blk-pci,id=disk,drive=image",
        "-netdev", "user,id=network", "-device", "virtio-net-pci,id=net,netdev=network",
        "-serial", "stdio",
    ]  # fmt: skip


def _watch(
    keeper: Keeper, command: list[str], console: Path, seconds: float, progress: Progress
) -> tuple[tuple[outcome.Kind, str], list[dict[str, Any]], list[dict[str, Any]]]:
    """How the guest ended, its virtio devices, and what QMP said of them while it ran."""
    devices: list[dict[str, Any]] = []
    answers: list[dict[str, Any]] = []
    try:
        with console.open("wb") as output:
            process = keeper.start(command, output)
            with outside.connected(keeper.folder / "qmp", process):
                pass
            with contextlib.closing(Monitor(keeper.folder / "qmp")) as monitor:
                progress(f"the guest runs, for {seconds:g} s at most: Ctrl-C ends it")
                devices = _devices(monitor)
                if _ended_in(process, seconds):
                    return _own_end(process, console), devices, answers
                answers = outside.ask_all(monitor, "end")
    except GuestEndedError as ended:
        if keeper.process is not None and keeper.process.poll() not in (None, 0):
            return _own_end(keeper.process, console), devices, answers
        return (ended.kind, ended.message), devices, answers
    except QemuRefusedError as error:
        return ("qemu-died", str(error)), devices, answers
    finally:
        keeper.stop()
    return ("clean", f"watched for {seconds:g} s"), devices, answers


def _ended_in(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether a process ended before that time was over; Ctrl-C ends the waiting."""
    try:
        process.wait(seconds)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        return False
    return True


def _own_end(process: subprocess.Popen[bytes], console: Path) -> tuple[outcome.Kind, str]:
    code = process.wait()
    if code == 0:
        return "clean", "the guest ended by itself"
    lines = console.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
    return "qemu-died", f"QEMU ended with {code}: {lines[-1]}"


def _devices(monitor: Monitor) -> list[dict[str, Any]]:
    """The virtio devices of a QEMU, as capture.json has them."""
    found = []
    for known in monitor.ask("x-query-virtio"):
        path = known["path"].removesuffix("/virtio-backend")
        kind = monitor.ask("qom-get", path=path, property="type")
        name = outside.device_id(known["path"])
        found.append({"id": name, "type": kind, "options": {}, "driver": ""})
    return found


def attach(qmp: Path, *, out: Path, seconds: float, progress: Progress = lambda _: None) -> Outcome:
    """Watch a QEMU that runs already, by its QMP socket, and leave it as it was.

    Its trace events are switched on for that time; those that were on stay on. Its log goes to
    us and then back to the file that its command line names, else to its standard error.

    Raises UsageError for a socket that nobody answers on, or a QEMU that has no such log.
    """
    require_free(out)
    monitor = _connect(qmp)
    capture = out.absolute() / "capture"
    with Keeper() as keeper, contextlib.closing(monitor):
        version = monitor.ask("query-version")["qemu"]
        name = ".".join(str(version[part]) for part in ("major", "minor", "micro"))
        capture.mkdir(parents=True)
        kind: outcome.Kind = "clean"
        message = f"watched for {seconds:g} s, and left running"
        answers: list[dict[str, Any]] = []
        devices = _devices(monitor)
        try:
            with TraceLog(keeper.folder / "log", capture / "qemu.log") as log:
                answers = outside.ask_all(monitor, "begin")
                with _traced(monitor, log.fifo, _log_of(qmp)):
                    progress(f"attached to QEMU {name}, for {seconds:g} s: Ctrl-C ends it")
                    with contextlib.suppress(KeyboardInterrupt):
                        time.sleep(seconds)
                answers += outside.ask_all(monitor, "end")
        except GuestEndedError as ended:
            kind, message = "qemu-died", ended.message
    outside.write_capture(
        capture,
        guest="",
        devices=devices,
        ended=(kind, message),
        steps=[],
        answers=answers,
        version=name,
    )
    return Outcome(kind, message, (), name)


def _connect(qmp: Path) -> Monitor:
    if not qmp.is_socket():
        raise UsageError(f"{qmp} is no socket: name the one of QEMU's -qmp unix:PATH,server=on")
    # QEMU answers one client at a time, and does not greet another.
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(5)
        try:
            line.connect(str(qmp))
            greeting = line.recv(1 << 16)
        except OSError as error:
            raise UsageError(
                f"{qmp}: no QMP answers: {error}: is somebody else connected?"
            ) from error
    if b'"QMP"' not in greeting:
        raise UsageError(f"{qmp}: what answers there is not QMP")
    try:
        return Monitor(qmp)
    except GuestEndedError as error:
        raise UsageError(f"{qmp}: {error.message}") from error


def _log_of(qmp: Path) -> str:
    """Where a QEMU logs by its own command line: -D, else its standard error."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(qmp))
        size = struct.calcsize("3i")
        process = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))[
            0
        ]
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().decode().split("\0")
    except OSError:
        words = []
    return words[words.index("-D") + 1] if "-D" in words[:-1] else "/dev/stderr"


@contextlib.contextmanager
def _traced(monitor: Monitor, fifo: Path, back: str) -> Iterator[None]:
    """QEMU logs to ``fifo`` until the block is left, then as before."""
    ours = []
    for name in (*TRACE_EVENTS, *REGISTER_EVENTS):
        # Of one that this QEMU lacks there is no state.
        with contextlib.suppress(QemuRefusedError):
            known = monitor.ask("trace-event-get-state", name=name)
            ours += [event["name"] for event in known if event["state"] == "disabled"]
    _human(monitor, f"logfile {fifo}")
    try:
        for name in ours:
            monitor.ask("trace-event-set-state", name=name, enable=True)
        yield
    finally:
        with _uninterrupted():
            for name in ours:
                monitor.ask("trace-event-set-state", name=name, enable=False)
            _human(monitor, f"logfile {back}")


def _human(monitor: Monitor, line: str) -> None:
    said = monitor.ask("human-monitor-command", **{"command-line": line})
    if said.strip():
        raise UsageError(f"QEMU does not take {line!r}: {' '.join(said.split())}")


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """A second Ctrl-C does not keep somebody's QEMU from being put back."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
