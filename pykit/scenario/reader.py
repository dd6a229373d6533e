# SPDX-License-Identifier: GPL-2.0-only
"""A scenario's file, read and checked."""

from __future__ import annotations

import math
import re
from typing import Any, cast, get_args

from pykit.errors import UsageError
from pykit.scenario import available
from pykit.scenario.model import FIRMWARE, Action, Backing, Device, Scenario, Step
from pykit.toml import TomlFile, choice


def read(file: TomlFile) -> Scenario:
    """Raises UsageError naming file, line and key for anything that is not as it should be."""
    return _Reader(file).scenario()


class _Reader:
    """Typed look-ups that name the file, the line and the key in every complaint."""

    def __init__(self, file: TomlFile) -> None:
        self.file = file

    def scenario(self) -> Scenario:
        data = self.file.data
        self.only(
            data, "", "summary", "deadline", "modules", "kernel-modules", "programs",
            "guest-programs", "parameters", "count", "driver", "device", "step", "firmware",
        )  # fmt: skip
        firmware = self.get(data, "firmware", str, "") or None
        if firmware is not None:
            self.only(data, "", "summary", "deadline", "device", "step", "firmware")
            if firmware not in FIRMWARE:
                raise self.wrong("firmware", choice(firmware, FIRMWARE, "firmware"))
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
            raise self.wrong("", "no [[step]]: a scenario has to do something")
        self.unique("step", [step.name for step in steps])
        self.unique("device", [device.id for device in devices])
        plugged = [step.device for step in steps if step.action == "plug"]
        if again := next((name for name in plugged if plugged.count(name) > 1), None):
            raise self.wrong(
                f"step[{[s.action == 'plug' and s.device for s in steps].index(again) + 1}]",
                f"{again} is plugged twice: write a second [[device]]",
            )
        return Scenario(
            name=self.file.path.stem,
            summary=self.get(data, "summary", str, ""),
            deadline_s=self.positive(data, "deadline", "", 120),
            modules=self.chosen(data, "modules", available.modules(), "module of ours"),
            kernel_modules=self.names(data, "kernel-modules"),
            programs=self.names(data, "programs"),
            guest_programs=self.chosen(
                data, "guest-programs", available.guest_programs(), "guest program"
            ),
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
                raise self.wrong(where, f"modules does not name {module}")
            if not isinstance(values, dict):
                raise self.wrong(where, "not a table of parameters")
            for key in values:
                self.get(values, key, (str, int), None, where)
            if mistake := available.parameter_error(module, values):
                raise self.wrong(_place(where, *mistake[0]), mistake[1])
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
            raise self.wrong(f"{where}.backing", choice(backing, get_args(Backing), "backing"))
        files = self.get(entry, "files", dict, {}, where)
        for file in files:
            self.get(files, file, str, None, f"{where}.files")
        name = self.word(entry, "id", where)
        kind = self.get(entry, "type", str, None, where)
        options = self.get(entry, "options", dict, {}, where)
        if mistake := available.device_error(kind, options):
            raise self.wrong(_place(where, *mistake[0]), mistake[1])
        return Device(
            id=name,
            type=kind,
            size_mib=int(self.positive(entry, "size-mib", where, 64)),
            options=options,
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
            raise self.wrong(where, "give either guest = lines or do = an action")
        if guest and (mistake := available.shell_error(guest)):
            raise self.wrong(f"{where}.guest", f"sh does not understand {mistake}")
        if action is not None and action not in get_args(Action):
            raise self.wrong(f"{where}.do", choice(action, get_args(Action), "action"))
        if action not in (None, "qmp") and device not in devices:
            raise self.wrong(f"{where}.device", choice(device, devices, "[[device]] with the id"))
        name = self.word(entry, "name", where)
        if name.startswith("pykit-"):
            raise self.wrong(f"{where}.name", "pykit-… are the kit's own steps")
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
            raise self.wrong(where, f"{key} is missing")
        if not isinstance(value, kind) or isinstance(value, bool):
            raise self.wrong(_place(where, key), f"{value!r} is of the wrong type")
        return value

    def positive(self, data: dict[str, Any], key: str, where: str, default: int | None) -> float:
        """A number above zero; ``default`` is taken as it is."""
        kind = (int, float) if key == "deadline" else int
        value = self.get(data, key, kind, default, where)
        if key in data and not 0 < value < math.inf:
            raise self.wrong(_place(where, key), f"{value} is not above zero")
        return float(value)

    def unique(self, what: str, names: list[str]) -> None:
        for number, name in enumerate(names):
            if name in names[:number]:
                raise self.wrong(f"{what}[{number}]", f"two {what}s are named {name}: rename one")

    def word(self, data: dict[str, Any], key: str, where: str) -> str:
        value = self.get(data, key, str, None, where)
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", value):
            raise self.wrong(f"{where}.{key}", f"{value!r}: only a-z, 0-9 and - make a name")
        return str(value)

    def names(self, data: dict[str, Any], key: str) -> tuple[str, ...]:
        value = self.get(data, key, list, [])
        if not all(isinstance(item, str) for item in value):
            raise self.wrong(key, "not a list of names")
        return tuple(value)

    def chosen(
        self, data: dict[str, Any], key: str, there: frozenset[str], what: str
    ) -> tuple[str, ...]:
        """Names of what there is."""
        names = self.names(data, key)
        for number, name in enumerate(names):
            if name not in there:
                raise self.wrong(f"{key}[{number}]", choice(name, there, what))
        return names

    def tables(self, data: dict[str, Any], key: str) -> list[dict[str, Any]]:
        value = data.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.wrong(key, f"write [[{key}]]")
        return value

    def only(self, data: dict[str, Any], where: str, *known: str) -> None:
        if unknown := next((key for key in data if key not in known), None):
            raise self.wrong(_place(where, unknown), choice(unknown, known, "key"))

    def wrong(self, where: str, words: str) -> UsageError:
        """The error to raise for what stands at ``where``, such as device[0].options."""
        parts = re.findall(r"\[(\d+)\]|([^.\[\]]+)", where)
        return self.file.wrong(tuple(name or int(n) for n, name in parts), words)


def _place(where: str, *keys: str | int) -> str:
    return ".".join(map(str, (where, *keys) if where else keys))
