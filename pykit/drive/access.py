# SPDX-License-Identifier: GPL-2.0-only
"""Cases of registers: steps of one access each, as rows of cases/registers.toml have them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, field_validator

from pykit.drive.carriers.registers import RegisterBlock, RegisterDevice
from pykit.drive.features import mask
from pykit.drive.rows import TableRow
from pykit.drive.spoil_rings import SPOILS
from pykit.trace.register_map import NAMES

#: Moments: before features, before queues, before DRIVER_OK, with a queue that serves, with a
#: request under way.
At = Literal["driver", "features-ok", "ready", "live", "busy"]
Transport = Literal["pci", "pci-legacy", "mmio", "mmio-legacy"]
_LIMIT = "limit"
_PLACES = (
    "registers", "config", "notify", "isr", "pci", "express", "msi", "msix", "vectors", "pending",
    "window", "notify-capability", "legacy", "sr-iov",
)  # fmt: skip
_PLACE = rf"(?P<place>{'|'.join(_PLACES)})\+(?P<offset>\w+) (?P<width>[12348])"
#: Besides numbers: what was kept, how many queues there are, the queue that has the requests and
#: another that takes them.
_NUMBERS = ("kept", "queues", "own", "other")
#: Where structures of PCI are.
_WHERE = (
    "bar", "common-bar", "common-offset", "notify-bar", "notify-offset", "offer-offset",
    "queues-offset",
)  # fmt: skip
#: What a driver must not do in its rings (broken_steps.py).
BROKEN = (
    "kick-always", "kick-by-flag", "overtake", "overcommit", "withdraw", "lose", "submit-waiting",
    "submit-decided", "submit-rewritten", "submit-shredded", "read-together",
)  # fmt: skip
_NUMBER = r"0x[0-9a-f]+|\d+"
_VALUE = rf"(?P<value>{_NUMBER}|{'|'.join((*_NUMBERS, *_WHERE))})"
_TEST = rf"( (?P<test>is not|is|has|lacks) {_VALUE})?"
_QUEUE = r"(?P<queue>own|other)"
_STEPS = tuple(
    re.compile(rf"(repeat (?P<repeat>\d+) )?{pattern}")
    for pattern in (
        rf"(?P<verb>write) (?P<register>\w+) {_VALUE}",
        rf"(?P<verb>read) (?P<register>\w+){_TEST}",
        r"(?P<verb>keep) (?P<register>\w+)",
        rf"(?P<verb>poke) {_PLACE} {_VALUE}",
        rf"(?P<verb>peek) {_PLACE}{_TEST}",
        rf"(?P<verb>notify) {_VALUE}",
        r"(?P<verb>find)",
        rf"(?P<verb>submit|submit-cut|serve|await|{'|'.join(BROKEN)})( {_QUEUE})?",
        rf"(?P<verb>oversize|go-round) {_QUEUE}",
        rf"(?P<verb>interrupts) {_QUEUE} is (?P<value>[01])",
        rf"(?P<verb>avail-flags|used-event|set-up) {_QUEUE} (?P<value>{_NUMBER})",
        r"(?P<verb>begin)( (?P<how>plain|packed|small|packed small))?",
        rf"(?P<verb>spoil) (?P<how>[a-z-]+) {_QUEUE}",
        r"(?P<verb>host) (?P<how>resize|slow|fast|look)",
        r"(?P<verb>fail)",
    )
)
#: Verbs that are not accesses to registers.
VERBS = (
    "submit", "submit-cut", "serve", "await", "interrupts", "avail-flags", "used-event", "set-up",
    "begin", "spoil", "find", "host", "fail", "oversize", "go-round", *BROKEN,
)  # fmt: skip
#: What a verb does, given the words of its step; it returns what is wrong.
Action = Callable[[Mapping[str, str]], str]


class RegisterRow(TableRow):
    """A row of the table of accesses.

    Attributes:
        at: the moment.
        steps: the accesses in order.
        transports: those that it is for.
        accept: features that the device has to offer.
        refuse: features that are left alone.
        device: the type that it is for; any without.
    """

    at: At
    steps: list[str]
    transports: list[Transport] = Field(["pci", "pci-legacy", "mmio", "mmio-legacy"])
    accept: list[str] = Field([])
    refuse: list[str] = Field([])
    device: str = ""

    @field_validator("accept", "refuse")
    @classmethod
    def _features(cls, features: list[str]) -> list[str]:
        mask(features)
        return features

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
            if found["verb"] == "spoil" and found["how"] not in SPOILS:
                raise ValueError(f"unknown way to spoil a chain {found['how']!r}")
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
        words = _parse(step) or {}
        register, place = words.get("register"), words.get("place")
        if register and register != _LIMIT and device.block(register) is None:
            return f"not for {device.transport}"
        if place and device.place(place) is None:
            return f"the device has no {place}"
        value = words.get("value") or ""
        if value in _WHERE and value not in device.places:
            return f"not for {device.transport}"
    return ""


class Accessor:
    """Does the steps of a row.

    Args:
        device: whose registers are accessed; a function, as a step may find it anew.
        numbers: of queues: how many there are, and which.
        actions: what the verbs do that are not accesses to registers.
    """

    def __init__(
        self,
        device: Callable[[], RegisterDevice],
        numbers: Mapping[str, int],
        actions: Mapping[str, Action],
    ) -> None:
        self._find, self._numbers, self._actions = device, numbers, actions
        self._kept = 0

    def run(self, row: RegisterRow) -> str:
        """Do all steps; return the first value that is not as it has to be, in words."""
        wrong = ""
        for step in row.steps:
            words = _parse(step) or {}
            for _ in range(int(words.get("repeat") or 1)):
                wrong = wrong or self._step(step, words)
        return wrong

    @property
    def _device(self) -> RegisterDevice:
        return self._find()

    def _step(self, step: str, words: dict[str, str]) -> str:
        verb, name = words["verb"], words.get("register") or ""
        if verb in VERBS:
            what = self._actions[verb](words)
            return what and f"{step}: {what}"
        value = self._value(words.get("value"))
        found: int | None = None
        if verb == "notify":
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
        if value is None or found is None or _holds(words["test"], found, value):
            return ""
        return f"{step}: {found:#x}"

    def _block(self, name: str) -> RegisterBlock:
        block = self._device.block(name)
        assert block is not None, name
        return block

    def _raw(self, words: dict[str, str], value: int | None) -> int | None:
        place = self._device.place(words["place"])
        assert place is not None, words
        bus, base = place
        at, width = base + int(words["offset"], 0), int(words["width"])
        if words["verb"] == "peek":
            return bus.read(at, width)
        bus.write(at, value or 0, width)
        return None

    def _value(self, text: str | None) -> int | None:
        if text is None:
            return None
        named = {"kept": self._kept, **self._numbers, **self._device.places}
        return named[text] if text in named else int(text, 0)


def _holds(test: str, found: int, value: int) -> bool:
    if test == "is":
        return found == value
    if test == "is not":
        return found != value
    return bool(found & value) == (test == "has")


def _parse(step: str) -> dict[str, str] | None:
    for pattern in _STEPS:
        if match := pattern.fullmatch(step):
            return match.groupdict()
    return None
