# SPDX-License-Identifier: GPL-2.0-only
"""Run a cell in a guest that is booted for it alone: every `pykit run`, and cells that need it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pykit import kconfig, kernels, modules
from pykit.errors import UsageError
from pykit.guests import Outcome
from pykit.guests.payload import loaded_modules
from pykit.matrix.execute.driven import driven_without_guest
from pykit.matrix.execute.mutated import mutate
from pykit.matrix.execute.rundir import FIRMWARE, GuestOrigin
from pykit.matrix.execute.runnable import RunnableCell
from pykit.modules import BroughtModules
from pykit.modules.closure import module_name
from pykit.qemu import program
from pykit.run import outside, require_free, run_scenario
from pykit.scenario import Scenario

Say = Callable[[str], None]

#: No modules of the user's.
NOTHING_BROUGHT = BroughtModules()


def run_in_own_guest(
    entry: RunnableCell,
    out: Path,
    say: Say = lambda _: None,
    brought: BroughtModules = NOTHING_BROUGHT,
    meanwhile: Callable[[], None] = lambda: None,
) -> tuple[Outcome, GuestOrigin]:
    """Boot a guest, run the cell's scenario in it, and leave the capture in ``out``.

    Gets the kernel and builds the modules first, where they are not there yet. ``brought`` are
    the user's own modules; ``meanwhile`` is called by another thread while Linux boots.

    Raises UsageError for ``out`` and a kernel that lacks options, InfraError for what could not
    be built, booted or written. A guest that crashed or hung is an outcome, not an error.
    """
    scenario = entry.scenario
    require_free(out)
    if entry.cell.peer:
        say(f"drive {entry.cell.peer}")
        return driven_without_guest(entry.cell.peer, out, say), FIRMWARE
    with program.using(entry.qemu):
        if scenario.firmware is not None:
            say(f"boot {scenario.firmware}, scenario {scenario.name}, {scenario.transport.name}")
            return outside.run(scenario, out=out, progress=say), FIRMWARE
        kernel = kernels.resolve(entry.kernel, progress=say)
        require_profile(kernel, scenario.transport.profile)
        if brought:
            kernel = brought.into(kernel)
        if entry.mutated:
            mutated = mutate(kernel, say)
            kernel, scenario = mutated.kernel, mutated.activate(entry).scenario
        built = modules.build(kernel, fault=bool(entry.faults), progress=say)
        _require_loaded(brought, scenario, kernel, built)
        where = f"({entry.runner}), scenario {scenario.name}, {scenario.transport.name}"
        say(f"boot {kernel.release} {where}")
        outcome = run_scenario(
            scenario,
            kernel=kernel,
            modules=built.modules,
            out=out,
            runner=entry.runner,
            faults=entry.faults,
            progress=say,
            meanwhile=meanwhile,
        )
        return outcome, GuestOrigin.of(kernel, built)


def require_profile(kernel: kernels.Kernel, profile: str) -> None:
    """Raise UsageError for options of a profile that the kernel lacks."""
    lacks = kconfig.check(profile, kernel.config)
    if lacks:
        raise UsageError(f"kernel {kernel.release}: {'; '.join(map(str, lacks))}")


def _require_loaded(
    brought: BroughtModules, scenario: Scenario, kernel: kernels.Kernel, built: modules.Build
) -> None:
    """Raise UsageError for a module of the user's that the scenario would not load."""
    there = {module_name(path.name) for path in loaded_modules(scenario, kernel, built.modules)}
    for name in brought.files():
        if name not in there:
            raise UsageError(
                f"scenario {scenario.name} does not load {name}: add --driver {name} if it is the "
                "driver under test, or choose another scenario"
            )
