# SPDX-License-Identifier: GPL-2.0-only
"""Stress test of bounded length, for kernels with sanitizers and lockdep."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from pykit import kernels, modules
from pykit.errors import InfraError
from pykit.paths import fresh_directory
from pykit.run import run_scenario
from pykit.scenario import Scenario, load_scenario

#: Parts of the soak, each a scenario soak-….
PARTS = ("requests", "rings", "load", "loop", "unplug", "faults", "lives")


@dataclass(frozen=True)
class SoakPart:
    """The result of one part.

    Attributes:
        count: how often it was to do what it does.
        said: what the guest says that it did, and what kmemleak suspects.
        outcome: how the guest ended: "clean" is without splat, hang or wrong data.
        kept: where the capture is, of a part that did not end clean.
    """

    name: str
    summary: str
    count: int
    said: tuple[str, ...]
    outcome: str
    message: str
    seconds: float
    kept: str | None


@dataclass(frozen=True)
class Soak:
    """All parts on one kernel."""

    kernel: str
    parts: tuple[SoakPart, ...]

    @property
    def clean(self) -> bool:
        """Whether all parts passed."""
        return all(part.outcome == "clean" for part in self.parts)

    def as_json(self) -> dict[str, object]:
        """The same as plain data."""
        return {"kernel": self.kernel, "parts": [vars(part) for part in self.parts]}

    def table(self) -> Table:
        """The same for a terminal."""
        table = Table(title=f"soak on {self.kernel}", box=None, header_style="bold")
        for column in ("part", "count", "outcome", "s", "what was done"):
            table.add_column(column, overflow="fold")
        for part in self.parts:
            said = (*part.said, part.message, part.kept) if part.kept else part.said
            table.add_row(
                part.name, f"{part.count:,}", part.outcome, f"{part.seconds:.0f}", "\n".join(said)
            )
        return table


def soak(
    kernel_name: str | None,
    *,
    parts: Sequence[str] = PARTS,
    scale: float = 1.0,
    say: Callable[[str], None] = lambda _: None,
) -> Soak:
    """Run the parts, each in a guest of its own, ``scale`` times as long as their scenarios say.

    What our tracepoints record overwrites itself and no rule is asked: what counts is that
    the kernel complains of nothing, nothing hangs, no byte is wrong and no memory is lost.

    Raises:
        UsageError: no such part or kernel.
        InfraError: what could not be built.
    """
    kernel = kernels.resolve(kernel_name, progress=say)
    built = modules.build(kernel, progress=say)
    done = []
    for name in parts:
        scenario = load_scenario(f"soak-{name}")
        # QEMU's log of a million requests is a gigabyte.
        count = max(round(scenario.count * scale), 1)
        scenario = replace(scenario, count=count, qemu_trace=False)
        say(f"soak {name}: {scenario.count:,}")
        started = time.monotonic()
        out = fresh_directory(f"soak-{name}")
        outcome = run_scenario(
            _copies(scenario),
            kernel=kernel,
            modules=built.modules,
            out=out,
            runner="direct",
            progress=say,
        )
        seconds = round(time.monotonic() - started, 1)
        done.append(
            SoakPart(
                name=name,
                summary=scenario.summary,
                count=scenario.count,
                said=_said(out / "capture/capture.json"),
                outcome=outcome.kind,
                message=outcome.message,
                seconds=seconds,
                kept=None if outcome.kind == "clean" else str(out),
            )
        )
        if outcome.kind == "clean":
            shutil.rmtree(out)
    return Soak(kernel.release, tuple(done))


def _copies(scenario: Scenario) -> Scenario:
    """A device that is unplugged has gone: as many devices, each plugged and unplugged once."""
    pulled = {step.device for step in scenario.steps if step.action == "unplug"}
    if not pulled:
        return scenario
    (device,) = scenario.devices
    devices, steps = [], []
    for number in range(scenario.count):
        devices.append(replace(device, id=f"{device.id}-{number}"))
        steps += [
            replace(step, name=f"{step.name}-{number}", device=f"{device.id}-{number}")
            for step in scenario.steps
            if step.device in pulled
        ]
    rest = [step for step in scenario.steps if step.device not in pulled]
    return replace(scenario, devices=tuple(devices), steps=(*steps, *rest))


def _said(path: Path) -> tuple[str, ...]:
    """What the steps printed; the last lines of each are kept."""
    try:
        steps: list[dict[str, Any]] = json.loads(path.read_text())["steps"]
    except (OSError, ValueError, KeyError) as error:
        raise InfraError(f"{path}: the guest left nothing to read: {error}") from error
    pulled = sum(step["name"].startswith("unplug-") and step["rc"] == 0 for step in steps)
    lines = [line for step in steps for line in step["output"].splitlines() if line.strip()]
    return (*([f"hot-unplugs: {pulled}"] if pulled else []), *lines)
