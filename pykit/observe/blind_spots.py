# SPDX-License-Identifier: GPL-2.0-only
"""What the observers of a run cannot see: said once, in the capture, so that nobody takes silence
for proof."""

from __future__ import annotations

from pykit.observe.access import VALUES, log_registers
from pykit.scenario.model import Scenario


def unseen(scenario: Scenario, version: tuple[int, ...]) -> tuple[str, ...]:
    """A line for each; ``version`` is QEMU's."""
    lines = []
    outside = [device for device in scenario.devices if device.backing == "vhost-user"]
    if scenario.qemu_trace and "tap" not in scenario.observe:
        lines += [
            f"QEMU's log: the rings of {device.id}, which another process serves"
            for device in outside
        ]
    if scenario.firmware is not None or log_registers(scenario, version):
        lines.append("QEMU's log of registers: notifications, which go by ioeventfd")
    if "access" in scenario.observe:
        lines += [f"access tracer: {what}" for what in _accesses(scenario, version)]
    if "rings" in scenario.observe:
        lines.append("ring watcher: indirect tables, and what a reset follows within one look")
    return tuple(lines)


def _accesses(scenario: Scenario, version: tuple[int, ...]) -> list[str]:
    found = ["indirect tables, which nobody announces"]
    to = scenario.transport
    if to.ports:
        found.append(f"registers of {to.name}, which are ports; QEMU's log has them")
    elif version < VALUES:
        found.append("values of registers, which QEMU gives from 9.2 on; its log has them")
        if not to.hot_plug:
            found.append("which queue a notification is for, which is a value")
    return found
