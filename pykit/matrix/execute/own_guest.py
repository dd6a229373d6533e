# SPDX-License-Identifier: GPL-2.0-only
"""Run a cell in a guest that is booted for it alone: every `pykit run`, and cells that need it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from pykit import kconfig, kernels, modules
from pykit.errors import UsageError
from pykit.guests import Outcome
from pykit.matrix.execute.mutated import mutate
from pykit.matrix.execute.rundir import FIRMWARE, GuestOrigin
from pykit.matrix.execute.runnable import RunnableCell
from pykit.qemu import program
from pykit.run import outside, require_free, run_scenario

Say = Callable[[str], None]


def run_in_own_guest(
    entry: RunnableCell,
    out: Path,
    say: Say = lambda _: None,
    replaced: Mapping[str, Path] = MappingProxyType({}),
) -> tuple[Outcome, GuestOrigin]:
    """Boot a guest, run the cell's scenario in it, and leave the capture in ``out``.

    Gets the kernel and builds the modules first, where they are not there yet. ``replaced`` are
    files, by module name, that are loaded in place of the kernel's own modules.

    Raises UsageError for ``out`` and a kernel that lacks options, InfraError for what could not
    be built, booted or written. A guest that crashed or hung is an outcome, not an error.
    """
    scenario = entry.scenario
    require_free(out)
    with program.using(entry.qemu):
        if scenario.firmware is not None:
            say(f"boot {scenario.firmware}, scenario {scenario.name}, {scenario.transport.name}")
            return outside.run(scenario, out=out, progress=say), FIRMWARE
        kernel = kernels.resolve(entry.kernel, progress=say)
        require_profile(kernel, scenario.transport.profile)
        for path in replaced.values():
            modules.inspect(path, kernel).require()
        if replaced:
            kernel = kernels.with_modules(kernel, replaced)
        if entry.mutated:
            mutated = mutate(kernel, say)
            kernel, scenario = mutated.kernel, mutated.activate(entry).scenario
        built = modules.build(kernel, fault=bool(entry.faults), progress=say)
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
        )
        return outcome, GuestOrigin.of(kernel, built)


def require_profile(kernel: kernels.Kernel, profile: str) -> None:
    """Raise UsageError for options of a profile that the kernel lacks."""
    lacks = kconfig.check(profile, kernel.config)
    if lacks:
        raise UsageError(f"kernel {kernel.release}: {'; '.join(map(str, lacks))}")
