# SPDX-License-Identifier: GPL-2.0-only
"""Apply the axes of a cell, or of a single run, to its scenario."""

from __future__ import annotations

import datetime
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast, get_args

from pykit import kernels, spec
from pykit.device import FAULTS, DeviceFault, broken_by
from pykit.errors import UsageError
from pykit.guests import runner as require_runner
from pykit.matrix.plan.cell import (
    BACK_END_FAULT,
    DRIVEN,
    MUTANT,
    NONE,
    OWN_QEMU,
    MatrixCell,
    Patch,
    find_mutant,
)
from pykit.matrix.record import CellRecord, Status
from pykit.mutants import Mutant, rules_for, survivors
from pykit.scenario import (
    Observer,
    Scenario,
    Trouble,
    load_scenario,
    on_transport,
    served_by,
    under_driver,
    with_ring,
)
from pykit.scenario.model import FIRMWARE, OWN_DRIVER, SOCKET
from pykit.toml import choice

#: The modules that have deliberate bugs, by the axis that chooses one.
_FAULTY: dict[str, tuple[spec.Side, str]] = {
    "driver-fault": ("driver", "pykit_virtio_blk"),
    "device-fault": ("device", "pykit_vhost"),
}
#: Axes that have no meaning for firmware, which brings its own driver.
_LINUX_ONLY = ("kernel", "driver", MUTANT, *_FAULTY)
#: In place of a scenario where there is no guest.
_DRIVEN = Scenario(DRIVEN, "a back-end without a guest", 600.0, (), (), (), (), (), (), {})


@dataclass(frozen=True)
class RunnableCell:
    """A cell with all that its guest needs to be known.

    Attributes:
        kernel: the kernel's name; None for the default, and for firmware.
        runner: "direct" or "vng".
        qemu: another QEMU than the default, as PYKIT_QEMU names it; empty for the default.
        faults: deliberate bugs by module.
        expected: the descriptions of the bugs: which rules have to fail.
        mutant: the deliberate fault of the kernel's own code; None for the control, too.
        back_end: the deliberate fault of `pykit device`; None for the control, too.
    """

    cell: MatrixCell
    kernel: str | None
    scenario: Scenario
    runner: str
    qemu: str
    faults: dict[str, str]
    expected: tuple[spec.Fault, ...]
    mutant: Mutant | None = None
    back_end: DeviceFault | None = None

    @property
    def mutated(self) -> bool:
        """Whether the kernel's virtio modules are those that have the mutants."""
        return MUTANT in self.cell.axes

    @property
    def shareable(self) -> bool:
        """Whether other cells may run in the same guest."""
        scenario = self.scenario
        own = self.cell.peer or scenario.firmware or scenario.observe or scenario.icount
        return not (own or self.cell.isolate or self.qemu) and self.runner == "direct"

    @property
    def strict(self) -> bool:
        """Whether the modules have to compile without complaints first."""
        return "strict-build" in self.cell.requires


def runnable(cell: MatrixCell) -> RunnableCell:
    """Raise UsageError, naming the cell, for values that do not go together."""
    try:
        return apply_axes(cell)
    except UsageError as error:
        raise UsageError(f"{cell.name}: {error}") from None


