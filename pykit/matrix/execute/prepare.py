# SPDX-License-Identifier: GPL-2.0-only
"""Turn cells into batches: get kernels, build modules, put cells that are alike together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pykit import kconfig, kernels, modules
from pykit.errors import MissingConfigError, PykitError
from pykit.guests import deadlines
from pykit.guests.bundle import bundle
from pykit.kernels import Kernel
from pykit.matrix.execute.batch import GuestBatch
from pykit.matrix.execute.mutated import mutate
from pykit.matrix.execute.rundir import GuestOrigin
from pykit.matrix.execute.runnable import RunnableCell, not_run
from pykit.matrix.record import CLEAN_BUILD, CellRecord
from pykit.modules import closure
from pykit.qemu import program

Say = Callable[[str], None]

#: Devices that a machine without hot-plug has slots for: the scenario mmio-slot needs an empty one.
_SLOTS = 7
#: A guest boots in the time of ten scenarios, about; one that dies takes so many with it at most.
_MOST, _LEAST = 48, 6


@dataclass(frozen=True)
class PreparedCells:
    """Batches, those that take the longest first, and records of cells that cannot be run."""

    batches: tuple[GuestBatch, ...]
    records: tuple[CellRecord, ...]


def prepare(
    cells: Sequence[RunnableCell], *, workers: int, isolate: bool, keep: bool, say: Say
) -> PreparedCells:
    """Get kernels, build modules, stage bundles, and share the cells out.

    A cell gets its record here where its kernel lacks what it needs, where its modules do not
    build, or where they have to build without complaints and do not.
    """
    records = list(_unclean(cells, say))
    broken = {record.cell for record in records}
    groups: dict[tuple[object, ...], list[RunnableCell]] = {}
    for entry in cells:
        if entry.cell.name not in broken:
            groups.setdefault(_alike(entry), []).append(entry)
    batches: list[GuestBatch] = []
    for group in groups.values():
        able: list[RunnableCell] = []
        try:
            kernel, built = _guest(group[0], say)
            mutated = mutate(kernel, say) if kernel and group[0].mutated else None
            kernel = mutated.kernel if mutated else kernel
            for entry in group:
                try:
                    _require(kernel, entry)
                    able.append(mutated.activate(entry) if mutated else entry)
                except MissingConfigError as error:
                    records.append(_lacking(entry, error))
            batches += _batches(able, kernel, built, workers, isolate, keep)
        except PykitError as error:
            known = {record.cell for record in records}
            records += [_lacking(entry, error) for entry in group if entry.cell.name not in known]
    batches.sort(key=_expected, reverse=True)
    return PreparedCells(tuple(batches), tuple(records))


def _unclean(cells: Sequence[RunnableCell], say: Say) -> Iterator[CellRecord]:
    """Records of cells whose modules have to compile without complaints, and do not."""
    kernels_of: dict[str | None, list[RunnableCell]] = {}
    for entry in cells:
        if entry.strict:
            kernels_of.setdefault(entry.kernel, []).append(entry)
    for name, group in kernels_of.items():
        try:
            kernel = kernels.resolve(name, progress=say)
            for path in modules.build(kernel, progress=say).modules:
                modules.inspect(path, kernel)
            complaints = modules.complaints(kernel, progress=say)
        except PykitError as error:
            say(f"strict build for {name or 'the default kernel'}: {error}")
            yield from (not_run(entry, "error", str(error), build=str(error)) for entry in group)
            continue
        what = complaints[0] if complaints else CLEAN_BUILD
        say(f"strict build for {kernel.name}: {what}")
        if complaints:
            words = f"its modules were not built cleanly: {complaints[0]}"
            yield from (not_run(entry, "failed", words, build=what) for entry in group)


def _alike(entry: RunnableCell) -> tuple[object, ...]:
    """Return the properties in which cells of one guest agree."""
    scenario = entry.scenario
    served = any(device.backing == "vhost-user" for device in scenario.devices)
    return (
        entry.kernel, bool(entry.faults), scenario.transport.machine, scenario.transport.profile,
        scenario.cpus, served, bool(scenario.programs), entry.qemu, scenario.firmware,
        entry.shareable, entry.mutated,
    )  # fmt: skip


def _guest(entry: RunnableCell, say: Say) -> tuple[Kernel | None, modules.Build | None]:
    """The kernel and the modules of a group; none for firmware, and without a guest."""
    if entry.cell.peer:
        return None, None
    with program.using(entry.qemu):
        program.find(entry.scenario.transport.arch)
    if entry.scenario.firmware is not None:
        return None, None
    kernel = kernels.resolve(entry.kernel, progress=say)
    # The cells of a group agree in their profile: a kernel's configuration is long.
    lacks = kconfig.check(entry.scenario.transport.profile, kernel.config)
    if lacks:
        raise MissingConfigError(f"kernel {kernel.release}: {'; '.join(map(str, lacks))}")
    return kernel, modules.build(kernel, fault=bool(entry.faults), progress=say)


def _require(kernel: Kernel | None, entry: RunnableCell) -> None:
    if kernel is not None:
        closure(kernel, entry.scenario.kernel_modules)


def _batches(
    cells: Sequence[RunnableCell],
    kernel: Kernel | None,
    built: modules.Build | None,
    workers: int,
    isolate: bool,
    keep: bool,
) -> Iterator[GuestBatch]:
    """Batches of a group."""
    if not cells:
        return
    if kernel is None or built is None:
        yield from (GuestBatch(None, (entry,), keep=keep) for entry in cells)
        return
    pace = deadlines.factor(kernel.config)
    common = GuestBatch(None, (), isolate, keep, origin=GuestOrigin.of(kernel, built), pace=pace)
    if not cells[0].shareable:
        yield from (replace(common, cells=(entry,)) for entry in cells)
        return
    staged = bundle(kernel, built.modules, [entry.scenario for entry in cells])
    for part in _shares(cells, workers):
        yield replace(common, bundle=staged, cells=part)


def _shares(cells: Sequence[RunnableCell], workers: int) -> Iterable[tuple[RunnableCell, ...]]:
    """Parts of a group, of a size that keeps every worker busy to the end."""
    # Cells with the same modules one after the other: changing them costs more than a cell.
    ordered = sorted(cells, key=lambda c: (sorted(c.faults.items()), c.scenario.modules))
    size = max(_LEAST, min(_MOST, -(-len(cells) // (2 * workers))))
    part: list[RunnableCell] = []
    devices = 0
    for entry in ordered:
        more = 0 if entry.scenario.transport.hot_plug else len(entry.scenario.devices)
        if part and (len(part) == size or devices + more > _SLOTS):
            yield tuple(part)
            part, devices = [], 0
        part.append(entry)
        devices += more
    if part:
        yield tuple(part)


def _expected(batch: GuestBatch) -> float:
    """Relative cost of a batch: its boot, and its cells by their deadlines."""
    return batch.pace * (10.0 + sum(entry.scenario.deadline_s for entry in batch.cells))


def _lacking(entry: RunnableCell, error: PykitError) -> CellRecord:
    return not_run(
        entry, "impossible" if isinstance(error, MissingConfigError) else "error", str(error)
    )
