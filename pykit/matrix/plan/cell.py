# SPDX-License-Identifier: GPL-2.0-only
"""Cells: one scenario with a value on each axis, and what those values change."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from pykit import spec
from pykit.device import FAULTS
from pykit.mutants import Mutant, all_mutants
from pykit.scenario.axes import RINGS
from pykit.scenario.model import Backing
from pykit.scenario.transport import NAMES

#: Values of an axis of faults or observers: all there are, and none.
ALL, NONE = "all", "none"
#: The value of the axis `qemu` for the QEMU that every other run uses.
OWN_QEMU = "default"

#: The axis of mutants of the kernel's own code, and what its values name.
MUTANT = "mutant"
#: The axis of back-ends that `pykit drive` drives without a guest, and what stands in place of
#: such a cell's scenario.
PEER, DRIVEN = "peer", "drive"
#: The axis of deliberate bugs of our driver.
DRIVER_FAULT = "driver-fault"

#: The axis of deliberate faults of `pykit device`, which serves the disk of such a cell; that of
#: the control too.
BACK_END_FAULT = "back-end-fault"

#: What a cell needs beside its guest: modules that compile without a complaint of W=1 C=1.
Requirement = Literal["strict-build"]
Parameter = str | int
STRICT_MODEL = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)

#: Axes with a meaning of their own, as options of `pykit run`; and the values they may have,
#: or None for any.
KNOWN_AXES: dict[str, tuple[str, ...] | None] = {
    "kernel": None,
    "driver": None,
    "transport": NAMES,
    "ring": RINGS,
    DRIVER_FAULT: (NONE, *spec.faults("driver")),
    "device-fault": (NONE, *spec.faults("device")),
    BACK_END_FAULT: (NONE, *FAULTS),
    MUTANT: (NONE, *(mutant.name for mutant in all_mutants())),
    "observe": (NONE, "access", "rings", "access+rings", "tap"),
    "qemu": None,
    "runner": ("direct", "vng"),
}


def find_mutant(name: str) -> Mutant | None:
    """Return the mutant that a value of the axis names; None for the control."""
    return next((mutant for mutant in all_mutants() if mutant.name == name), None)


class Patch(BaseModel):
    """Changes of one axis value to the scenario: to all its devices, or to the guest."""

    model_config = STRICT_MODEL

    type: str | None = None
    options: dict[str, str | int | bool] = {}
    backing: Backing | None = None
    iothread: bool | None = None
    cpus: Annotated[int, Field(ge=1, le=8)] | None = None
    count: Annotated[int, Field(ge=1)] | None = None
    #: Parameters of our modules, by module.
    parameters: dict[str, dict[str, Parameter]] = {}


class Subject(BaseModel):
    """A driver or a device that a cell is run for, as the conformance report names it."""

    model_config = STRICT_MODEL

    name: Annotated[str, Field(min_length=1)]
    side: Literal["driver", "device"]
    #: The peer on the other side, and the observers.
    seen: str


@dataclass(frozen=True)
class MatrixCell:
    """One cell of a matrix, or a single run.

    Attributes:
        name: matrix/cell; the second part lists the values that are not their axis's first.
            A single run is called as its scenario.
        axes: the value on each axis, in the order of the file.
        patches: changes by the values of axes that are tables.
        kernel: another kernel than the matrix file has, given by --kernel.
        original: the name in the matrix file where `name` differs.
        isolate: run it in a guest that is booted for it alone.
    """

    name: str
    matrix: str
    scenario: str
    axes: dict[str, str]
    tags: tuple[str, ...] = ()
    patches: tuple[Patch, ...] = ()
    kernel: str | None = None
    original: str = ""
    isolate: bool = False
    requires: tuple[Requirement, ...] = ()
    subjects: tuple[Subject, ...] = ()

    @property
    def peer(self) -> str:
        """The back-end that is driven without a guest; empty for a scenario."""
        return self.axes.get(PEER, "")

    @property
    def command(self) -> str:
        """The command that repeats it."""
        if self.peer:
            return shlex.join(["pykit", "drive", "--peer", self.peer])
        words = ["pykit", "run", self.original or self.name]
        return shlex.join([*words, "--kernel", self.kernel] if self.kernel else words)
