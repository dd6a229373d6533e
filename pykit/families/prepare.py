# SPDX-License-Identifier: GPL-2.0-only
"""From cells to batches: what they boot is made, and those that are alike share a guest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pykit import kconfig, kernels, modules
from pykit.errors import MissingConfigError, PykitError
from pykit.families.apply import Work, without
from pykit.families.batch import Batch
from pykit.families.record import Record
from pykit.guests.bundle import Bundle, bundle
from pykit.kernels import Kernel
from pykit.modules import closure

Say = Callable[[str], None]

#: What a machine without hot-plug has room for.
_SLOTS = 8
#: A guest boots in the time of ten scenarios, about; one that dies takes so many with it at most.
_MOST, _LEAST = 48, 6


@dataclass(frozen=True)
class Prepared:
    """Batches, those that take the longest first, and records of cells that cannot be run."""

    batches: tuple[Batch, ...]
    records: tuple[Record, ...]


def prepare(
    works: Sequence[Work], *, workers: int, isolate: bool, keep: bool, say: Say
) -> Prepared:
    """Get kernels, build modules, stage bundles, and share the cells out.

    Where a kernel has not what a cell needs, or its modules do not build, the cell has its record.
    """
    groups: dict[tuple[object, ...], list[Work]] = {}
    for work in works:
        groups.setdefault(_alike(work), []).append(work)
    records: list[Record] = []
    batches: list[Batch] = []
    for group in groups.values():
        try:
            made, lacking = _bundle(group, say)
        except PykitError as error:
            records += [_lacking(work, error) for work in group]
            continue
        records += [_lacking(work, error) for work, error in lacking]
        able = [work for work in group if all(work is not other for other, _ in lacking)]
        if made is not None:
            batches += [Batch(made, part, isolate, keep) for part in _shares(able, workers)]
    batches.sort(key=_expected, reverse=True)
    return Prepared(tuple(batches), tuple(records))


def _alike(work: Work) -> tuple[object, ...]:
    """What guests have to agree in to be shared."""
    scenario = work.scenario
    served = any(device.backing == "vhost-user" for device in scenario.devices)
    return (
        work.kernel, bool(work.faults), scenario.transport.machine, scenario.transport.profile,
        scenario.cpus, served, bool(scenario.programs),
    )  # fmt: skip


def _bundle(group: Sequence[Work], say: Say) -> tuple[Bundle | None, list[tuple[Work, PykitError]]]:
    """What a group boots, and those of it whose kernel has not what they need."""
    kernel = kernels.resolve(group[0].kernel, progress=say)
    # A profile is a profile of all cells of a group: a kernel's configuration is long.
    lacks = kconfig.check(group[0].scenario.transport.profile, kernel.config)
    lacking: list[tuple[Work, PykitError]] = []
    for work in group:
        try:
            _require(kernel, work, lacks)
        except MissingConfigError as error:
            lacking.append((work, error))
    able = [work for work in group if all(work is not other for other, _ in lacking)]
    if not able:
        return None, lacking
    built = modules.build(kernel, fault=bool(group[0].faults), progress=say)
    return bundle(kernel, built.modules, [work.scenario for work in able]), lacking


def _require(kernel: Kernel, work: Work, lacks: Sequence[kconfig.Mismatch]) -> None:
    if lacks:
        raise MissingConfigError(f"kernel {kernel.release}: {'; '.join(map(str, lacks))}")
    closure(kernel, work.scenario.kernel_modules)


def _shares(works: Sequence[Work], workers: int) -> Iterable[tuple[Work, ...]]:
    """Parts of a group, of a size that keeps every worker busy to the end."""
    # Cells with the same modules one after the other: changing them costs more than a cell.
    ordered = sorted(works, key=lambda w: (sorted(w.faults.items()), w.scenario.modules))
    size = max(_LEAST, min(_MOST, -(-len(works) // (2 * workers))))
    part: list[Work] = []
    devices = 0
    for work in ordered:
        more = 0 if work.scenario.transport.hot_plug else len(work.scenario.devices)
        if part and (len(part) == size or devices + more > _SLOTS):
            yield tuple(part)
            part, devices = [], 0
        part.append(work)
        devices += more
    if part:
        yield tuple(part)


def _expected(batch: Batch) -> float:
    """How long it may take, in no unit: what a boot costs, and its cells by the time they may."""
    cells = sum(work.scenario.deadline_s for work in batch.works)
    return batch.bundle.pace * (10.0 + cells)


def _lacking(work: Work, error: PykitError) -> Record:
    missing = isinstance(error, MissingConfigError)
    return without(work, "impossible" if missing else "error", str(error))
