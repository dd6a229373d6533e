# SPDX-License-Identifier: GPL-2.0-only
"""Matrix files: groups of cells (a scenario and its axes) and single cells, as TOML."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pykit import spec
from pykit.device import FAULTS
from pykit.errors import UsageError
from pykit.matrix.plan import expand
from pykit.matrix.plan.cell import (
    ALL,
    BACK_END_FAULT,
    DRIVEN,
    DRIVER_FAULT,
    KNOWN_AXES,
    MUTANT,
    NONE,
    PEER,
    STRICT_MODEL,
    MatrixCell,
    Patch,
    Requirement,
    Subject,
    find_mutant,
)
from pykit.matrix.plan.names import is_cell_name, is_matrix_name
from pykit.paths import ROOT
from pykit.peers import PEERS
from pykit.scenario import Scenario, available, load_scenario
from pykit.scenario.model import SCENARIOS
from pykit.toml import Place, TomlFile, choice, shown

MATRICES = ROOT / "matrices"

#: A group with more combinations than this is covered pairwise, unless the file says otherwise.
_FEW = 64


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Where(BaseModel):
    """Cells that have one of these values on each axis that is named."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    __pydantic_extra__: dict[str, Annotated[list[str], BeforeValidator(_listed)]]

    @property
    def values(self) -> dict[str, list[str]]:
        """Values by axis."""
        return dict(self.__pydantic_extra__)

    def holds(self, axes: dict[str, str]) -> bool:
        """Whether it matches a cell with these axes."""
        return all(axes[axis] in values for axis, values in self.values.items())


class Exclude(Where):
    """Cells that are left out, with the reason."""

    why: str


class Tag(Where):
    """Cells that get one more tag."""

    name: str


class _Group(BaseModel):
    model_config = STRICT_MODEL

    name: Annotated[str, Field(min_length=1)] | None = None
    scenario: str
    tags: list[str] = []
    expand: Literal["product", "pairwise"] | None = None
    #: Boot a guest for each cell alone.
    isolate: bool = False
    axes: dict[str, list[str] | dict[str, Patch]] = {}
    exclude: list[Exclude] = []
    tag: list[Tag] = []


class _OneCell(BaseModel):
    model_config = STRICT_MODEL

    name: Annotated[str, Field(min_length=1)]
    scenario: str = ""
    #: A back-end of `pykit drive --peer`, in place of a scenario.
    peer: str | None = None
    tags: list[str] = []
    axes: dict[str, str] = {}
    change: Patch | None = None
    isolate: bool = False
    subject: list[Subject] = []


_Requires = Annotated[list[Requirement], BeforeValidator(_listed)]


class _GroupFile(_Group):
    """A file of one group, whose keys stand at the top."""

    summary: str
    requires: _Requires = []
    name: None = None


class _ListFile(BaseModel):
    """A file that lists groups, single cells, or both."""

    model_config = STRICT_MODEL

    summary: str
    tags: list[str] = []
    requires: _Requires = []
    group: list[_Group] = []
    cell: list[_OneCell] = []


@dataclass(frozen=True)
class Matrix:
    """A matrix as its file defines it, named after the file."""

    name: str
    summary: str
    path: Path
    cells: tuple[MatrixCell, ...]


def names() -> list[str]:
    """Names of the matrices in matrices/."""
    return sorted(path.stem for path in MATRICES.glob("*.toml"))


def load(name: str) -> Matrix:
    """Read a matrix by its name in matrices/, or by a file's path.

    Raises UsageError with file, line and a suggestion for every mistake in it.
    """
    path = Path(name) if name.endswith(".toml") else MATRICES / f"{name}.toml"
    if not path.is_file():
        raise UsageError(f"{choice(name, names(), 'matrix')}, or name a .toml file")
    return _Loader(TomlFile(path)).matrix()


