# SPDX-License-Identifier: GPL-2.0-only
"""Drive every virtio device that a QEMU has, as many at a time as there are CPUs."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pykit.drive import emulated
from pykit.drive.rows import AnyCase
from pykit.drive.run import DriveResult, Progress, Target, drive
from pykit.errors import Exit, PykitError
from pykit.paths import require_empty, write_atomically
from pykit.processes import one_for_each_cpu
from pykit.qemu import program as qemu

#: From the best to the worst.
_ORDER = (Exit.OK, Exit.SKIP, Exit.FAILED, Exit.INFRA)


@dataclass(frozen=True)
class DrivenOne:
    """One device: its result, or why there is none.

    Attributes:
        device: as ``--qemu`` takes it.
        obstacle: why it cannot be driven at all.
        failure: why the run of it ended early.
    """

    device: str
    result: DriveResult | None = None
    obstacle: str = ""
    failure: str = ""

    @property
    def exit_code(self) -> Exit:
        """That of its run; a device that cannot be driven changes nothing."""
        if self.failure:
            return Exit.INFRA
        return self.result.exit_code if self.result else Exit.OK


@dataclass
class EveryResult:
    """Results of all devices, in the order of their names."""

    directory: Path
    devices: list[DrivenOne] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def exit_code(self) -> Exit:
        """The worst of all devices."""
        return max((one.exit_code for one in self.devices), key=_ORDER.index, default=Exit.SKIP)

    def as_json(self) -> dict[str, Any]:
        """What ``drive.json`` holds."""
        return {
            "schema": 1,
            "qemu": qemu.version(),
            "devices": [
                {"device": one.device, "obstacle": one.obstacle, "failure": one.failure}
                | ({"run": one.result.as_json()} if one.result else {})
                for one in self.devices
            ],
            "seconds": round(self.seconds, 3),
        }


def drive_every(
    cases: Sequence[AnyCase], directory: Path, *, seed: int = 1, progress: Progress
) -> EveryResult:
    """Drive all devices, and write a run directory with one below it for each.

    Raises:
        PykitError: there is no QEMU, or it does not list its devices.
    """
    begun = time.monotonic()
    require_empty(directory)
    result = EveryResult(directory)
    found = tuple(emulated.every())
    with one_for_each_cpu() as pool:
        running = {
            one.name: pool.submit(_drive_one, one.name, cases, directory / one.name, seed)
            for one in found
            if not one.obstacle
        }
        for number, _ in enumerate(as_completed(running.values()), 1):
            progress(f"{number} of {len(running)} devices")
        result.devices += (
            running[one.name].result()
            if one.name in running
            else DrivenOne(one.name, obstacle=one.obstacle)
            for one in found
        )
    result.seconds = time.monotonic() - begun
    data = json.dumps(result.as_json(), indent=1).encode()
    write_atomically(directory / "drive.json", data)
    return result


def _drive_one(name: str, cases: Sequence[AnyCase], directory: Path, seed: int) -> DrivenOne:
    """Drive one device, in a worker."""
    target = Target(emulated.kind_of(name), qemu=name, known=emulated.known(name))
    try:
        return DrivenOne(name, drive(target, cases, directory, seed=seed, progress=lambda _: None))
    except PykitError as error:
        return DrivenOne(name, failure=str(error))
