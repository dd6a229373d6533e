# SPDX-License-Identifier: GPL-2.0-only
"""The same scenario on another transport, under another driver, with other rings.

A scenario file says what is done with a device; these axes are no part of that, so that one
file serves every combination of them.
"""

from __future__ import annotations

from dataclasses import replace

from pykit.errors import UsageError
from pykit.scenario.model import Scenario
from pykit.scenario.transport import PCI, transport
from pykit.toml import choice

#: The module that traces a driver which has no tracepoints of pykit.
PROBE = "pykit_probe"

#: Layouts of a virtqueue; the first is the default of a device.
RINGS = ("split", "packed")


def on_transport(scenario: Scenario, name: str) -> Scenario:
    """The scenario with its devices on that transport.

    Raises UsageError for an unknown transport, a device that has no such form, and a step
    that needs hot-plug where there is none.
    """
    to = transport(name)
    if not scenario.devices and to is not PCI:
        raise UsageError(f"scenario {scenario.name} has no device to put on {name}")
    if not to.hot_plug:
        for step in scenario.steps:
            if step.action == "unplug" and step.guest:
                raise UsageError(
                    f"scenario {scenario.name}: step {step.name} pulls a device that is in use, "
                    f"and {name} has no hot-plug: choose pci or pci-legacy"
                )
        for device in scenario.devices:
            if device.iothread or device.backing == "vhost-user":
                raise UsageError(
                    f"scenario {scenario.name}: {device.id} is served by a thread or process of "
                    f"its own, which is for hot-plug: choose pci or pci-legacy, not {name}"
                )
    devices = []
    for device in scenario.devices:
        if not device.type.endswith(PCI.suffix):
            raise UsageError(
                f"scenario {scenario.name}: {device.type}: name the form for PCI, *{PCI.suffix}: "
                "the transport is chosen by the run"
            )
        devices.append(
            replace(
                device,
                type=device.type.removesuffix(PCI.suffix) + to.suffix,
                options={**device.options, **to.options},
            )
        )
    return replace(scenario, transport=to, devices=tuple(devices))


def under_driver(scenario: Scenario, driver: str) -> Scenario:
    """The scenario with all its devices, plugged or made by it, driven by ``driver``.

    A driver of pykit (``pykit_*``) traces its own events; any other is the kernel's, and the
    probe is loaded to trace it.
    """
    before = {device.driver for device in scenario.devices} | {scenario.driver} - {None}
    if not before:
        raise UsageError(f"scenario {scenario.name} has no device for {driver} to drive")
    ours = driver.startswith("pykit_")
    module = driver if ours else PROBE
    others = [name for name in scenario.modules if name not in (*before, module)]
    parameters = {name: scenario.parameters[name] for name in others if name in scenario.parameters}
    if not ours:
        parameters[PROBE] = {"devices": driver}
    return replace(
        scenario,
        modules=(*others, module),
        kernel_modules=(*scenario.kernel_modules, *(() if ours else (driver,))),
        devices=tuple(replace(device, driver=driver) for device in scenario.devices),
        driver=scenario.driver and driver,
        parameters=parameters,
    )


def with_ring(scenario: Scenario, layout: str) -> Scenario:
    """The scenario, on its transport, with devices that offer that layout of their rings.

    Raises UsageError for a layout that is none, or that the transport does not know.
    """
    if layout not in RINGS:
        raise UsageError(choice(layout, RINGS, "ring layout"))
    if layout == "split":
        return scenario
    if not scenario.devices:
        raise UsageError(f"scenario {scenario.name} has no device that could have {layout} rings")
    if scenario.transport.legacy:
        raise UsageError(f"the legacy interface has no {layout} ring: choose pci or mmio")
    devices = (
        replace(device, options={**device.options, layout: True}) for device in scenario.devices
    )
    return replace(scenario, devices=tuple(devices))