class _Loader:
    def __init__(self, file: TomlFile) -> None:
        self._toml = file
        self._lists = "group" in file.data or "cell" in file.data
        try:
            self._file = (_ListFile if self._lists else _GroupFile).model_validate(file.data)
        except ValidationError as error:
            raise self._invalid(error) from None
        self._name = file.path.stem

    def matrix(self) -> Matrix:
        """Expand the file."""
        file, path = self._file, self._toml.path
        if not is_matrix_name(self._name):
            raise self._toml.wrong(
                (), f"{self._name!r} cannot name a matrix: rename the file to letters, digits, - _"
            )
        found = tuple(self._cells())
        if not found:
            raise self._toml.wrong((), "no cells: add a [[group]] or a [[cell]]")
        seen: dict[str, MatrixCell] = {}
        for place, cell in found:
            if (other := seen.setdefault(cell.name, cell)) is not cell:
                raise self._toml.wrong(
                    place, f"{cell.axes} and {other.axes} would both be called {cell.name}"
                )
            if not is_cell_name(cell.name):
                raise self._toml.wrong(place, f"{cell.name!r} cannot name a cell: shorten it")
            self._distinct(place, cell)
        return Matrix(self._name, file.summary, path, tuple(cell for _, cell in found))

    def _distinct(self, place: Place, cell: MatrixCell) -> None:
        """Refuse a matrix that has a scenario's name and cells of another scenario."""
        if cell.scenario != self._name and (SCENARIOS / f"{self._name}.toml").is_file():
            raise self._toml.wrong(
                place,
                f"matrix {self._name} has cells of scenario {cell.scenario}, and another scenario "
                f"is called {self._name}: rename the file",
            )

    def _cells(self) -> Iterator[tuple[Place, MatrixCell]]:
        """All cells, each with the place that a message about it names."""
        if isinstance(self._file, _GroupFile):
            if not self._file.axes:
                raise self._toml.wrong(("axes",), "name at least one axis")
            for cell in self._group((), self._file):
                yield ("axes",), cell
            return
        for number, group in enumerate(self._file.group):
            place: Place = ("group", number)
            for cell in self._group(place, group):
                yield place, cell
        for number, one in enumerate(self._file.cell):
            place = ("cell", number)
            yield (*place, "name"), self._one(place, one)

    def _group(self, place: Place, group: _Group) -> list[MatrixCell]:
        axes = {axis: self._axis((*place, "axes"), axis, group) for axis in group.axes}
        self._patches((*place, "axes"), axes, self._scenario(place, group.scenario))
        for kind, wheres in (("exclude", group.exclude), ("tag", group.tag)):
            for number, where in enumerate(wheres):
                self._where((*place, kind, number), where, axes)
        values = {axis: tuple(labels) for axis, labels in axes.items()}
        excludes = [entry.values for entry in group.exclude]
        rows = self._rows(place, group, values, excludes)
        rows = [row for row in rows if _fits(group.scenario, row)]
        if not rows:
            raise self._toml.wrong(
                (*place, "exclude"), "nothing is left: every combination is excluded"
            )
        return [self._cell(group, axes, row) for row in rows]

    def _rows(
        self, place: Place, group: _Group, values: expand.Values, excludes: Sequence[expand.Values]
    ) -> list[expand.Row]:
        size = math.prod(len(labels) for labels in values.values())
        kind = group.expand or ("product" if size <= _FEW else "pairwise")
        what, most = "combinations", expand.MOST_CELLS
        if kind == "pairwise":
            size, what, most = expand.pairs(values), "pairs of values", expand.MOST_PAIRS
        if size > most:
            raise self._toml.wrong(
                (*place, "axes"),
                f"{size} {what}, and a group may have {most}: "
                "remove axes or values, or divide the group",
            )
        return (expand.product if kind == "product" else expand.pairwise)(values, excludes)

    def _cell(
        self, group: _Group, axes: dict[str, dict[str, Patch | None]], row: dict[str, str]
    ) -> MatrixCell:
        prefix = [] if isinstance(group, _GroupFile) else [group.name or group.scenario]
        parts = prefix + [
            value if value[0].isalpha() else axis + value
            for axis, value in row.items()
            if value != next(iter(axes[axis]))
        ]
        given = (axes[axis][value] for axis, value in row.items())
        return MatrixCell(
            name=f"{self._name}/{_plain('-'.join(parts) or 'default')}",
            matrix=self._name,
            scenario=group.scenario,
            axes=row,
            tags=self._tags(group.tags, [tag.name for tag in group.tag if tag.holds(row)]),
            patches=tuple(patch for patch in given if patch),
            requires=tuple(self._file.requires),
            isolate=group.isolate,
        )

    def _one(self, place: Place, one: _OneCell) -> MatrixCell:
        if one.peer is not None:
            return self._driven(place, one, one.peer)
        scenario = self._scenario(place, one.scenario)
        for axis, value in one.axes.items():
            at = (*place, "axes", axis)
            if axis not in KNOWN_AXES:
                raise self._toml.wrong(at, choice(axis, KNOWN_AXES, "axis of `pykit run`"))
            allowed = KNOWN_AXES[axis]
            if allowed is not None and value not in allowed:
                raise self._toml.wrong(at, choice(value, allowed, axis))
        if one.change is not None:
            self._patch((*place, "change"), one.change, scenario)
        return MatrixCell(
            name=f"{self._name}/{one.name}",
            matrix=self._name,
            scenario=one.scenario,
            axes=one.axes,
            tags=self._tags(one.tags),
            patches=(one.change,) if one.change else (),
            requires=tuple(self._file.requires),
            isolate=one.isolate,
            subjects=tuple(one.subject),
        )

    def _driven(self, place: Place, one: _OneCell, peer: str) -> MatrixCell:
        """A cell that `pykit drive` runs: it has no guest, and nothing that a guest has."""
        if peer not in PEERS:
            raise self._toml.wrong((*place, "peer"), choice(peer, PEERS, "peer"))
        if one.scenario or one.axes or one.change:
            raise self._toml.wrong(
                (*place, "peer"), "a peer is driven without a guest: it takes no scenario and axes"
            )
        return MatrixCell(
            name=f"{self._name}/{one.name}",
            matrix=self._name,
            scenario=DRIVEN,
            axes={PEER: peer},
            tags=self._tags(one.tags),
            subjects=tuple(one.subject),
        )

    def _tags(self, *lists: list[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self._file.tags, *(tag for tags in lists for tag in tags)]))

    def _axis(self, place: Place, axis: str, group: _Group) -> dict[str, Patch | None]:
        values = group.axes[axis]
        place = (*place, axis)
        if axis not in KNOWN_AXES:
            if isinstance(values, list):
                meant = choice(axis, KNOWN_AXES, "axis of `pykit run`")
                raise self._toml.wrong(
                    place, f"{meant}, or make it a table of values and what each changes"
                )
            return self._some(place, dict(values))
        if isinstance(values, dict):
            raise self._toml.wrong(place, "write a list of values: the run knows what they mean")
        allowed = KNOWN_AXES[axis]
        labels = _labels(axis, allowed or ()) if values == [ALL] else values
        for number, label in enumerate(labels):
            if allowed is not None and label not in allowed:
                raise self._toml.wrong((*place, number), choice(label, allowed, axis))
            if labels.count(label) > 1:
                raise self._toml.wrong((*place, number), f"{label} is there twice")
        return self._some(place, dict.fromkeys(labels))

    def _some(self, place: Place, values: dict[str, Any]) -> dict[str, Patch | None]:
        if not values or not all(values):
            raise self._toml.wrong(place, "an axis has at least one value, and none is empty")
        return values

    def _patches(
        self, place: Place, axes: dict[str, dict[str, Patch | None]], scenario: Scenario
    ) -> None:
        """Complain of an option or a parameter that nothing takes."""
        for axis, values in axes.items():
            for value, patch in values.items():
                if patch is not None:
                    self._patch((*place, axis, value), patch, scenario)

    def _patch(self, place: Place, patch: Patch, scenario: Scenario) -> None:
        for kind in [patch.type] if patch.type else [device.type for device in scenario.devices]:
            if mistake := available.device_error(kind, patch.options):
                raise self._toml.wrong((*place, *mistake[0]), mistake[1])
        for module, given in patch.parameters.items():
            if mistake := available.parameter_error(module, given):
                raise self._toml.wrong((*place, "parameters", module, *mistake[0]), mistake[1])

    def _scenario(self, place: Place, name: str) -> Scenario:
        try:
            return load_scenario(name)
        except UsageError as error:
            there = [path.stem for path in SCENARIOS.glob("*.toml")]
            words = str(error) if name in there else choice(name, there, "scenario")
            raise self._toml.wrong((*place, "scenario"), words) from None

    def _where(self, place: Place, where: Where, axes: dict[str, dict[str, Patch | None]]) -> None:
        if not where.values:
            raise self._toml.wrong(place, "name at least one axis and its value")
        for axis, values in where.values.items():
            if axis not in axes:
                raise self._toml.wrong((*place, axis), choice(axis, axes, "axis"))
            for value in values:
                if value not in axes[axis]:
                    raise self._toml.wrong(
                        (*place, axis), choice(value, axes[axis], f"value of {axis}")
                    )

    def _invalid(self, error: ValidationError) -> UsageError:
        """The error about the deepest place, at its line.

        Of a union pydantic reports an error of each member, and the deepest is the one meant.
        """
        errors = [(self._place(e["loc"]), e) for e in error.errors(include_url=False)]
        place, first = max(errors, key=lambda found: len(found[0]))
        last = first["loc"][-1]
        if first["type"] == "extra_forbidden":
            known = self._model(place[:-1]).model_fields
            return self._toml.wrong(place, choice(last, known, "key"))
        if first["type"] == "missing":
            return self._toml.wrong(place, f"{shown((last,))} is missing")
        return self._toml.wrong(place, str(first["msg"]))

    def _place(self, location: Place) -> Place:
        """Pydantic's, without the names of unions' members."""
        place: list[str | int] = []
        data: Any = self._toml.data
        for key in location:
            if _has(data, key):
                place.append(key)
                data = data[key]
        return tuple(place)

    def _model(self, place: Place) -> type[BaseModel]:
        """The model whose keys may stand at a place."""
        words = [key for key in place if isinstance(key, str)]
        if "axes" in words or "change" in words:
            return Patch
        if words == ["group"]:
            return _Group
        if words[:1] == ["cell"]:
            return Subject if "subject" in words else _OneCell
        return _ListFile if self._lists else _GroupFile


def _has(data: Any, key: str | int) -> bool:
    if isinstance(data, dict):
        return key in data
    return isinstance(data, list) and isinstance(key, int) and key < len(data)


def _labels(axis: str, allowed: Iterable[str]) -> list[str]:
    """What "all" stands for. No mutant is one of the mutants' cells: the control."""
    return [name for name in allowed if name != NONE or axis == MUTANT]


def _fits(scenario: str, row: dict[str, str]) -> bool:
    """Whether a deliberate fault's code runs in a cell; a control's does in each."""
    fault = spec.faults("driver").get(row.get(DRIVER_FAULT, NONE))
    if fault is not None and not fault.fits(row.get("ring", "split")):
        return False
    of_back_end = FAULTS.get(row.get(BACK_END_FAULT, NONE))
    if of_back_end is not None and of_back_end.ring not in ("both", row.get("ring", "split")):
        return False
    mutant = find_mutant(row.get(MUTANT, NONE))
    return mutant is None or mutant.fits(scenario, row)


def _plain(name: str) -> str:
    """A name without characters that mean something to a shell or a file system."""
    return re.sub(r"[^A-Za-z0-9_.+-]", "_", name)
