# SPDX-License-Identifier: GPL-2.0-only
"""Cases of registers: steps of one access each, as rows of cases/registers.toml have them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, field_validator

from pykit.drive.carriers.registers import RegisterBlock, RegisterDevice
from pykit.drive.rows import TableRow
from pykit.trace.register_map import NAMES

#: Moments: before features, before queues, before DRIVER_OK, with a queue that serves, with a
#: request under way.
At = Literal["driver", "features-ok", "ready", "live", "busy"]
Transport = Literal["pci", "pci-legacy", "mmio", "mmio-legacy"]
_LIMIT = "limit"
_PLACE = r"(?P<place>registers|config)\+(?P<offset>\w+) (?P<width>[1248])"
_VALUE = r"(?P<value>0x[0-9a-f]+|\d+|kept|queues)"
_STEPS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?P<verb>write) (?P<register>\w+) {_VALUE}",
        rf"(?P<verb>read) (?P<register>\w+)( is {_VALUE})?",
        r"(?P<verb>keep) (?P<register>\w+)",
        rf"(?P<verb>poke) {_PLACE} {_VALUE}",
        rf"(?P<verb>peek) {_PLACE}( is {_VALUE})?",
        rf"(?P<verb>notify) {_VALUE}",
        r"(?P<verb>submit)",
    )
)


class RegisterRow(TableRow):
    """A row of the table of accesses.

    Attributes:
        at: the moment.
        steps: the accesses in order.
        transports: those that it is for.
    """

    at: At
    steps: list[str]
    transports: list[Transport] = Field(["pci", "pci-legacy", "mmio", "mmio-legacy"])

    @field_validator("steps")
    @classmethod
    def _known(cls, steps: list[str]) -> list[str]:
        for step in steps:
            found = _parse(step)
            if found is None:
                raise ValueError(f"unknown step {step!r}")
            register = found.get("register")
            if register and register not in (*NAMES, _LIMIT):
                raise ValueError(f"unknown register {register!r}")
        return steps


@dataclass(frozen=True)
class RegisterCase:
    """A row of accesses; all is in it."""

    row: RegisterRow

    @property
    def name(self) -> str:
        """Row and moment, such as ``status-again/live``."""
        return f"{self.row.name}/{self.row.at}"


def lacking(row: RegisterRow, device: RegisterDevice) -> str:
    """Why a row cannot be run on a device; empty where it can."""
    if device.transport not in row.transports:
        return f"not for {device.transport}"
    for step in row.steps:
        register = (_parse(step) or {}).get("register")
        if register and register != _LIMIT and device.block(register) is None:
            return f"not for {device.transport}"
    return ""


class Accessor:
    """Does the steps of a row.

    Args:
        device: whose registers are accessed.
        queues: how many queues it has.
        submit: exposes a good request without a notification.
    """

    def __init__(self, device: RegisterDevice, queues: int, submit: Callable[[], None]) -> None:
        self._device, self._queues, self._submit = device, queues, submit
        self._kept = 0

    def run(self, row: RegisterRow) -> str:
        """Do all steps; return the first value that is not as it has to be, in words."""
        wrong = ""
        for step in row.steps:
            wrong = wrong or self._step(step)
        return wrong

    def _step(self, step: str) -> str:
        words = _parse(step) or {}
        verb, name = words["verb"], words.get("register") or ""
        value = self._value(words.get("value"))
        found: int | None = None
        if verb == "submit":
            self._submit()
        elif verb == "notify":
            self._device.notify(value or 0)
        elif verb in ("peek", "poke"):
            found = self._raw(words, value)
        elif verb == "write":
            self._block(name).write(name, value or 0)
        elif name == _LIMIT:
            found = self._device.limit()
        else:
            found = self._block(name).read(name)
        if verb == "keep":
            self._kept = found or 0
            return ""
        if verb in ("read", "peek") and value is not None and found != value:
            return f"{step}: {found:#x}"
        return ""

    def _block(self, name: str) -> RegisterBlock:
        block = self._device.block(name)
        assert block is not None, name
        return block

    def _raw(self, words: dict[str, str], value: int | None) -> int | None:
        block = self._device.registers if words["place"] == "registers" else self._device.space
        at, width = block.base + int(words["offset"], 0), int(words["width"])
        if words["verb"] == "peek":
            return block.bus.read(at, width)
        block.bus.write(at, value or 0, width)
        return None

    def _value(self, text: str | None) -> int | None:
        if text is None:
            return None
        named = {"kept": self._kept, "queues": self._queues}
        return named[text] if text in named else int(text, 0)


def _parse(step: str) -> dict[str, str] | None:
    for pattern in _STEPS:
        if match := pattern.fullmatch(step):
            return match.groupdict()
    return None
