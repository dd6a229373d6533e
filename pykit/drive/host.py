# SPDX-License-Identifier: GPL-2.0-only
"""What happens at the host's side of a device of QEMU's, asked for by QMP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pykit.drive.carriers.qtest import QtestCarrier
from pykit.drive.emulated import MONITOR, NODE
from pykit.drive.lives import DrivenDevice
from pykit.drive.peer import DISK_BYTES
from pykit.guests.channel import GuestEndedError
from pykit.guests.monitor import Monitor, QemuRefusedError
from pykit.trace.capture import STATUS_QUERY

#: Its disk grows; a key is pressed; its disk serves one request a second, or as many as it can; it
#: is asked for the device's state, which is written down.
HostAction = Literal["", "resize", "key", "slow", "fast", "look"]
_KEY = {"type": "key", "data": {"down": True, "key": {"type": "qcode", "data": "a"}}}
#: Of the first device on the command line; 0 is no limit.
_LIMITS: dict[str, Any] = {
    "id": "/machine/peripheral-anon/device[0]/virtio-backend",
    **dict.fromkeys(("bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"), 0),
}
_COMMANDS: dict[HostAction, tuple[str, dict[str, Any]]] = {
    "resize": ("block_resize", {"node-name": NODE, "size": 2 * DISK_BYTES}),
    "key": ("input-send-event", {"events": [_KEY]}),
    "slow": ("block_set_io_throttle", {**_LIMITS, "iops": 1}),
    "fast": ("block_set_io_throttle", _LIMITS),
}


def act(device: DrivenDevice, action: HostAction) -> bool:
    """Let something happen; False where the device is none of QEMU's."""
    if action == "look":
        return look(device)
    command, arguments = _COMMANDS[action]
    return ask(device, command, **arguments)


def resize(device: DrivenDevice, size: int) -> bool:
    """Let a disk have so many bytes; False where the device is none of QEMU's."""
    return ask(device, "block_resize", **{"node-name": NODE, "size": size})


def look(device: DrivenDevice) -> bool:
    """Write down what QEMU believes of the device, where it answers that."""

    def asked(monitor: Monitor) -> None:
        found = monitor.ask("x-query-virtio")
        answer = monitor.status(found[0]["path"]) if found else None
        if answer is not None:
            device.driver.recorder.answered(STATUS_QUERY, answer)

    return _with_monitor(device, asked)


def ask(device: DrivenDevice, command: str, **arguments: Any) -> bool:
    """Ask QEMU for something; False where it refuses, or the device is none of QEMU's."""
    return _with_monitor(device, lambda monitor: monitor.ask(command, **arguments))


def _with_monitor(device: DrivenDevice, use: Callable[[Monitor], object]) -> bool:
    if device.peer is None or not isinstance(device.driver.carrier, QtestCarrier):
        return False
    try:
        monitor = Monitor(device.peer.socket.with_name(f"socket{MONITOR}"))
        try:
            use(monitor)
        finally:
            monitor.close()
    except (GuestEndedError, QemuRefusedError):
        return False
    return True
