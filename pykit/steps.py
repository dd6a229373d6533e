# SPDX-License-Identifier: GPL-2.0-only
"""The way through, end to end: kernel, configuration check, modules, boot, events, verdicts.

Each step is one call of the package that owns it; what joins them stands here, so that the
command line stays thin and tests can run the whole way without it.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pykit import __version__, kconfig, kernels, modules, report, spec, trace
from pykit.errors import Exit, GuestError, UsageError
from pykit.guests import EXIT_CODES, Outcome
from pykit.guests import runner as runner_of
from pykit.paths import fresh_directory
from pykit.run import attach as attach_to
from pykit.run import outside, own, require_free, run_scenario
from pykit.scenario import Observer, Scenario, load_scenario, on_transport, under_driver, with_ring
from pykit.toml import choice

Say = Callable[[str], None]

#: Modules with deliberate bugs.
_FAULTY: dict[spec.Side, str] = {"driver": "pykit_virtio_blk", "device": "pykit_vhost"}


@dataclass(frozen=True)
class Result:
    """The result of a run or a check."""

    verdicts: spec.Verdicts
    events: trace.Events
    #: The outcome of the guest; from the capture where it is only checked again.
    outcome: Outcome
    #: The run directory, or None where nothing was written.
    directory: Path | None

    @property
    def exit_code(self) -> Exit:
        """Return the worse of the guest's outcome and the verdicts."""
        if self.outcome.exit_code != Exit.OK:
            return Exit(self.outcome.exit_code)
        summary = self.verdicts.summary()
        if summary["fail"]:
            return Exit.FAILED
        # Rules without their observer may stay undecided; a run in which events were
        # lost, or nothing at all was shown to hold, must not look like a success.
        if self.events.lost or not summary["pass"]:
            return Exit.SKIP
        return Exit.OK

    def closing(self) -> list[str]:
        """Return the last lines on the terminal: how the guest ended, and where the report is."""
        lines = [f"guest: {self.outcome.kind}: {self.outcome.message}"]
        if self.directory is not None:
            lines.append(f"report: {self.directory / 'report.html'}")
        return lines


def run(
    scenario_name: str,
    *,
    kernel_name: str | None,
    runner: str,
    fault: str | None,
    device_fault: str | None = None,
    to: Path | None,
    say: Say,
    transport: str = "pci",
    driver: str | None = None,
    ring: str = "split",
    observe: Sequence[Observer] = (),
) -> Result:
    """Boot a guest, run a scenario in it, check the capture, write the run directory.

    ``fault`` is a bug that the block driver is to have, ``device_fault`` one of the vhost driver.

    Raises UsageError for names that do not exist, InfraError for what could not be built,
    booted or written, GuestError where a guest that ended badly left no events at all.
    Any other guest that crashed or hung is no error: its outcome says so.
    """
    started = time.time()
    scenario = load_scenario(scenario_name)
    if driver is not None and scenario.firmware is None:
        scenario = under_driver(scenario, driver)
    scenario = on_transport(scenario, transport)
    scenario = replace(with_ring(scenario, ring), observe=tuple(dict.fromkeys(observe)))
    if scenario.firmware is not None:
        if kernel_name or driver or fault or device_fault or observe:
            raise UsageError(
                f"scenario {scenario.name} boots {scenario.firmware}, with a driver of its own: "
                "it takes no --kernel, --driver, --observe and no faults"
            )
        return _run_firmware(scenario, started, to=to, say=say)
    runner_of(runner, scenario.transport)
    faults = _faults(scenario, {"driver": fault, "device": device_fault})
    directory = to or fresh_directory(scenario.name)
    require_free(directory)
    kernel = kernels.resolve(kernel_name, progress=say)
    _require_profile(kernel, scenario.transport.profile)
    built = modules.build(kernel, fault=bool(faults), progress=say)
    say(f"boot {kernel.release} ({runner}), scenario {scenario.name}, {transport}")
    outcome = run_scenario(
        scenario,
        kernel=kernel,
        modules=built.modules,
        out=directory,
        runner=runner,
        faults=faults,
        progress=say,
    )
    _write_json(
        directory / "run.json",
        {
            "schema": 1,
            "pykit": __version__,
            "scenario": scenario.name,
            "runner": runner,
            "transport": transport,
            "ring": ring,
            "observe": list(observe),
            "drivers": sorted({device.driver for device in scenario.devices}),
            "fault": fault,
            "device_fault": device_fault,
            "kernel": {"name": kernel.name, "release": kernel.release, "origin": kernel.origin},
            "modules": [path.name for path in built.modules],
            "command": sys.argv,
            "guest_command": list(outcome.command),
            "qemu": outcome.qemu,
            "python": platform.python_version(),
            "host": platform.platform(),
            "started": datetime.datetime.fromtimestamp(started, datetime.UTC).isoformat(),
            "seconds": round(time.time() - started, 3),
            "outcome": {"kind": outcome.kind, "message": outcome.message},
        },
    )
    return _ended(directory, outcome)


def run_own(
    *,
    image: Path | None = None,
    arguments: str = "",
    attach: Path | None = None,
    seconds: float,
    to: Path | None,
    say: Say,
) -> Result:
    """Observe a guest of the user's from outside: an image, a QEMU command line, a running QEMU.

    Raises UsageError for what cannot be booted or attached to.
    """
    if attach is not None and (image is not None or arguments):
        raise UsageError("--attach takes a QEMU that runs: leave --guest and --qemu-args out")
    started = time.time()
    directory = to or fresh_directory("attach" if attach else "guest")
    if attach is not None:
        outcome = attach_to(attach, out=directory, seconds=seconds, progress=say)
    else:
        outcome = own.boot(image, arguments, out=directory, seconds=seconds, progress=say)
    about = {"guest": image, "qemu_args": arguments, "attached": attach}
    _write_outside(directory, about, started, outcome)
    return _ended(directory, outcome)


