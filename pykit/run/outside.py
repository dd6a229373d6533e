# SPDX-License-Identifier: GPL-2.0-only
"""A guest without any code of ours, seen from outside alone: QEMU's trace log, and QMP.

The capture is like any other's without ``tracing/``. What is done with the guest is said and
read on its first serial port.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from pykit.errors import UsageError
from pykit.guests import firmware, outcome
from pykit.guests.channel import GuestEndedError
from pykit.guests.monitor import (
    REGISTER_EVENTS,
    TRACE_EVENTS,
    Monitor,
)
from pykit.guests.outcome import Outcome
from pykit.guests.tracelog import TraceLog
from pykit.observe import ask_all, ask_interrupts, device_id
from pykit.observe.access import AccessTracer, require_alone
from pykit.observe.survey import Surveyor
from pykit.qemu import program
from pykit.qemu.keeper import Keeper
from pykit.run.session import require_free
from pykit.scenario.model import Scenario, Step, Trouble
from pykit.seal import write_sealed
from pykit.text import tail

Progress = Callable[[str], None]

_CONNECT_S = 20.0
_LOOK_S = 0.1
_MEMORY_MIB = 256


def run(scenario: Scenario, *, out: Path, progress: Progress = lambda _: None) -> Outcome:
    """Boot a scenario's firmware, do its steps, and leave the capture in ``out``.

    Raises UsageError for ``out`` and MMIO, InfraError where the firmware is not installed.
    """
    assert scenario.firmware is not None
    booted = firmware.FIRMWARE[scenario.firmware]
    transport = scenario.transport
    if booted.machine and not transport.hot_plug:
        raise UsageError(
            f"{scenario.firmware} is booted with PCI devices: choose pci or pci-legacy"
        )
    require_alone(scenario.observe, f"scenario {scenario.name} boots {booted.name}, which")
    require_free(out)
    capture = out.absolute() / "capture"
    with Keeper() as keeper:
        folder = keeper.folder
        devices = [
            option
            for device in scenario.devices
            for option in firmware.device_options(
                device, folder, logged="access" in scenario.observe
            )
        ]
        tracers = []
        if "access" in scenario.observe:
            # Firmware may drive a transitional device by its ports.
            tracers = [AccessTracer(folder, capture, transport, folder / "log")]
        machine = ("-M", booted.machine) if booted.machine else transport.machine
        # The machines of PCs have a CPU of their own that firmware takes.
        cpu = program.cpu_options("tcg", arch=transport.arch) if not booted.machine else ()
        command = [
            program.find(transport.arch)[0], *traced_options(folder, _MEMORY_MIB, tracers),
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", *machine,
            *booted.options(folder), *(cpu or ("-accel", "tcg")), "-m", str(_MEMORY_MIB), *devices,
            "-chardev",
            f"socket,id=console,path={program.value(folder / 'console')},server=on,wait=off",
            "-serial", "chardev:console",
            *program.monitor_options(folder / "qmp"),
            *log_options(folder / "log"),
        ]  # fmt: skip
        capture.mkdir(parents=True)
        with contextlib.ExitStack() as watching:
            log = watching.enter_context(TraceLog(folder / "log", capture / "qemu.log"))
            for tracer in tracers:
                watching.enter_context(tracer)
            talk = _Talk(scenario, keeper, log, out / "console.log", progress)
            kind, message = talk.run(command)
    write_capture(
        capture,
        guest=booted.name,
        devices=[
            {"id": d.id, "type": d.type, "options": d.options, "driver": booted.name}
            for d in scenario.devices
        ],
        ended=(kind, message),
        steps=talk.steps,
        answers=talk.answers,
        expects=scenario.expects,
        surveyor=talk.surveyor,
        version=program.version(transport.arch),
        observers=scenario.observe,
    )
    return Outcome(kind, message, tuple(command), program.version(transport.arch))


def traced_options(folder: Path, mib: int, tracers: Sequence[AccessTracer]) -> list[str]:
    """QEMU's options for a guest with so much memory, which access tracers look at."""
    options = [option for tracer in tracers for option in tracer.options()]
    return [*program.memory_options(folder, mib), *options] if tracers else []


def log_options(log: Path) -> list[str]:
    """QEMU's options that have it log all that it does as a virtio device from its start."""
    events = [word for name in (*TRACE_EVENTS, *REGISTER_EVENTS) for word in ("-trace", name)]
    return ["-msg", "timestamp=on", "-D", str(log), *events]


def write_capture(
    capture: Path,
    *,
    guest: str,
    devices: list[dict[str, Any]],
    ended: tuple[outcome.Kind, str],
    steps: list[dict[str, Any]],
    answers: list[dict[str, Any]],
    surveyor: Surveyor,
    version: str = "",
    expects: Sequence[str] = (),
    observers: Sequence[str] = (),
) -> None:
    """Write what there is to say beside the log.

    ``version`` is that of another QEMU than is installed, ``observers`` looked on beside the log.
    """
    kind, message = ended
    info = {
        "schema": 1,
        "complete": kind == "clean" or kind in get_args(Trouble),
        "clock": "",
        "cpus": 1,
        "kernel": guest,
        "qemu": version or program.version(),
        "outcome": {"kind": kind, "message": message},
        "devices": devices,
        "steps": steps,
        "expects": list(expects),
    }
    (capture / "qmp.json").write_text(json.dumps(answers, indent=1) + "\n")
    surveyor.write(capture)
    ran = ["qemu-log", "registers", *observers, *(["qmp"] if answers else [])]
    write_sealed(capture, info, ran + ["survey"] * bool(surveyor.readings))


