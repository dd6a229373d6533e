# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios: which device, which modules and programs, and what is done with them."""

from __future__ import annotations

import math
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

from pykit.boot.qemu import CPUS
from pykit.boot.transport import PCI, Transport
from pykit.errors import UsageError
from pykit.paths import ROOT

SCENARIOS = ROOT / "scenarios"

#: What the host does between the guest's steps.
Action = Literal["plug", "unplug", "resize", "query", "qmp"]

#: Who may look on from outside: a plugin of TCG's that sees every access to a ring, and a thread
#: that looks at the rings in the guest's memory.
Observer = Literal["access", "rings"]


#: What is behind a device: a raw file, one of which reads of BAD_SECTOR fail, nothing at all (QEMU
#: answers at once), or a file that a process of its own (qemu-storage-daemon) serves, as a
#: vhost-user device. No disk has QEMU's own network, a folder, one end of a pipe to its parent's
#: other child, or none of all.
Backing = Literal["file", "failing", "null", "vhost-user", "net", "folder", "pipe", "none"]

#: The sector that cannot be read of a disk that fails.
BAD_SECTOR = 2048

#: Firmware that has virtio drivers of its own.
FIRMWARE = ("seabios", "ovmf", "u-boot", "ipxe")


@dataclass(frozen=True)
class Device:
    """A device under test, of ``size_mib``."""

    id: str
    type: str
    size_mib: int
    options: dict[str, Any]
    #: The virtio driver that is to drive it.
    driver: str = "pykit_virtio_blk"
    backing: Backing = "file"
    #: Whether QEMU serves it in a thread of its own.
    iothread: bool = False
    #: For firmware: text files, by name, that it is to find on or by the device.
    files: dict[str, str] = field(default_factory=dict)
    #: Devices on the bus that this one makes.
    children: tuple[Device, ...] = ()


@dataclass(frozen=True)
class Step:
    """One step: a shell script in the guest, or an action of the host, mostly on a device.

    With both, the host acts while the script runs: when it calls ``ready``. Of firmware, what
    has to appear on its console, and what is typed then.
    """

    name: str
    #: Lines for the guest's shell; empty for an action.
    guest: str = ""
    action: Action | None = None
    device: str = ""
    #: For resize: the new size.
    size_mib: int = 0
    #: For qmp: what QEMU is asked.
    command: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    #: For firmware.
    expect: str = ""
    type: str = ""


@dataclass(frozen=True)
class Scenario:
    """What is run in a guest."""

    name: str
    summary: str
    #: Seconds from the guest's start to its end.
    deadline_s: float
    #: Our modules, by name without .ko; pykit_trace comes first by itself.
    modules: tuple[str, ...]
    #: The kernel's own modules that the steps need.
    kernel_modules: tuple[str, ...]
    #: The host's programs that the steps call.
    programs: tuple[str, ...]
    #: Our programs, of pykit/guest.
    guest_programs: tuple[str, ...]
    devices: tuple[Device, ...]
    steps: tuple[Step, ...]
    #: Parameters of our modules, by module.
    parameters: dict[str, dict[str, str]]
    #: How often a soak does what it does: $COUNT of its steps.
    count: int = 1
    #: What the devices are attached by.
    transport: Transport = PCI
    #: Whether QEMU logs what its devices do.
    qemu_trace: bool = True
    #: vCPUs.
    cpus: int = CPUS
    #: Whether the guest's clock counts instructions, one a nanosecond; while it is idle it goes
    #: on as the host's does. Needs one vCPU, and TCG.
    icount: bool = False
    #: The firmware that is the guest, one of FIRMWARE; None: Linux, with our agent.
    firmware: str | None = None
    #: The driver under test, where that is not the plugged devices'.
    driver: str | None = None
    #: Observers beside QEMU's trace that look at the guest from outside.
    observe: tuple[Observer, ...] = ()