def _run_firmware(scenario: Scenario, started: float, *, to: Path | None, say: Say) -> Result:
    """Boot firmware, which has no kernel and takes no modules, and check QEMU's log."""
    directory = to or fresh_directory(scenario.name)
    say(f"boot {scenario.firmware}, scenario {scenario.name}, {scenario.transport.name}")
    outcome = outside.run(scenario, out=directory, progress=say)
    about = {
        "scenario": scenario.name,
        "firmware": scenario.firmware,
        "transport": scenario.transport.name,
    }
    _write_outside(directory, about, started, outcome)
    return _ended(directory, outcome)


def _write_outside(
    directory: Path, about: dict[str, Any], started: float, outcome: Outcome
) -> None:
    """Write run.json of a guest that only observers outside have seen."""
    _write_json(
        directory / "run.json",
        {
            "schema": 1,
            "pykit": __version__,
            **about,
            "command": sys.argv,
            "guest_command": list(outcome.command),
            "qemu": outcome.qemu,
            "python": platform.python_version(),
            "host": platform.platform(),
            "started": datetime.datetime.fromtimestamp(started, datetime.UTC).isoformat(),
            "seconds": round(time.time() - started, 3),
            "outcome": {"kind": outcome.kind, "message": outcome.message},
        },
    )


def _ended(directory: Path, outcome: Outcome) -> Result:
    """Check the capture of a run, however its guest ended."""
    if outcome.kind == "interrupted":
        raise KeyboardInterrupt
    try:
        return _judge(directory / "capture", outcome, write_to=directory)
    except UsageError as error:
        if outcome.exit_code == Exit.OK:
            raise
        # What became of the guest says more than that it left no events.
        raise GuestError(
            f"guest: {outcome.kind}: {outcome.message} (see {directory / 'console.log'})",
            outcome.exit_code,
        ) from error


def check(capture: Path | None, *, qemu_log: Path | None = None, to: Path | None) -> Result:
    """Check an existing capture, without the kernel or the QEMU that made it.

    ``capture`` is a run directory, its ``capture``, or a trace.dat; or else ``qemu_log`` is a
    trace log of a QEMU that was run elsewhere. Nothing is written unless ``to`` names a
    directory, which must be empty or new.
    """
    if (capture is None) == (qemu_log is None):
        raise UsageError("nothing to check: name a run directory, or add --qemu-log FILE")
    if to is not None:
        if to.exists() and (not to.is_dir() or any(to.iterdir())):
            raise UsageError(f"{to} exists and is not an empty directory: name another with --to")
        to.mkdir(parents=True, exist_ok=True)
    if qemu_log is not None:
        return _judged(trace.load_log(qemu_log), None, write_to=to)
    assert capture is not None
    inner = capture / "capture"
    return _judge(inner if inner.is_dir() else capture, None, write_to=to)


def _judge(capture: Path, outcome: Outcome | None, *, write_to: Path | None) -> Result:
    return _judged(trace.load(capture), outcome, write_to=write_to)


def _judged(events: trace.Events, outcome: Outcome | None, *, write_to: Path | None) -> Result:
    if outcome is None:
        ended = events.capture.outcome
        if ended.kind not in EXIT_CODES:
            raise UsageError(
                f"unknown outcome {ended.kind!r}: check this capture with the pykit that made it"
            )
        outcome = Outcome(ended.kind, ended.message)
    verdicts = spec.check(events)
    if write_to is not None:
        events.write_parquet(write_to / "events.parquet")
        report.write_all(write_to, verdicts, events)
    return Result(verdicts, events, outcome, write_to)


def _faults(scenario: Scenario, wanted: dict[spec.Side, str | None]) -> dict[str, str]:
    """Return deliberate bugs by module; raise UsageError for one that cannot be enabled."""
    found = {}
    for side, fault in wanted.items():
        if fault is None:
            continue
        names, module = spec.faults(side), _FAULTY[side]
        if fault not in names:
            raise UsageError(choice(fault, names, f"{side} fault"))
        if module not in scenario.modules:
            raise UsageError(
                f"scenario {scenario.name} does not load {module}, which has the fault"
            )
        found[module] = fault
    return found


def _require_profile(kernel: kernels.Kernel, profile: str) -> None:
    lacks = kconfig.check(profile, kernel.config)
    if lacks:
        raise UsageError(f"kernel {kernel.release}: {'; '.join(map(str, lacks))}")


def check_config(profile: str, kernel_name: str | None, say: Say) -> None:
    """Check a kernel's own .config against a profile; raise UsageError with missing symbols."""
    kernel = kernels.resolve(kernel_name, progress=say)
    lacks = kconfig.check(profile, kernel.config)
    if lacks:
        # Only now is the source worth its download: it knows why a symbol is not there.
        tree = kernels.source_tree(kernel, progress=say)
        lacks = kconfig.check(profile, kernel.config, tree)
        raise UsageError(f"kernel {kernel.release}: {'; '.join(map(str, lacks))}")


def write_config(
    profile: str, kernel_name: str | None, output: Path, *, force: bool, say: Say
) -> list[str]:
    """Resolve a profile to a full .config and the minimal fragment beside it.

    Returns lines that say what was written and what had to be pulled in.
    """
    kernel = kernels.resolve(kernel_name, progress=say)
    tree = kernels.source_tree(kernel, progress=say)
    result = kconfig.resolve(profile, tree)
    return result.write(output, overwrite=force)


def _write_json(path: Path, data: dict[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(data, indent=2, default=str) + "\n")
    temporary.replace(path)