def apply_axes(
    cell: MatrixCell, modules: Sequence[str] = (), device: str | None = None
) -> RunnableCell:
    """Load the cell's scenario and change it as its axes say.

    ``modules`` are the user's own that bring the driver, ``device`` is the user's back-end
    (``served_by``).

    Raises UsageError for values that do not exist, or do not go together.
    """
    if cell.peer:
        return RunnableCell(cell, None, _DRIVEN, "direct", "", {}, ())
    axes = {axis: value for axis, value in cell.axes.items() if value != NONE}
    scenario = load_scenario(cell.scenario)
    for patch in cell.patches:
        scenario = _patched(scenario, patch)
    if scenario.firmware is not None and any(axis in axes for axis in _LINUX_ONLY):
        raise UsageError(
            f"scenario {scenario.name} boots {scenario.firmware}, with a driver of its own: "
            "it takes no --kernel, --driver and no faults"
        )
    observe = tuple(word for word in axes.get("observe", "").split("+") if word)
    if "driver" in axes:
        # The access tracer would record each read of a ring that is compared.
        canaries = "access" not in observe
        scenario = under_driver(scenario, axes["driver"], modules, canaries=canaries)
    if BACK_END_FAULT in cell.axes:
        device = _back_end(scenario, axes.get(BACK_END_FAULT))
    if device is not None:
        scenario = served_by(scenario, device)
    named = kernels.arch_of(axes.get("kernel"))
    arch = FIRMWARE[scenario.firmware] if scenario.firmware is not None else named
    scenario = on_transport(scenario, axes.get("transport"), arch)
    scenario = with_ring(scenario, axes.get("ring", "split"))
    scenario = replace(scenario, observe=cast("tuple[Observer, ...]", observe))
    runner = axes.get("runner", "direct")
    if scenario.firmware is None:
        require_runner(runner, scenario.transport)
    faults, expected = _faults(scenario, axes)
    if faults:
        # Which troubles a bug makes besides depends on the moment.
        scenario = replace(scenario, expects=get_args(Trouble))
    for module in scenario.parameters:
        if module not in scenario.modules:
            raise UsageError(f"{module} has parameters and is not loaded: exclude the combination")
    mutant = find_mutant(axes.get(MUTANT, NONE))
    if mutant is not None and mutant.name not in survivors():
        expected += (spec.Fault(mutant.name, mutant.title, (), rules_for(mutant.must)),)
    back_end = FAULTS.get(axes.get(BACK_END_FAULT, NONE))
    marked = any(device.driver == OWN_DRIVER for device in scenario.devices)
    if back_end is not None and (broken := broken_by(back_end.name, marked=marked)):
        either = rules_for(broken)
        expected += (spec.Fault(back_end.name, back_end.does, (), either),)
    qemu = axes.get("qemu", OWN_QEMU)
    return RunnableCell(
        cell,
        axes.get("kernel"),
        scenario,
        runner,
        "" if qemu == OWN_QEMU else qemu,
        faults,
        expected,
        mutant,
        back_end,
    )


def _back_end(scenario: Scenario, fault: str | None) -> str:
    """`pykit device` with a fault or without, as served_by() takes it."""
    words = [sys.executable, "-m", "pykit.cli", "device"]
    for device in scenario.devices[:1]:
        words += ["--size-mib", str(device.size_mib)]
        words += ["--queues", str(device.options.get("num-queues", 1))]
    words += ["--fault", fault] if fault else []
    return f"cmd:{shlex.join(words)} --socket {SOCKET}"


def _faults(
    scenario: Scenario, axes: dict[str, str]
) -> tuple[dict[str, str], tuple[spec.Fault, ...]]:
    """Deliberate bugs by module, and their descriptions."""
    faults, expected = {}, []
    for axis, (side, module) in _FAULTY.items():
        name = axes.get(axis)
        if name is None:
            continue
        known = spec.faults(side)
        if name not in known:
            raise UsageError(choice(name, known, f"{side} fault"))
        if module not in scenario.modules:
            raise UsageError(
                f"scenario {scenario.name} does not load {module}, which has the fault {name}"
            )
        ring = axes.get("ring", "split")
        if not known[name].fits(ring):
            raise UsageError(f"the fault {name} needs a {known[name].ring} ring")
        faults[module] = name
        expected.append(known[name].on(ring))
    return faults, tuple(expected)


def _patched(scenario: Scenario, patch: Patch) -> Scenario:
    devices = tuple(
        replace(
            device,
            type=patch.type or device.type,
            options={**device.options, **patch.options},
            backing=patch.backing or device.backing,
            iothread=device.iothread if patch.iothread is None else patch.iothread,
        )
        for device in scenario.devices
    )
    parameters = {module: {**given} for module, given in scenario.parameters.items()}
    for module, given in patch.parameters.items():
        parameters.setdefault(module, {}).update(
            {name: str(value) for name, value in given.items()}
        )
    return replace(
        scenario,
        devices=devices,
        cpus=patch.cpus or scenario.cpus,
        count=patch.count or scenario.count,
        parameters=parameters,
    )


def not_run(entry: RunnableCell, status: Status, message: str, *, build: str = "") -> CellRecord:
    """Return the record of a cell that had no guest; ``build`` as in the record."""
    cell = entry.cell
    return CellRecord(
        cell=cell.name,
        matrix=cell.matrix,
        scenario=cell.scenario,
        axes=dict(cell.axes),
        tags=cell.tags,
        command=cell.command,
        outcome="not-run",
        message=message,
        status=status,
        release="",
        qemu="",
        started=datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
        seconds=0.0,
        worker="",
        build=build,
    )
