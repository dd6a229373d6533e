# SPDX-License-Identifier: GPL-2.0-only
"""Say in a run directory what was run: run.json."""

from __future__ import annotations

import datetime
import json
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pykit import __version__
from pykit.guests import Outcome
from pykit.kernels import Kernel
from pykit.matrix.execute.runnable import RunnableCell
from pykit.modules import Build
from pykit.paths import write_atomically


@dataclass(frozen=True)
class GuestOrigin:
    """The kernel and the modules of a guest, as run.json names them; empty for firmware."""

    name: str = ""
    release: str = ""
    origin: str = ""
    modules: tuple[str, ...] = ()

    @classmethod
    def of(cls, kernel: Kernel, built: Build) -> GuestOrigin:
        """The same of a kernel and a build."""
        modules = tuple(path.name for path in built.modules)
        return cls(kernel.name, kernel.release, kernel.origin, modules)


#: Firmware has no kernel and takes no modules.
FIRMWARE = GuestOrigin()


def about_cell(entry: RunnableCell, guest: GuestOrigin) -> dict[str, Any]:
    """Entries of run.json that say which cell was run and in which guest."""
    scenario, axes = entry.scenario, entry.cell.axes
    if entry.cell.peer:
        return {"scenario": scenario.name, "peer": entry.cell.peer}
    if scenario.firmware is not None:
        return {
            "scenario": scenario.name,
            "firmware": scenario.firmware,
            "transport": scenario.transport.name,
        }
    faults = {name: axes.get(name) for name in ("driver-fault", "device-fault")}
    return {
        "scenario": scenario.name,
        "runner": entry.runner,
        "transport": scenario.transport.name,
        "ring": axes.get("ring", "split"),
        "observe": list(scenario.observe),
        "drivers": sorted({device.driver for device in scenario.devices}),
        "fault": faults["driver-fault"] if "pykit_virtio_blk" in entry.faults else None,
        "mutant": entry.mutant.name if entry.mutant else None,
        "device_fault": faults["device-fault"] if "pykit_vhost" in entry.faults else None,
        "kernel": {"name": guest.name, "release": guest.release, "origin": guest.origin},
        "modules": list(guest.modules),
    }


def write_run_json(
    directory: Path,
    about: Mapping[str, Any],
    *,
    command: Sequence[str],
    outcome: Outcome,
    started: float,
) -> None:
    """Write run.json; ``started`` is the time() at which the run began."""
    data = {
        "schema": 1,
        "pykit": __version__,
        **about,
        "command": list(command),
        "guest_command": list(outcome.command),
        "qemu": outcome.qemu,
        "python": platform.python_version(),
        "host": platform.platform(),
        "started": datetime.datetime.fromtimestamp(started, datetime.UTC).isoformat(),
        "seconds": round(time.time() - started, 3),
        "outcome": {"kind": outcome.kind, "message": outcome.message},
    }
    text = json.dumps(data, indent=2, default=str) + "\n"
    write_atomically(directory / "run.json", text.encode())
