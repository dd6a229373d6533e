# SPDX-License-Identifier: GPL-2.0-only
"""Boot a guest of the user's, an image or a command line, and observe it from outside."""

from __future__ import annotations

import contextlib
import re
import shlex
import struct
import subprocess
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from pykit.arch import AMD64, MACHINES
from pykit.errors import UsageError
from pykit.guests import outcome
from pykit.guests.channel import GuestEndedError
from pykit.guests.monitor import Monitor, QemuRefusedError
from pykit.guests.outcome import Outcome
from pykit.guests.tracelog import TraceLog
from pykit.observe.access import AccessTracer, memory_mib, require_alone
from pykit.observe.survey import Surveyor
from pykit.qemu import program
from pykit.qemu.keeper import Keeper
from pykit.run import outside
from pykit.run.session import require_free
from pykit.scenario.transport import Transport, transport

Progress = Callable[[str], None]

_QCOW2 = b"QFI\xfb"
#: Of a qcow2 header (docs/interop/qcow2.txt of QEMU): magic, version, where the backing file's
#: name is (0: there is none), and behind other fields the incompatible features of version 3.
_HEADER = struct.Struct(">4sIQ56xQ")
_EXTERNAL_DATA = 1 << 2
_MEMORY_MIB = 1024
_LOOK_S = 0.1
_BY_ITSELF = "the guest ended by itself"
#: A guest that writes more than this to its console, or makes QEMU log more, is watched no longer.
_MOST_BYTES = 256 << 20


def boot(
    image: Path | None,
    arguments: str,
    *,
    out: Path,
    seconds: float,
    observe: Sequence[str] = (),
    progress: Progress = lambda _: None,
) -> Outcome:
    """Boot an image or QEMU with ``arguments`` (or both), and watch it from outside.

    It is watched until it ends by itself, ``seconds`` are over, or Ctrl-C. The image is not
    written to. ``observe`` is empty or the access tracer. Raises UsageError for an image or
    arguments that cannot be used.
    """
    require_free(out)
    require_alone(observe, "a guest of your own")
    given = image_options(image) if image else []
    try:
        given += shlex.split(arguments)
    except ValueError as error:
        raise UsageError(f"--qemu-args: {error}: mend the quotes") from error
    if "-qmp" in given or "-daemonize" in given:
        raise UsageError("--qemu-args: -qmp and -daemonize are pykit's: leave them out")
    mib = memory_mib(given) if observe else 0
    capture = out.absolute() / "capture"
    with Keeper() as keeper:
        folder = keeper.folder
        tracers = []
        if observe:
            tracers = [AccessTracer(folder, capture, _machine(given), folder / "log")]
        command = [
            program.find()[0], *outside.traced_options(folder, mib, tracers), *given,
            *program.monitor_options(folder / "qmp"), *outside.log_options(folder / "log"),
            # A guest that has ended is looked at once more.
            "-no-shutdown",
        ]  # fmt: skip
        capture.mkdir(parents=True)
        with contextlib.ExitStack() as watching:
            log = watching.enter_context(TraceLog(folder / "log", capture / "qemu.log"))
            for tracer in tracers:
                watching.enter_context(tracer)
            surveyor = Surveyor()
            ended, devices, answers = _watch(
                keeper,
                command,
                log,
                (out / "console.log", capture / "qemu.log"),
                seconds,
                progress,
                surveyor,
            )
    outside.write_capture(
        capture,
        guest="",
        devices=devices,
        ended=ended,
        steps=[],
        answers=answers,
        surveyor=surveyor,
        observers=observe,
    )
    return Outcome(*ended, tuple(command), program.version())


def _machine(given: Sequence[str]) -> Transport:
    """Return the transport of the machine that QEMU's arguments choose.

    Raises UsageError for one whose memory is elsewhere than the access tracer knows.
    """
    named = Path(program.find()[0]).name
    arch = next((arch for arch in MACHINES if arch.qemu == named), AMD64)
    chosen = " ".join(value for word, value in pairwise(given) if word in ("-M", "-machine"))
    if arch == AMD64:
        # On other machines PCI devices are where microvm has its transports.
        return transport("mmio" if "microvm" in chosen else "pci")
    known = arch.mmio.partition(",")[0]
    if re.search(rf"(^|[ =]){known}(-|,|$| )", chosen) is None:
        raise UsageError(
            f"--qemu-args: of {arch.name} the access tracer knows the machine {known} alone: "
            f"give -M {known}"
        )
    return transport("mmio", arch)


