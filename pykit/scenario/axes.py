# SPDX-License-Identifier: GPL-2.0-only
"""The same scenario on another transport, under another driver, with other rings.

A scenario file says what is done with a device; these axes are no part of that, so that one
file serves every combination of them.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pykit.arch import AMD64, Arch
from pykit.errors import UsageError
from pykit.scenario.model import SOCKET, Scenario
from pykit.scenario.transport import PCI, default_transport, transport
from pykit.toml import choice

#: The module that traces a driver which has no tracepoints of pykit.
PROBE = "pykit_probe"

_VHOST_USER_BLK = "vhost-user-blk-pci"

#: Layouts of a virtqueue; the first is the default of a device.
RINGS = ("split", "packed")


def on_transport(scenario: Scenario, name: str | None, arch: Arch = AMD64) -> Scenario:
    """The scenario with its devices on that transport of an architecture's machines.

    None stands for the one that guests of that architecture use by default.

    Raises UsageError for an unknown transport, a device that has no such form, and a step
    that needs hot-plug where there is none.
    """
    default = default_transport(arch)
    to = transport(name, arch) if name else default
    if not scenario.devices and to != default:
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
    # Elsewhere there is neither of what these choose.
    lost = () if to.suffix == PCI.suffix else ("disable-legacy", "addr")
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
                options={k: v for k, v in device.options.items() if k not in lost} | to.options,
            )
        )
    return replace(scenario, transport=to, devices=tuple(devices))


def under_driver(
    scenario: Scenario, driver: str, modules: Sequence[str] = (), *, canaries: bool = False
) -> Scenario:
    """The scenario with all its devices, plugged or made by it, driven by ``driver``.

    A driver of pykit (``pykit_*``) traces its own events; any other is the kernel's, or the one
    that ``modules`` bring, and the probe is loaded to trace it; with ``canaries`` it marks what
    disks are to write, and compares rings between the driver's operations.
    """
    before = {device.driver for device in scenario.devices} | {scenario.driver} - {None}
    if not before:
        raise UsageError(f"scenario {scenario.name} has no device for {driver} to drive")
    ours = driver.startswith("pykit_") and not modules
    module = driver if ours else PROBE
    others = [name for name in scenario.modules if name not in (*before, module)]
    parameters = {name: scenario.parameters[name] for name in others if name in scenario.parameters}
    if not ours:
        parameters[PROBE] = {"devices": driver} | ({"canaries": "1"} if canaries else {})
    return replace(
        scenario,
        modules=(*others, module),
        kernel_modules=(*scenario.kernel_modules, *(() if ours else modules or (driver,))),
        brought=tuple(modules),
        devices=tuple(replace(device, driver=driver) for device in scenario.devices),
        driver=scenario.driver and driver,
        parameters=parameters,
    )


def served_by(scenario: Scenario, spec: str) -> Scenario:
    """The scenario with its block device served by the user's back-end.

    ``spec`` is ``vhost-user:PATH``, the socket at which it listens, or ``cmd:COMMAND``, which
    starts it, with ``{socket}`` where the path of its socket goes.

    Raises UsageError for another ``spec``, and a scenario whose device cannot be served so.
    """
    kind, _, text = spec.partition(":")
    peer: Path | tuple[str, ...]
    if kind == "vhost-user" and text:
        peer = Path(text).expanduser().absolute()
    elif kind == "cmd" and SOCKET in text:
        try:
            peer = tuple(shlex.split(text))
        except ValueError as error:
            raise UsageError(f"--device {spec}: {error}: mend the quotes") from error
    elif kind == "cmd":
        raise UsageError(f"--device {spec}: write {SOCKET} where the path of its socket goes")
    else:
        raise UsageError(f"--device {spec}: write vhost-user:PATH or 'cmd:COMMAND … {SOCKET}'")
    usable = ("virtio-blk-pci", _VHOST_USER_BLK)
    devices = [device for device in scenario.devices if device.type in usable]
    resizes = any(step.action == "resize" for step in scenario.steps)
    if len(scenario.devices) != 1 or not devices or resizes or scenario.firmware:
        raise UsageError(
            f"scenario {scenario.name} is not of one block device that keeps its size, which "
            "--device would serve: choose vhost-user or io"
        )
    device = replace(devices[0], type=_VHOST_USER_BLK, backing="vhost-user", peer=peer)
    return replace(scenario, devices=(device,))


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
