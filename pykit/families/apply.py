# SPDX-License-Identifier: GPL-2.0-only
"""From a cell to what is run: its scenario with all that the values of its axes change."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace

from pykit import spec
from pykit.errors import UsageError
from pykit.families.family import NONE, Cell, Patch
from pykit.families.record import Record, Status
from pykit.scenario import Scenario, load_scenario, on_transport, under_driver, with_ring

#: The modules that have deliberate bugs, by the axis that chooses one.
_FAULTY: dict[str, tuple[spec.Side, str]] = {
    "driver-fault": ("driver", "pykit_virtio_blk"),
    "device-fault": ("device", "pykit_vhost"),
}


@dataclass(frozen=True)
class Work:
    """What is run for a cell.

    Attributes:
        cell: its name.
        kernel: the kernel, by name.
        faults: deliberate bugs by module.
        expected: the bugs' descriptions: which rules have to fail.
    """

    cell: Cell
    kernel: str
    scenario: Scenario
    faults: dict[str, str]
    expected: tuple[spec.Fault, ...]


def work(cell: Cell) -> Work:
    """Raises UsageError, naming the cell, for values that do not go together."""
    try:
        return _work(cell)
    except UsageError as error:
        raise UsageError(f"{cell.name}: {error}") from None


def _work(cell: Cell) -> Work:
    axes = cell.axes
    scenario = load_scenario(cell.scenario)
    for patch in cell.patches:
        scenario = _patched(scenario, patch)
    if "driver" in axes:
        scenario = under_driver(scenario, axes["driver"])
    scenario = on_transport(scenario, axes.get("transport", "pci"))
    scenario = with_ring(scenario, axes.get("ring", "split"))
    faults, expected = {}, []
    for axis, (side, module) in _FAULTY.items():
        name = axes.get(axis, NONE)
        if name == NONE:
            continue
        if module not in scenario.modules:
            raise UsageError(f"{scenario.name} does not load {module}, which has the fault {name}")
        faults[module] = name
        expected.append(spec.faults(side)[name])
    for module in scenario.parameters:
        if module not in scenario.modules:
            raise UsageError(f"{module} has parameters and is not loaded: exclude the combination")
    return Work(cell, axes.get("kernel", "default"), scenario, faults, tuple(expected))


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


def without(work: Work, status: Status, message: str) -> Record:
    """The record of a cell that there was no guest for."""
    cell = work.cell
    return Record(
        cell=cell.name,
        family=cell.family,
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
    )
