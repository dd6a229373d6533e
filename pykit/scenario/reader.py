# SPDX-License-Identifier: GPL-2.0-only
"""Read a scenario's file: its shape by pydantic, then what its names mean."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, cast, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from pykit.errors import UsageError
from pykit.scenario import available
from pykit.scenario.model import (
    FIRMWARE,
    SCENARIOS,
    Action,
    Backing,
    Device,
    Scenario,
    Step,
    Trouble,
)
from pykit.toml import Place, TomlFile, choice, validated

#: Commands of QMP that a scenario may send: what happens to a machine from outside. Others open
#: files or run programs of the host, which a scenario from elsewhere must not.
QMP_COMMANDS = (
    "balloon", "cont", "inject-nmi", "input-send-event", "send-key", "set_link", "stop",
    "system_powerdown", "system_reset", "system_wakeup",
)  # fmt: skip

#: Of a device or step. It is part of file names, socket names and the agent's commands.
Name = Annotated[
    str, AfterValidator(lambda text: _matching(r"[a-z0-9][a-z0-9-]{,31}", text, _NAME))
]
_FileName = Annotated[str, AfterValidator(lambda text: _matching(r"\w[\w.-]*", text, _FILE))]
_Positive = Annotated[int, Field(gt=0, lt=1 << 31)]


_NAME = "only a-z, 0-9 and - make a name, 32 of them at most"
_FILE = "only letters, digits, _, . and - make a file's name"


def _matching(pattern: str, text: str, words: str) -> str:
    if not re.fullmatch(pattern, text, re.ASCII):
        raise ValueError(f"{text[:40]!r}: {words}")
    return text


class _Table(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        alias_generator=lambda name: name.replace("_", "-"),
    )


class _Child(_Table):
    id: Name | None = None
    type: str
    size_mib: _Positive = 64
    options: dict[str, Any] = {}
    driver: str = Device.driver
    files: dict[_FileName, str] = {}
    backing: str = Device.backing
    iothread: bool = False
    child: list[_Child] = []


class _Device(_Child):
    id: Name


class _Step(_Table):
    name: Name
    guest: str = ""
    do: str | None = None
    device: str = ""
    size_mib: _Positive | None = None
    command: str | None = None
    arguments: dict[str, Any] = {}


class _TypedStep(_Table):
    """A step on the console of firmware."""

    name: Name
    expect: str
    type: str = ""


class _Common(_Table):
    summary: str = ""
    deadline: Annotated[float, Field(gt=0)] = 120
    device: list[_Device] = []
    expects: list[str] = []


class _Linux(_Common):
    modules: list[str] = []
    kernel_modules: list[str] = []
    programs: list[str] = []
    guest_programs: list[str] = []
    parameters: dict[str, dict[str, str | int]] = {}
    count: _Positive = 1
    driver: str | None = None
    step: list[_Step] = []


class _Firmware(_Common):
    firmware: str
    step: list[_TypedStep] = []


def load_scenario(name: str) -> Scenario:
    """Return a scenario by its name in scenarios/, or by a file's path.

    Raises UsageError naming file, line and key for anything that is not as it should be.
    """
    path = Path(name)
    if not (path.suffix == ".toml" or "/" in name):
        path = SCENARIOS / f"{name}.toml"
        if not path.is_file():
            words = choice(name, (p.stem for p in SCENARIOS.glob("*.toml")), "scenario")
            raise UsageError(f"{words}; or name a .toml file")
    file = TomlFile(path)
    if not re.fullmatch(r"\w[\w.-]*", path.stem, re.ASCII):
        raise file.wrong((), f"the file's name is the scenario's: {_FILE}")
    return _firmware(file) if "firmware" in file.data else _linux(file)


def _firmware(file: TomlFile) -> Scenario:
    table = validated(file, _Firmware)
    if table.firmware not in FIRMWARE:
        raise file.wrong(("firmware",), choice(table.firmware, FIRMWARE, "firmware"))
    steps = tuple(Step(name=s.name, expect=s.expect, type=s.type) for s in table.step)
    return _scenario(file, table, steps, firmware=table.firmware)


def _linux(file: TomlFile) -> Scenario:
    table = validated(file, _Linux)
    _known(file, "modules", table.modules, available.modules(), "module of ours")
    there = available.guest_programs()
    _known(file, "guest-programs", table.guest_programs, there, "guest program")
    return _scenario(
        file,
        table,
        tuple(_step(file, ("step", n), step, table) for n, step in enumerate(table.step)),
        modules=tuple(table.modules),
        kernel_modules=tuple(table.kernel_modules),
        programs=tuple(table.programs),
        guest_programs=tuple(table.guest_programs),
        parameters=_parameters(file, table),
        count=table.count,
        driver=table.driver or None,
    )


def _scenario(file: TomlFile, table: _Common, steps: tuple[Step, ...], **others: Any) -> Scenario:
    """The scenario with what all kinds of guests have, checked."""
    devices = tuple(
        _device(file, ("device", n), device, device.id) for n, device in enumerate(table.device)
    )
    if not steps:
        raise file.wrong((), "no [[step]]: a scenario has to do something")
    _unique(file, "step", [step.name for step in steps])
    _unique(file, "device", [device.id for device in devices])
    plugged: set[str] = set()
    for number, step in enumerate(steps):
        if step.action == "plug" and step.device in plugged:
            words = f"{step.device} is plugged twice: write a second [[device]]"
            raise file.wrong(("step", number), words)
        plugged |= {step.device} if step.action == "plug" else set()
    _known(file, "expects", table.expects, frozenset(get_args(Trouble)), "trouble")
    empty: dict[str, Any] = {
        "modules": (), "kernel_modules": (), "programs": (), "guest_programs": (),
        "parameters": {},
    }  # fmt: skip
    return Scenario(
        name=file.path.stem,
        summary=table.summary,
        deadline_s=table.deadline,
        devices=devices,
        steps=steps,
        expects=cast("tuple[Trouble, ...]", tuple(table.expects)),
        **{**empty, **others},
    )


def _parameters(file: TomlFile, table: _Linux) -> dict[str, dict[str, str]]:
    for module, values in table.parameters.items():
        place = ("parameters", module)
        if module not in table.modules:
            raise file.wrong(place, f"modules does not name {module}")
        if mistake := available.parameter_error(module, values):
            raise file.wrong((*place, *mistake[0]), mistake[1])
    return {
        module: {key: str(value) for key, value in values.items()}
        for module, values in table.parameters.items()
    }


def _device(file: TomlFile, place: Place, table: _Child, name: str) -> Device:
    if table.backing not in get_args(Backing):
        raise file.wrong((*place, "backing"), choice(table.backing, get_args(Backing), "backing"))
    if mistake := available.device_error(table.type, table.options):
        raise file.wrong((*place, *mistake[0]), mistake[1])
    return Device(
        id=name,
        type=table.type,
        size_mib=table.size_mib,
        options=table.options,
        driver=table.driver,
        backing=cast("Backing", table.backing),
        iothread=table.iothread,
        files={file: text.removeprefix("\n") for file, text in table.files.items()},
        children=tuple(
            _device(file, (*place, "child", n), child, child.id or f"{name}-{n}")
            for n, child in enumerate(table.child)
        ),
    )


def _step(file: TomlFile, place: Place, table: _Step, scenario: _Linux) -> Step:
    action = table.do
    if bool(table.guest) == bool(action) and not (table.guest and action in ("unplug", "qmp")):
        raise file.wrong(place, "give either guest = lines or do = an action")
    if table.guest and (mistake := available.shell_error(table.guest)):
        raise file.wrong((*place, "guest"), f"sh does not understand {mistake}")
    if action and action not in get_args(Action):
        raise file.wrong((*place, "do"), choice(action, get_args(Action), "action"))
    devices = [device.id for device in scenario.device]
    if action and action != "qmp" and table.device not in devices:
        words = choice(table.device, devices, "[[device]] with the id")
        raise file.wrong((*place, "device"), words)
    if table.name.startswith("pykit-"):
        raise file.wrong((*place, "name"), "pykit-… are the kit's own steps")
    if action == "resize" and table.size_mib is None:
        raise file.wrong(place, "size-mib is missing")
    if action == "qmp":
        if table.command is None:
            raise file.wrong(place, "command is missing")
        if table.command not in QMP_COMMANDS:
            words = choice(table.command, QMP_COMMANDS, "command of QMP for scenarios")
            raise file.wrong((*place, "command"), words)
    return Step(
        name=table.name,
        guest=table.guest,
        action=cast("Action | None", action or None),
        device=table.device,
        size_mib=(table.size_mib or 0) if action == "resize" else 0,
        command=table.command or "",
        arguments=table.arguments,
    )


def _known(file: TomlFile, key: str, names: list[str], there: frozenset[str], what: str) -> None:
    for number, name in enumerate(names):
        if name not in there:
            raise file.wrong((key, number), choice(name, there, what))


def _unique(file: TomlFile, what: str, names: list[str]) -> None:
    for number, name in enumerate(names):
        if name in names[:number]:
            raise file.wrong((what, number), f"two {what}s are named {name}: rename one")