def look(monitor: Monitor, surveyor: Surveyor, at: str) -> list[dict[str, Any]]:
    """Ask for all that is known of the virtio devices, and read what their transports show."""
    answers = ask_all(monitor, at)
    for known in monitor.ask("x-query-virtio"):
        path = known["path"].removesuffix("/virtio-backend")
        surveyor.take(monitor, device_id(path), at, again=True, path=path)
    return answers + ask_interrupts(monitor, surveyor, at)


def devices(monitor: Monitor) -> list[dict[str, Any]]:
    """The virtio devices of a QEMU, as capture.json has them."""
    found = []
    for known in monitor.ask("x-query-virtio"):
        path = known["path"].removesuffix("/virtio-backend")
        kind = monitor.ask("qom-get", path=path, property="type")
        name = device_id(known["path"])
        found.append({"id": name, "type": kind, "options": {}, "driver": ""})
    return found


class _Talk:
    """The life of one guest, on its serial port."""

    def __init__(
        self,
        scenario: Scenario,
        keeper: Keeper,
        log: TraceLog,
        console: Path,
        progress: Progress,
    ) -> None:
        self._scenario = scenario
        self._keeper = keeper
        self._log = log
        self._console = console
        self._progress = progress
        self._deadline = 0.0
        self._said = b""
        self.steps: list[dict[str, Any]] = []
        self.answers: list[dict[str, Any]] = []
        self.surveyor = Surveyor()

    def run(self, command: list[str]) -> tuple[outcome.Kind, str]:
        """Boot, do the steps, ask QMP at the end; says how it ended."""
        self._deadline = time.monotonic() + self._scenario.deadline_s
        try:
            with self._console.open("ab") as output:
                process = self._keeper.start(command, output)
                with connected(self._keeper.folder / "console", process) as line:
                    for step in self._scenario.steps:
                        self._step(step, line)
                    with contextlib.closing(Monitor(self._keeper.folder / "qmp")) as monitor:
                        self.answers = look(monitor, self.surveyor, "end")
        except GuestEndedError as ended:
            return ended.kind, ended.message
        except KeyboardInterrupt:
            return "interrupted", "pykit was interrupted"
        finally:
            self._keeper.stop()
        console = self._console.read_text(errors="replace")
        if trouble := outcome.trouble(console, self._scenario.expects):
            return trouble
        return "clean", f"{len(self.steps)} steps done"

    def _step(self, step: Step, line: socket.socket) -> None:
        started = time.monotonic()
        record: dict[str, Any] = {"name": step.name, "rc": -1, "seconds": 0.0, "output": ""}
        self.steps.append(record)
        try:
            self._await(step, line)
            record["rc"] = 0
        finally:
            record["seconds"] = round(time.monotonic() - started, 3)
        # Not earlier: firmware that asks for a key throws away what came before.
        try:
            line.sendall(step.type.encode())
        except ConnectionError as error:
            raise self._ended(step) from error
        self._progress(f"{step.name}: {record['seconds']:.1f} s")

    def _ended(self, step: Step) -> GuestEndedError:
        """What became of a QEMU that hung up, with the last line that it wrote."""
        said = tail(self._console.read_text(errors="replace"), 1)
        return GuestEndedError("qemu-died", f"step {step.name}: QEMU ended: {said}")

    def _await(self, step: Step, line: socket.socket) -> None:
        wanted = step.expect.encode()
        while wanted not in self._said:
            left = self._deadline - time.monotonic()
            if left <= 0:
                last = self._said.decode(errors="replace").split("\n")[-1].strip()
                raise GuestEndedError(
                    "hang", f"step {step.name}: {step.expect!r} did not come, last line: {last}"
                )
            self._log.check()
            ready, _, _ = select.select([line], [], [], min(left, _LOOK_S))
            data = b""
            with contextlib.suppress(ConnectionError):
                data = line.recv(1 << 16) if ready else b""
            if ready and not data:
                raise self._ended(step)
            with self._console.open("ab") as console:
                console.write(data)
            self._said += data
        # What comes next is the answer to what is typed now.
        self._said = self._said.partition(wanted)[2]


@contextlib.contextmanager
def connected(path: Path, process: subprocess.Popen[bytes]) -> Iterator[socket.socket]:
    """A connection to a socket of QEMU's, as soon as it is there."""
    end = time.monotonic() + _CONNECT_S
    with socket.socket(socket.AF_UNIX) as line:
        while True:
            try:
                line.connect(str(path))
                break
            except OSError as error:
                if process.poll() is not None or time.monotonic() > end:
                    raise GuestEndedError("qemu-died", f"QEMU did not start: {error}") from error
                time.sleep(0.02)
        yield line
