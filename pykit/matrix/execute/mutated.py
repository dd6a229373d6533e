# SPDX-License-Identifier: GPL-2.0-only
"""Put mutated modules in place of a kernel's own, and set a cell's mutant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from pykit import kernels, modules
from pykit.errors import MissingConfigError
from pykit.kernels import Kernel
from pykit.matrix.execute.runnable import RunnableCell
from pykit.mutants import MutantBuild, all_mutants, build_mutants

Say = Callable[[str], None]


@dataclass(frozen=True)
class MutatedKernel:
    """A kernel whose virtio modules have all mutants, and the build that they are from."""

    kernel: Kernel
    build: MutantBuild

    def activate(self, entry: RunnableCell) -> RunnableCell:
        """Return the cell with its mutant's number for this kernel; 0 is the control's.

        Raises: MissingConfigError where this kernel has no such mutant.
        """
        number, home = 0, next(iter(self.build.homes.values()))
        if entry.mutant is not None:
            if reason := self.build.void.get(entry.mutant.name):
                raise MissingConfigError(f"mutant {entry.mutant.name}: {reason}")
            number = self.build.numbers[entry.mutant.name]
            home = self.build.homes[entry.mutant.name]
        scenario = replace(entry.scenario, mutant=(home, number))
        return replace(entry, scenario=scenario)


def mutate(kernel: Kernel, say: Say) -> MutatedKernel:
    """Build the mutated modules of a kernel, or take those of the cache.

    Raises: InfraError for sources that cannot be fetched, and a build that fails.
    """
    build = build_mutants(kernel, all_mutants(), say)
    for path in build.modules.values():
        modules.inspect(path, kernel).require()
    return MutatedKernel(kernels.with_modules(kernel, build.modules), build)
