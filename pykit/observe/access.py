# SPDX-License-Identifier: GPL-2.0-only
"""Answer the access tracer (plugin/) with the addresses of the rings.

The plugin holds the vCPU right behind every store to a register that may move rings and asks; QEMU
is asked over a monitor of its own, and the answers are kept for whoever reads the records.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from pykit.arch import AMD64, ARM64, RISCV64
from pykit.errors import UsageError
from pykit.guests.channel import GuestEndedError
from pykit.guests.locate import look_patiently
from pykit.guests.monitor import WITHOUT_STATUS, Monitor
from pykit.observe.plugin import compile_plugin
from pykit.qemu import program
from pykit.scenario.model import Scenario
from pykit.scenario.transport import Transport

#: The first QEMU whose plugins are given the values of accesses.
VALUES = (9, 2)
_RECORDS, _ANSWERS = "access.bin", "access.json"
#: A size of memory on QEMU's command line, what it is without one, and the largest that every
#: machine has in one piece.
_SIZE = re.compile(r"(?:size=)?([0-9]+)([MG]?)")
_DEFAULT_MIB, _MOST_MIB = 128, 2048


def require_alone(observe: Sequence[str], guest: str) -> None:
    """Raise UsageError for observers that need code of the kit in a guest, or its devices."""
    if others := [name for name in observe if name != "access"]:
        raise UsageError(
            f"{guest} can be looked at by --observe access alone: leave --observe {others[0]} out"
        )
    if observe:
        _require_status(observe[0])


def _require_status(observer: str) -> None:
    """Raise UsageError for a QEMU that cannot be asked where its rings are."""
    major = program.find()[1][0]
    if major in WITHOUT_STATUS:
        raise UsageError(
            f"--observe {observer} needs x-query-virtio-status, at which QEMU {major} aborts: "
            "use another QEMU"
        )


def memory_mib(arguments: Sequence[str]) -> int:
    """Return how much memory QEMU's ``arguments`` give a guest, in MiB.

    Raises UsageError where the tracer cannot look at it: it is not the machine's one memory, it
    has a hole for devices in its middle, or KVM runs the guest.
    """
    if any("kvm" in word for word in arguments):
        raise UsageError("the access tracer is a plugin of TCG: leave KVM out of --qemu-args")
    if any(word.startswith("memory-backend") or "memory-backend=" in word for word in arguments):
        raise UsageError("the access tracer brings the memory's file: leave memory-backend out")
    given = [value for word, value in pairwise(arguments) if word == "-m"]
    found = _SIZE.fullmatch(given[-1]) if given else None
    if given and found is None:
        raise UsageError(f"-m {given[-1]}: the access tracer takes a size alone, such as 512M")
    mib = _DEFAULT_MIB if found is None else int(found[1]) * (1024 if found[2] == "G" else 1)
    if not 0 < mib <= _MOST_MIB:
        raise UsageError(f"-m {given[-1]}: the access tracer needs at most {_MOST_MIB} MiB")
    return mib


def require_seen(scenario: Scenario, accelerator: str, runner: str) -> None:
    """Raise UsageError for what the observers cannot see."""
    if set(scenario.observe) == {"tap"}:
        return
    if runner != "direct":
        raise UsageError(
            f"--observe {scenario.observe[0]} needs --boot direct: "
            "virtme-ng owns the guest's memory"
        )
    _require_status(scenario.observe[0])
    served = [device.id for device in scenario.devices if device.backing == "vhost-user"]
    if "rings" in scenario.observe and served:
        raise UsageError(
            f"the ring watcher follows no rings of vhost-user devices, such as {served[0]}: "
            "use --observe access"
        )
    packed = [device.id for device in scenario.devices if device.options.get("packed")]
    if "rings" in scenario.observe and packed:
        raise UsageError(
            f"{packed[0]} has packed rings, in which the device writes over what the driver wrote: "
            "watch split ones, or --observe access"
        )
    if "access" not in scenario.observe:
        return
    if (arch := scenario.transport.arch) not in (AMD64, ARM64, RISCV64):
        raise UsageError(
            f"the access tracer does not know instructions of {arch.name}: "
            "leave --observe access out"
        )
    if accelerator != "tcg":
        raise UsageError(f"the access tracer is a plugin of TCG and sees nothing of {accelerator}")


def log_registers(scenario: Scenario, version: tuple[int, ...]) -> bool:
    """Whether only QEMU's log has the values of registers, if anybody is to look at them."""
    return "access" in scenario.observe and (version < VALUES or scenario.transport.ports)


class AccessTracer:
    """Answers the plugin from a thread, from before QEMU starts until it has ended.

    ``log`` is QEMU's, where devices' registers may be ports.
    """

    def __init__(
        self, folder: Path, capture: Path, transport: Transport, log: Path | None = None
    ) -> None:
        self._folder, self._capture, self._transport = folder, capture, transport
        self._log = capture / "qemu.log" if log is None and transport.ports else log
        self._answers: list[dict[str, Any]] = []
        self._plugin = compile_plugin()

    def options(self) -> list[str]:
        """QEMU's options for it."""
        folder = self._folder
        files = {
            "file": self._plugin,
            "out": self._capture / _RECORDS,
            "ram": folder / program.MEMORY,
            "rings": folder / "rings",
        }
        if self._log is not None:
            files["log"] = self._log
        arch = self._transport.arch
        words = [f"{name}={program.value(path)}" for name, path in files.items()]
        words += [f"target={arch.machine}", f"base={arch.ram:x}"]
        if self._transport.registers:
            words.append("mmio={:x}-{:x}".format(*self._transport.registers))
        return [*program.monitor_options(folder / "qmp-access"), "-plugin", ",".join(words)]

    def __enter__(self) -> Self:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._folder / "rings"))
        self._listener.listen(1)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """QEMU has ended: so has the connection, if there ever was one."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        (self._capture / _ANSWERS).write_text(json.dumps(self._answers, indent=1) + "\n")

    def _serve(self) -> None:
        with contextlib.suppress(OSError, GuestEndedError):
            plugin, _ = self._listener.accept()
            with plugin, plugin.makefile("rw") as lines, contextlib.ExitStack() as stack:
                monitor: Monitor | None = None
                for line in lines:
                    if monitor is None:
                        monitor = Monitor(self._folder / "qmp-access")
                        stack.callback(monitor.close)
                    answer = look_patiently(monitor)
                    self._answers.append({"register": int(line, 16), **answer})
                    for line in _lines(answer["rings"]):
                        lines.write(line)
                    lines.write(".\n")
                    lines.flush()


def _lines(rings: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What the plugin is to know: each queue as a whole, and each of its areas."""
    queues: dict[tuple[str, int], dict[str, dict[str, Any]]] = {}
    for ring in rings:
        queues.setdefault((ring["device"], ring["queue"]), {})[ring["area"]] = ring
        yield f"{ring['address']:x} {ring['bytes']:x}\n"
    for areas in queues.values():
        places = " ".join(f"{areas[name]['address']:x}" for name in ("desc", "avail", "used"))
        yield f"queue {places} {areas['desc']['size']:x} {areas['desc']['packed']:d}\n"
