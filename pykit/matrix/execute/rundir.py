# SPDX-License-Identifier: GPL-2.0-only
"""Write a run directory: run.json, then the verdicts and reports beside the capture."""

from __future__ import annotations

import datetime
import json
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from pykit import __version__, report, spec, trace
from pykit.guests import Kind, Outcome
from pykit.kernels import Kernel
from pykit.matrix.execute.runnable import RunnableCell
from pykit.modules import Build
from pykit.paths import write_atomically

#: Outcomes that a trouble takes the place of; others get it added.
_WELL = ("clean", "recorded")
#: Sentences on what broke in an outcome's one line.
_MOST_TROUBLES = 3


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


@dataclass(frozen=True)
class JudgedCapture:
    """The events of a capture and the verdicts on them."""

    events: trace.Events
    verdicts: spec.Verdicts

    def ended(self, outcome: Outcome) -> Outcome:
        """Return how the guest ended, with what its events show of broken devices."""
        found = self.events.capture.outcome
        # What went wrong outside of a capture that ended well is not in it.
        if found.kind in _WELL:
            return outcome
        return replace(outcome, kind=cast(Kind, found.kind), message=found.message)

    def write(self, directory: Path) -> None:
        """Write the events, the verdicts and all reports into a run directory."""
        self.events.write_parquet(directory / "events.parquet")
        report.write_all(directory, self.verdicts, self.events)


def judge(capture: Path) -> JudgedCapture:
    """Judge a capture; raises UsageError where it is none."""
    return judge_events(trace.load(capture))


def judge_events(events: trace.Events) -> JudgedCapture:
    """Judge events that are loaded; their capture's outcome then has what broke."""
    verdicts = spec.check(events)
    return JudgedCapture(_with_troubles(events, verdicts), verdicts)


def _with_troubles(events: trace.Events, verdicts: spec.Verdicts) -> trace.Events:
    """Return the events of a capture whose outcome says what broke, if anything unexpected did."""
    found = [trouble for trouble in verdicts.troubles if not trouble.expected]
    if not found:
        return events
    ended = events.capture.outcome
    words = [trouble.sentence for trouble in found[:_MOST_TROUBLES]]
    if len(found) > _MOST_TROUBLES:
        words.append(f"{len(found) - _MOST_TROUBLES} more")
    if ended.kind in _WELL:
        outcome = trace.CapturedOutcome(found[0].kind, "; ".join(words))
    else:
        outcome = trace.CapturedOutcome(ended.kind, "; ".join([ended.message, *words]))
    return replace(events, capture=replace(events.capture, outcome=outcome))


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
