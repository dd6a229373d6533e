# SPDX-License-Identifier: GPL-2.0-only
"""Drive every virtio device that a QEMU has, one after the other."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pykit.drive import emulated
from pykit.drive.rows import AnyCase
from pykit.drive.run import DriveResult, Progress, Target, drive
from pykit.errors import Exit, PykitError
from pykit.paths import require_empty, write_atomically
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
    for found in emulated.every():
        if found.obstacle:
            result.devices.append(DrivenOne(found.name, obstacle=found.obstacle))
            continue
        progress(found.name)
        kind, known = emulated.kind_of(found.name), emulated.known(found.name)
        target = Target(kind, qemu=found.name, known=known)
        try:
            done = drive(target, cases, directory / found.name, seed=seed, progress=lambda _: None)
        except PykitError as error:
            result.devices.append(DrivenOne(found.name, failure=str(error)))
        else:
            result.devices.append(DrivenOne(found.name, done))
    result.seconds = time.monotonic() - begun
    data = json.dumps(result.as_json(), indent=1).encode()
    write_atomically(directory / "drive.json", data)
    return result
