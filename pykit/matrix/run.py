# SPDX-License-Identifier: GPL-2.0-only
"""Running a plan: modules built strictly for every kernel, every cell booted and judged."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable
from pathlib import Path

from pykit.matrix.jobs import Done, Job, work
from pykit.matrix.plan import Cell, Plan
from pykit.matrix.results import NOT_RUN, Built, Matrix, Result, read_result

Say = Callable[[str], None]


def run_plan(plan: Plan, directory: Path, say: Say) -> Matrix:
    """Build for each kernel of the plan, then run every cell whose kernel has its modules.

    ``directory`` is new or empty; it gets ``matrix.json``, one run directory and one log a cell.
    A cell is not run where its modules could not be built, and says so; nothing else is
    taken for granted.
    """
    directory.mkdir(parents=True, exist_ok=True)
    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    cells = plan.cells
    matrix = Matrix(plan, directory, started)
    kernels = list(dict.fromkeys(cell.kernel for cell in cells))
    builds = {_build(kernel, directory): kernel for kernel in kernels}
    with contextlib.closing(work(builds, lambda job: say(f"{job.name}: begun"))) as ended:
        for done in ended:
            built = _built(builds[done.job], done)
            matrix.builds.append(built)
            matrix.write()
            say(f"{done.job.name}: {built.message}, {built.seconds:.0f} s")
    broken = {built.kernel: built for built in matrix.builds if built.exit_code != 0}
    for cell in cells:
        if cell.kernel in broken:
            matrix.results.append(_unbuilt(cell, broken[cell.kernel]))
    runs = {_run(cell, directory): cell for cell in cells if cell.kernel not in broken}
    with contextlib.closing(work(runs, lambda job: say(f"{job.name}: begun"))) as ended:
        for done in ended:
            cell = runs[done.job]
            result = read_result(cell, directory / cell.name, done)
            matrix.results.append(result)
            matrix.write()
            count = f"{len(matrix.results)} of {len(cells)}"
            say(f"{cell.name}: {result.outcome}, {done.seconds:.0f} s ({count})")
    order = {cell: number for number, cell in enumerate(cells)}
    matrix.results.sort(key=lambda result: order[result.cell])
    matrix.builds.sort(key=lambda built: kernels.index(built.kernel))
    matrix.complete = True
    matrix.write()
    return matrix


def _build(kernel: str, directory: Path) -> Job:
    name = f"build-{Path(kernel).name}"
    return Job(name, ("build", "--strict", "--kernel", kernel), directory / f"{name}.log")


def _run(cell: Cell, directory: Path) -> Job:
    arguments = tuple(cell.arguments(directory / cell.name))
    return Job(cell.name, arguments, directory / f"{cell.name}.log")


def _built(kernel: str, done: Done) -> Built:
    message = "clean" if done.exit_code == 0 else done.last_words
    return Built(kernel, done.exit_code, done.seconds, message)


def _unbuilt(cell: Cell, built: Built) -> Result:
    message = f"its modules were not built: {built.message}"
    return Result(cell, built.exit_code, 0.0, NOT_RUN, message, {}, (), "", "")