def image_options(image: Path) -> list[str]:
    """QEMU's options for a machine with a disk image and a network.

    Raises UsageError for an image that cannot be read, or that names other files.
    """
    try:
        with image.open("rb") as file:
            head = file.read(_HEADER.size)
    except OSError as error:
        raise UsageError(f"{image}: cannot be read: {error.strerror}: name a disk image") from error
    kind = "raw"
    if head.startswith(_QCOW2):
        kind = "qcow2"
        _, version, backing, features = _HEADER.unpack(head.ljust(_HEADER.size, b"\0"))
        # The guest may have written this header itself, into a raw image.
        if backing or (version > 2 and features & _EXTERNAL_DATA):
            raise UsageError(
                f"{image}: names another file, which QEMU would open for the guest: where you "
                "trust it, give -drive and -device by --qemu-args instead"
            )
    return [
        "-nodefaults", "-no-user-config", "-display", "none", "-M", "q35", "-m", str(_MEMORY_MIB),
        "-drive",
        f"if=none,id=image,snapshot=on,format={kind},file={program.value(image.absolute())}",
        "-device", "virtio-blk-pci,id=disk,drive=image",
        # Without restrict, the guest reaches the services of this machine.
        "-netdev", "user,id=network,restrict=on", "-device", "virtio-net-pci,id=net,netdev=network",
        "-serial", "stdio",
    ]  # fmt: skip


def _watch(
    keeper: Keeper,
    command: list[str],
    log: TraceLog,
    files: tuple[Path, Path],
    seconds: float,
    progress: Progress,
    surveyor: Surveyor,
) -> tuple[tuple[outcome.Kind, str], list[dict[str, Any]], list[dict[str, Any]]]:
    """How the guest ended, its virtio devices, and what QMP said of them while it ran.

    ``files`` are its console and the log of its QEMU, which the guest can make grow.
    """
    console = files[0]
    devices: list[dict[str, Any]] = []
    answers: list[dict[str, Any]] = []
    try:
        with console.open("wb") as output:
            process = keeper.start(command, output)
            with outside.connected(keeper.folder / "qmp", process):
                pass
            with contextlib.closing(Monitor(keeper.folder / "qmp")) as monitor:
                progress(f"the guest runs, for {seconds:g} s at most: Ctrl-C ends it")
                devices = outside.devices(monitor)
                watched = _watch_until(process, monitor.has_shut_down, log, files, seconds)
                if process.poll() is not None:
                    return _judged(_own_end(process, console), console), devices, answers
                answers = outside.look(monitor, surveyor, "end")
    except GuestEndedError as ended:
        if keeper.process is not None and keeper.process.poll() not in (None, 0):
            return _own_end(keeper.process, console), devices, answers
        return (ended.kind, ended.message), devices, answers
    except QemuRefusedError as error:
        return ("qemu-died", str(error)), devices, answers
    finally:
        keeper.stop()
    return _judged(("clean", watched), console), devices, answers


def _judged(ended: tuple[outcome.Kind, str], console: Path) -> tuple[outcome.Kind, str]:
    """Return how a guest ended, with what its console shows of broken devices."""
    if ended[0] != "clean":
        return ended
    return outcome.trouble(console.read_text(errors="replace"), ()) or ended


def _watch_until(
    process: subprocess.Popen[bytes],
    has_ended: Callable[[], bool],
    log: TraceLog,
    growing: Sequence[Path],
    seconds: float,
) -> str:
    """Wait until the guest or its QEMU ends, the time is over or a file has grown too large.

    Returns which of them; ``has_ended`` is whether the guest has.

    Ctrl-C ends the waiting.

    Raises InfraError where its log cannot be kept any longer.
    """
    end = time.monotonic() + seconds
    with contextlib.suppress(KeyboardInterrupt):
        while (left := end - time.monotonic()) > 0:
            log.check()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(min(left, _LOOK_S))
                return _BY_ITSELF
            if has_ended():
                return _BY_ITSELF
            for file in growing:
                if file.exists() and file.stat().st_size > _MOST_BYTES:
                    return f"watched until {file.name} had {_MOST_BYTES >> 20} MiB"
    return f"watched for {seconds:g} s"


def _own_end(process: subprocess.Popen[bytes], console: Path) -> tuple[outcome.Kind, str]:
    code = process.wait()
    if code == 0:
        return "clean", _BY_ITSELF
    lines = console.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
    return "qemu-died", f"QEMU ended with {code}: {lines[-1]}"