def load_scenario(name: str) -> Scenario:
    """A scenario by its name in scenarios/, or by a file's path.

    Raises UsageError naming file and key for anything that is not as it should be.
    """
    path = Path(name)
    if not (path.suffix == ".toml" or "/" in name):
        path = SCENARIOS / f"{name}.toml"
        if not path.is_file():
            known = ", ".join(sorted(p.stem for p in SCENARIOS.glob("*.toml")))
            raise UsageError(f"no scenario {name}: choose of {known}, or name a .toml file")
    try:
        data = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: {error}") from error
    return _Reader(path).scenario(data)


class _Reader:
    """Typed look-ups that name the file and the key in every complaint."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def scenario(self, data: dict[str, Any]) -> Scenario:
        self.only(
            data, "", "summary", "deadline", "modules", "kernel-modules", "programs",
            "guest-programs", "parameters", "count", "driver", "device", "step", "firmware",
        )  # fmt: skip
        firmware = self.get(data, "firmware", str, "") or None
        if firmware is not None:
            self.only(data, "", "summary", "deadline", "device", "step", "firmware")
            if firmware not in FIRMWARE:
                raise UsageError(
                    f"{self.path}: firmware: no {firmware}: choose of {', '.join(FIRMWARE)}"
                )
        devices = tuple(
            self.device(entry, f"device[{n}]")
            for n, entry in enumerate(self.tables(data, "device"))
        )
        steps = tuple(
            self.typed(entry, f"step[{n}]")
            if firmware
            else self.step(entry, f"step[{n}]", {device.id for device in devices})
            for n, entry in enumerate(self.tables(data, "step"))
        )
        if not steps:
            raise UsageError(f"{self.path}: no [[step]]: a scenario has to do something")
        self.unique("step", [step.name for step in steps])
        self.unique("device", [device.id for device in devices])
        plugged = [step.device for step in steps if step.action == "plug"]
        if again := next((name for name in plugged if plugged.count(name) > 1), None):
            raise UsageError(f"{self.path}: {again} is plugged twice: write a second [[device]]")
        return Scenario(
            name=self.path.stem,
            summary=self.get(data, "summary", str, ""),
            deadline_s=self.positive(data, "deadline", "", 120),
            modules=self.names(data, "modules"),
            kernel_modules=self.names(data, "kernel-modules"),
            programs=self.names(data, "programs"),
            guest_programs=self.names(data, "guest-programs"),
            devices=devices,
            steps=steps,
            parameters=self.parameters(data),
            count=int(self.positive(data, "count", "", 1)),
            driver=self.get(data, "driver", str, "") or None,
            firmware=firmware,
        )

    def parameters(self, data: dict[str, Any]) -> dict[str, dict[str, str]]:
        tables = self.get(data, "parameters", dict, {})
        for module, values in tables.items():
            where = f"parameters.{module}"
            if module not in self.names(data, "modules"):
                raise UsageError(f"{self.path}: {where}: modules does not name {module}")
            if not isinstance(values, dict):
                raise UsageError(f"{self.path}: {where}: not a table of parameters")
            for key in values:
                self.get(values, key, (str, int), None, where)
        return {
            module: {key: str(value) for key, value in values.items()}
            for module, values in tables.items()
        }

    def device(self, entry: dict[str, Any], where: str) -> Device:
        self.only(
            entry, where, "id", "type", "size-mib", "options", "driver", "files", "backing",
            "iothread", "child",
        )  # fmt: skip
        backing = self.get(entry, "backing", str, Device.backing, where)
        if backing not in get_args(Backing):
            raise UsageError(
                f"{self.path}: {where}.backing: {backing}: choose of {', '.join(get_args(Backing))}"
            )
        files = self.get(entry, "files", dict, {}, where)
        for file in files:
            self.get(files, file, str, None, f"{where}.files")
        name = self.word(entry, "id", where)
        return Device(
            id=name,
            type=self.get(entry, "type", str, None, where),
            size_mib=int(self.positive(entry, "size-mib", where, 64)),
            options=self.get(entry, "options", dict, {}, where),
            driver=self.get(entry, "driver", str, Device.driver, where),
            backing=cast("Backing", backing),
            iothread=entry.get("iothread", False) is True,
            files={file: text.removeprefix("\n") for file, text in files.items()},
            children=tuple(
                self.device({"id": f"{name}-{n}", **child}, f"{where}.child[{n}]")
                for n, child in enumerate(self.tables(entry, "child"))
            ),
        )

    def typed(self, entry: dict[str, Any], where: str) -> Step:
        """A step on the console of firmware."""
        self.only(entry, where, "name", "expect", "type")
        return Step(
            name=self.word(entry, "name", where),
            expect=self.get(entry, "expect", str, None, where),
            type=self.get(entry, "type", str, "", where),
        )

    def step(self, entry: dict[str, Any], where: str, devices: set[str]) -> Step:
        self.only(
            entry, where, "name", "guest", "do", "device", "size-mib", "command", "arguments"
        )  # fmt: skip
        guest = self.get(entry, "guest", str, "", where)
        action = self.get(entry, "do", str, "", where) or None
        device = self.get(entry, "device", str, "", where)
        if bool(guest) == bool(action) and not (guest and action in ("unplug", "qmp")):
            raise UsageError(f"{self.path}: {where}: give either guest = lines or do = an action")
        if action is not None and action not in get_args(Action):
            raise UsageError(
                f"{self.path}: {where}.do: no action {action}: {', '.join(get_args(Action))}"
            )
        if action not in (None, "qmp") and device not in devices:
            raise UsageError(f"{self.path}: {where}.device: no [[device]] has the id {device!r}")
        name = self.word(entry, "name", where)
        if name.startswith("pykit-"):
            raise UsageError(f"{self.path}: {where}.name: pykit-… are the kit's own steps")
        return Step(
            name=name,
            guest=guest,
            action=cast("Action | None", action),
            device=device,
            size_mib=(
                int(self.positive(entry, "size-mib", where, None)) if action == "resize" else 0
            ),
            command=self.get(entry, "command", str, None, where) if action == "qmp" else "",
            arguments=self.get(entry, "arguments", dict, {}, where),
        )

    def get(self, data: dict[str, Any], key: str, kind: Any, default: Any, where: str = "") -> Any:
        value = data.get(key, default)
        if value is None:
            raise UsageError(f"{self.path}: {_place(where, key)} is missing")
        if not isinstance(value, kind) or isinstance(value, bool):
            raise UsageError(f"{self.path}: {_place(where, key)}: {value!r} is of the wrong type")
        return value

    def positive(self, data: dict[str, Any], key: str, where: str, default: int | None) -> float:
        """A number above zero; ``default`` is taken as it is."""
        kind = (int, float) if key == "deadline" else int
        value = self.get(data, key, kind, default, where)
        if key in data and not 0 < value < math.inf:
            raise UsageError(f"{self.path}: {_place(where, key)}: {value} is not above zero")
        return float(value)

    def unique(self, what: str, names: list[str]) -> None:
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise UsageError(f"{self.path}: two {what}s are named {twice}: rename one")

    def word(self, data: dict[str, Any], key: str, where: str) -> str:
        value = self.get(data, key, str, None, where)
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", value):
            raise UsageError(
                f"{self.path}: {where}.{key}: {value!r}: only a-z, 0-9 and - make a name"
            )
        return str(value)

    def names(self, data: dict[str, Any], key: str) -> tuple[str, ...]:
        value = self.get(data, key, list, [])
        if not all(isinstance(item, str) for item in value):
            raise UsageError(f"{self.path}: {key}: not a list of names")
        return tuple(value)

    def tables(self, data: dict[str, Any], key: str) -> list[dict[str, Any]]:
        value = data.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise UsageError(f"{self.path}: {key}: write [[{key}]]")
        return value

    def only(self, data: dict[str, Any], where: str, *known: str) -> None:
        if unknown := next((key for key in data if key not in known), None):
            raise UsageError(
                f"{self.path}: {_place(where, unknown)} is not known: {', '.join(known)}"
            )


def _place(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
