# SPDX-License-Identifier: GPL-2.0-only
"""The way through, end to end: kernel, configuration check, modules, boot, events, verdicts.

Each step is one call of the package that owns it; what joins them stands here, so that the
command line stays thin and tests can run the whole way without it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pykit import kconfig, kernels
from pykit.errors import Exit, GuestError, UsageError
from pykit.guests import EXIT_CODES, Outcome
from pykit.matrix.execute.own_guest import NOTHING_BROUGHT, run_in_own_guest
from pykit.matrix.execute.rundir import about_cell, write_run_json
from pykit.matrix.execute.runnable import apply_axes
from pykit.matrix.plan.cell import MatrixCell
from pykit.modules import BroughtModules
from pykit.paths import fresh_directory, require_empty
from pykit.run import attach as attach_to
from pykit.run import own
from pykit.scenario import Observer

if TYPE_CHECKING:
    from pykit import spec, trace
    from pykit.matrix.execute.judged import JudgedCapture

Say = Callable[[str], None]


@dataclass(frozen=True)
class RunResult:
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
        # Rules without their observer may stay undecided; a run in which events were lost, or
        # core rules had nothing to look at, must not look like a success.
        if self.events.lost or not summary["pass"] or self.verdicts.unlooked:
            return Exit.SKIP
        return Exit.OK

    def closing(self) -> list[str]:
        """Return the last lines on the terminal: how the guest ended, and where the report is."""
        lines = [f"guest: {self.outcome.kind}: {self.outcome.message}"]
        lines += [f"not looked at: {line}" for line in self.verdicts.unlooked]
        from pykit.trace.capture import RECORDED

        about = self.events.capture
        if about.seal is None and about.outcome.kind != RECORDED:
            lines.append("capture: not sealed: files cut or replaced since would not be noticed")
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
    transport: str | None = None,
    driver: str | None = None,
    ring: str = "split",
    observe: Sequence[Observer] = (),
    brought: BroughtModules = NOTHING_BROUGHT,
    device: str | None = None,
) -> RunResult:
    """Boot a guest, run a scenario in it, check the capture, write the run directory.

    The run is a matrix of one cell, in a guest of its own. ``fault`` is a deliberate bug of the
    block driver, ``device_fault`` one of the vhost driver. ``brought`` are the user's own
    modules, of which the last driver is the one under test unless ``driver`` names it. ``device``
    is the user's back-end (``pykit.scenario.served_by``).

    Raises UsageError for names that do not exist, InfraError for what could not be built,
    booted or written, GuestError where a guest that ended badly left no events at all.
    Any other guest that crashed or hung is no error: its outcome says so.
    """
    started = time.time()
    names = brought.names
    if names and driver is None:
        driver = names[-1]
    axes = {
        "kernel": kernel_name,
        "runner": runner,
        "transport": transport,
        "driver": driver,
        "ring": ring,
        "observe": "+".join(dict.fromkeys(observe)),
        "driver-fault": fault,
        "device-fault": device_fault,
    }
    given = {axis: value for axis, value in axes.items() if value}
    if brought and runner != "direct":
        raise UsageError(
            "modules of your own need --boot direct: virtme-ng loads the kernel's virtio modules "
            "first"
        )
    cell = MatrixCell(scenario_name, scenario_name, scenario_name, given)
    entry = apply_axes(cell, names, device)
    if brought and entry.scenario.firmware is not None:
        raise UsageError(f"scenario {entry.scenario.name} boots firmware, which loads no modules")
    directory = to or fresh_directory(entry.scenario.name)
    own_modules = brought.describe()
    outcome, guest = run_in_own_guest(entry, directory, say, brought, _prepare)
    about = about_cell(entry, guest) | ({"brought": own_modules} if brought else {})
    if device is not None:
        about["device"] = device
    return _ended(directory, about, outcome, started)


def _prepare() -> None:
    from pykit.matrix.execute import judged

    judged.prepare()


def run_own(
    *,
    image: Path | None = None,
    arguments: str = "",
    attach: Path | None = None,
    seconds: float,
    observe: Sequence[str] = (),
    to: Path | None,
    say: Say,
) -> RunResult:
    """Observe a guest of the user's from outside: an image, a QEMU command line, a running QEMU.

    Raises UsageError for what cannot be booted or attached to.
    """
    if attach is not None and (image is not None or arguments):
        raise UsageError("--attach takes a QEMU that runs: leave --guest and --qemu-args out")
    if attach is not None and observe:
        raise UsageError("--attach takes a QEMU that runs: --observe has to be there at its start")
    started = time.time()
    directory = to or fresh_directory("attach" if attach else "guest")
    if attach is not None:
        outcome = attach_to(attach, out=directory, seconds=seconds, progress=say)
    else:
        outcome = own.boot(
            image, arguments, out=directory, seconds=seconds, observe=observe, progress=say
        )
    about = {"guest": image, "qemu_args": arguments, "attached": attach}
    return _ended(directory, about, outcome, started)


def _ended(directory: Path, about: dict[str, Any], outcome: Outcome, started: float) -> RunResult:
    """Write run.json and check the capture of a run, however its guest ended."""

    def describe(outcome: Outcome) -> None:
        write_run_json(directory, about, command=sys.argv, outcome=outcome, started=started)

    describe(outcome)
    if outcome.kind == "interrupted":
        raise KeyboardInterrupt
    try:
        result = _judge(directory / "capture", outcome, write_to=directory)
        if result.outcome != outcome:
            describe(result.outcome)
        return result
    except UsageError as error:
        if outcome.exit_code == Exit.OK:
            raise
        # What became of the guest says more than that it left no events.
        raise GuestError(
            f"guest: {outcome.kind}: {outcome.message} (see {directory / 'console.log'})",
            outcome.exit_code,
        ) from error


def check(capture: Path | None, *, qemu_log: Path | None = None, to: Path | None) -> RunResult:
    """Check an existing capture, without the kernel or the QEMU that made it.

    ``capture`` is a run directory, its ``capture``, or a trace.dat; or else ``qemu_log`` is a
    trace log of a QEMU that was run elsewhere. Nothing is written unless ``to`` names a
    directory, which must be empty or new.
    """
    if (capture is None) == (qemu_log is None):
        raise UsageError("nothing to check: name a run directory, or add --qemu-log FILE")
    if to is not None:
        require_empty(to)
        to.mkdir(parents=True, exist_ok=True)
    if qemu_log is not None:
        from pykit import trace
        from pykit.matrix.execute.judged import judge_events

        return _result(judge_events(trace.load_log(qemu_log)), None, write_to=to)
    assert capture is not None
    inner = capture / "capture"
    return _judge(inner if inner.is_dir() else capture, None, write_to=to)


def _judge(capture: Path, outcome: Outcome | None, *, write_to: Path | None) -> RunResult:
    from pykit.matrix.execute.judged import judge

    return _result(judge(capture), outcome, write_to=write_to)


def _result(found: JudgedCapture, outcome: Outcome | None, *, write_to: Path | None) -> RunResult:
    if outcome is None:
        ended = found.events.capture.outcome
        if ended.kind not in EXIT_CODES:
            raise UsageError(
                f"unknown outcome {ended.kind!r}: check this capture with the pykit that made it"
            )
        outcome = Outcome(ended.kind, ended.message)
    outcome = found.ended(outcome)
    if write_to is not None:
        found.write(write_to)
    return RunResult(found.verdicts, found.events, outcome, write_to)


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
    kernels.require_configurable(kernel_name)
    kernel = kernels.resolve(kernel_name, progress=say)
    tree = kernels.source_tree(kernel, progress=say)
    result = kconfig.resolve(profile, tree)
    return result.write(output, overwrite=force)
