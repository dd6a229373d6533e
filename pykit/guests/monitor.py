# SPDX-License-Identifier: GPL-2.0-only
"""QMP: the device under test, QEMU's trace events, and its own view of every ring."""

from __future__ import annotations

import contextlib
import functools
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from qemu.qmp import QMPError
from qemu.qmp.legacy import QEMUMonitorProtocol
from qemu.qmp.protocol import StateError

from pykit.errors import UsageError
from pykit.guests import device_args
from pykit.guests.channel import GuestEndedError
from pykit.scenario.model import Device

#: Trace events of QEMU that the decoder knows.
TRACE_EVENTS = (
    "virtio_set_status",
    "virtio_queue_notify",
    "virtqueue_pop",
    "virtqueue_fill",
    "virtqueue_flush",
    "virtio_notify",
    "virtio_notify_irqfd",
    "virtio_blk_handle_read",
    "virtio_blk_handle_write",
    "virtio_blk_req_complete",
    "pci_cfg_read",
    "pci_cfg_write",
)
#: What a QEMU that lacks one of them has in its place, from 11 on.
LATER_EVENTS = {"virtio_notify_irqfd": "virtio_notify_irqfd_deferred_fn"}
#: Those of devices on channel I/O, which no QEMU but that for s390x has.
CHANNEL_EVENTS = ("virtio_ccw_new_device", "virtio_ccw_interpret_ccw")
#: Those of the accesses to registers, which show the driver's side.
REGISTER_EVENTS = ("memory_region_ops_read", "memory_region_ops_write")
#: Our name of an answer with what a ring holds in the guest's memory; QEMU has no such query.
RING_MEMORY = "ring-memory"
#: Major versions of QEMU that abort at x-query-virtio-status (seen with 11.1.3).
WITHOUT_STATUS = (11,)
_UNPLUG_S = 20.0
_ANSWER_S = 30.0
#: A QEMU that says nothing for so long is asked whether it is there.
_LOOK_S = 1.0


class Monitor:
    """A QMP connection. A guest that is gone raises GuestEndedError."""

    def __init__(self, at: Path | socket.socket) -> None:
        """Connect to a socket by its path, or take one that is connected."""
        self._qmp = QEMUMonitorProtocol(at if isinstance(at, socket.socket) else str(at))
        try:
            self._qmp.connect()
            self._qmp.settimeout(_ANSWER_S)
        except (QMPError, OSError) as error:
            raise GuestEndedError(
                "qemu-died", f"QEMU's monitor does not answer: {error}"
            ) from error

    def ask(self, command: str, **arguments: Any) -> Any:
        """Send one command and return its answer; raises QemuRefusedError for an error."""
        try:
            answer = self._qmp.cmd_raw(command, arguments)
        except TimeoutError:
            words = f"QEMU itself stands still: no answer to {command} for {_ANSWER_S:g} s"
            raise GuestEndedError("hang", words) from None
        except (QMPError, StateError, OSError, EOFError) as error:
            raise GuestEndedError("qemu-died", f"QEMU's monitor ended: {error}") from error
        if "error" in answer:
            raise QemuRefusedError(command, answer["error"]["desc"])
        return answer["return"]

    @functools.cached_property
    def answers_status(self) -> bool:
        """Whether this QEMU survives the question what the status of a virtio device is."""
        return self.ask("query-version")["qemu"]["major"] not in WITHOUT_STATUS

    def status(self, path: str) -> dict[str, Any] | None:
        """What QEMU believes of a virtio device; None from a QEMU that aborts when asked."""
        if not self.answers_status:
            return None
        return dict(self.ask("x-query-virtio-status", path=path))

    def human(self, line: str) -> str:
        """Send one line to QEMU's human monitor and return its answer."""
        return str(self.ask("human-monitor-command", **{"command-line": line}))

    def trace(self, names: Iterable[str]) -> None:
        """Switch these trace events on, or what QEMU has in their place."""
        for name in names:
            try:
                self._trace(name)
            except QemuRefusedError:
                if name not in LATER_EVENTS:
                    raise
                self._trace(LATER_EVENTS[name])

    def _trace(self, name: str) -> None:
        self.ask("trace-event-set-state", name=name, enable=True, **{"ignore-unavailable": True})

    def plug(self, device: Device, bus: str, folder: Path) -> None:
        """Hot-plug a device; files behind it, if any, are made in ``folder``."""
        for command, arguments in device_args.plug(device, bus, folder):
            self.ask(command, **arguments)

    def unplug(self, device: Device) -> None:
        """Ask the guest to let a device go, and wait until it has."""
        self.ask("device_del", id=device.id)
        end = time.monotonic() + _UNPLUG_S
        while time.monotonic() < end:
            event = self._event()
            if event.get("event") == "DEVICE_DELETED" and event["data"].get("device") == device.id:
                break
        else:
            raise GuestEndedError("hang", f"the guest did not let {device.id} go")
        for command, arguments in device_args.forget(device):
            self.ask(command, **arguments)

    def resize(self, device: Device, size_mib: int) -> None:
        """Change a device's capacity under the guest."""
        self.ask("block_resize", **{"node-name": device_args.node(device), "size": size_mib << 20})

    def query(self, device: Device, at: str) -> list[dict[str, Any]]:
        """What QEMU believes of a device: status, features, and every queue's indices."""
        path = f"/machine/peripheral/{device.id}"
        if not device.type.endswith("-device"):
            # What was plugged is the transport's half; MMIO's half is part of the machine.
            path += "/virtio-backend"
        status = self.status(path)
        answers = [answered(at, device.id, "x-query-virtio-status", None, status)] * bool(status)
        for queue in range(int(device.options.get("num-queues", 1))):
            answers.append(
                answered(
                    at,
                    device.id,
                    "x-query-virtio-queue-status",
                    queue,
                    self.ask("x-query-virtio-queue-status", path=path, queue=queue),
                )
            )
        return answers

    def close(self) -> None:
        """Close the connection; QEMU may be gone already."""
        with contextlib.suppress(QMPError, OSError, EOFError):
            self._qmp.close()

    def has_shut_down(self) -> bool:
        """Whether the guest has shut down since the last call, with QEMU still there; no wait."""
        try:
            while event := self._qmp.pull_event(wait=False):
                if event["event"] == "SHUTDOWN":
                    return True
        except (QMPError, StateError, OSError, EOFError) as error:
            raise GuestEndedError("qemu-died", f"QEMU's monitor ended: {error}") from error
        return False

    def _event(self) -> dict[str, Any]:
        """The next event; empty where none came for a while."""
        try:
            event = self._qmp.pull_event(wait=_LOOK_S)
        except TimeoutError:
            # pull_event() does not report the end of the connection; a command does.
            self.ask("query-status")
            return {}
        except (QMPError, StateError, OSError, EOFError) as error:
            raise GuestEndedError("qemu-died", f"QEMU's monitor ended: {error}") from error
        return dict(event) if event else {}


class QemuRefusedError(UsageError):
    """QEMU knows the command and would not do it: a wrong device type or option."""

    def __init__(self, command: str, words: str) -> None:
        super().__init__(f"QEMU refused {command}: {words}: mend the scenario's device")


def answered(at: str, device: str, query: str, queue: int | None, answer: Any) -> dict[str, Any]:
    """Return an answer of QEMU's about a device, as qmp.json has it."""
    return {
        "at": at,
        "device": device,
        "query": query,
        "queue": queue,
        "time_ns": time.time_ns(),
        "return": answer,
    }
