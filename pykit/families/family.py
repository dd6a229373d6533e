# SPDX-License-Identifier: GPL-2.0-only
"""A family of scenarios: one scenario, the axes along which it is varied, and what is left out."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pykit import spec
from pykit.errors import UsageError
from pykit.families import expand
from pykit.paths import ROOT
from pykit.scenario import Scenario, available, load_scenario
from pykit.scenario.axes import RINGS
from pykit.scenario.model import SCENARIOS, Backing
from pykit.scenario.transport import TRANSPORTS
from pykit.toml import Place, TomlFile, choice, shown

FAMILIES = ROOT / "families"

#: A family with more combinations than this is covered pairwise, unless it says otherwise.
_FEW = 64
#: The value of an axis of faults that stands for all there are, and for none.
ALL, NONE = "all", "none"

Parameter = str | int
_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


class Patch(BaseModel):
    """What a value of an axis changes in the scenario: in all of its devices, or in itself."""

    model_config = _STRICT

    type: str | None = None
    options: dict[str, str | int | bool] = {}
    backing: Backing | None = None
    iothread: bool | None = None
    cpus: Annotated[int, Field(ge=1, le=8)] | None = None
    count: Annotated[int, Field(ge=1)] | None = None
    #: Of our modules, by module.
    parameters: dict[str, dict[str, Parameter]] = {}


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Where(BaseModel):
    """Cells that have one of these values on each axis that is named."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    __pydantic_extra__: dict[str, Annotated[list[str], BeforeValidator(_listed)]]

    @property
    def values(self) -> dict[str, list[str]]:
        """By axis."""
        return dict(self.__pydantic_extra__)

    def holds(self, axes: dict[str, str]) -> bool:
        """Whether a cell is one of them."""
        return all(axes[axis] in values for axis, values in self.values.items())


class Exclude(Where):
    """Cells that are left out."""

    why: str


class Tag(Where):
    """Cells that have a tag of their own."""

    name: str


class _File(BaseModel):
    model_config = _STRICT

    summary: str
    scenario: str
    tags: list[str] = []
    expand: Literal["product", "pairwise"] | None = None
    axes: dict[str, list[str] | dict[str, Patch]]
    exclude: list[Exclude] = []
    tag: list[Tag] = []


@dataclass(frozen=True)
class Cell:
    """One scenario of a family.

    Attributes:
        name: family/name; the name has the values that are not their axis's first.
        axes: the value on each axis, in the order of the file.
        patches: what those change, of the axes that say so.
        kernel: another than the axes have, which was asked for.
    """

    name: str
    family: str
    scenario: str
    axes: dict[str, str]
    tags: tuple[str, ...]
    patches: tuple[Patch, ...]
    kernel: str | None = None

    @property
    def command(self) -> str:
        """What repeats it."""
        words = ["pykit", "run", self.name]
        return shlex.join([*words, "--kernel", self.kernel] if self.kernel else words)


@dataclass(frozen=True)
class Family:
    """A family as its file has it; its name is the file's."""

    name: str
    summary: str
    path: Path
    cells: tuple[Cell, ...]


#: Axes that mean what the option of `pykit run` of that name does, and what they may hold.
_KNOWN: dict[str, tuple[str, ...] | None] = {
    "kernel": None,
    "driver": None,
    "transport": tuple(TRANSPORTS),
    "ring": RINGS,
    "driver-fault": (NONE, *spec.faults("driver")),
    "device-fault": (NONE, *spec.faults("device")),
}


def names() -> list[str]:
    """Of the families there are."""
    return sorted(path.stem for path in FAMILIES.glob("*.toml"))


def load(name: str) -> Family:
    """A family by its name in families/, or by a file's path.

    Raises UsageError with file, line and what was meant for anything that is not as it should be.
    """
    path = Path(name) if name.endswith(".toml") else FAMILIES / f"{name}.toml"
    if not path.is_file():
        raise UsageError(f"{choice(name, names(), 'family')}, or name a .toml file")
    return _Loader(TomlFile(path)).family()


class _Loader:
    def __init__(self, file: TomlFile) -> None:
        self._toml = file
        try:
            self._file = _File.model_validate(file.data)
        except ValidationError as error:
            raise self._invalid(error) from None
        #: By axis the labels of its values, and what they change.
        self._axes = {axis: self._axis(axis) for axis in self._file.axes}

    def family(self) -> Family:
        file, path = self._file, self._toml.path
        self._patches(self._scenario())
        if not self._axes:
            raise self._toml.wrong(("axes",), "a family has at least one axis")
        wheres: list[tuple[str, Where]] = [
            *(("exclude", entry) for entry in file.exclude),
            *(("tag", entry) for entry in file.tag),
        ]
        counts = {"exclude": 0, "tag": 0}
        for kind, where in wheres:
            self._where((kind, counts[kind]), where)
            counts[kind] += 1
        values = {axis: tuple(labels) for axis, labels in self._axes.items()}
        excludes = [entry.values for entry in file.exclude]
        rows = (
            expand.pairwise(values, excludes)
            if (file.expand or self._default()) == "pairwise"
            else expand.product(values, excludes)
        )
        cells = tuple(map(self._cell, rows))
        if not cells:
            raise self._toml.wrong(("exclude",), "nothing is left: every combination is excluded")
        seen: dict[str, Cell] = {}
        for cell in cells:
            if (other := seen.setdefault(cell.name, cell)) is not cell:
                raise self._toml.wrong(
                    ("axes",), f"{cell.axes} and {other.axes} would both be called {cell.name}"
                )
        return Family(path.stem, file.summary, path, cells)

    def _default(self) -> str:
        size = 1
        for labels in self._axes.values():
            size *= len(labels)
        return "product" if size <= _FEW else "pairwise"

    def _cell(self, axes: dict[str, str]) -> Cell:
        file, family = self._file, self._toml.path.stem
        parts = [
            value if value[0].isalpha() else axis + value
            for axis, value in axes.items()
            if value != next(iter(self._axes[axis]))
        ]
        given = (self._axes[axis][value] for axis, value in axes.items())
        return Cell(
            name=f"{family}/{'-'.join(parts) or 'default'}",
            family=family,
            scenario=file.scenario,
            axes=axes,
            tags=(*file.tags, *(tag.name for tag in file.tag if tag.holds(axes))),
            patches=tuple(patch for patch in given if patch),
        )

    def _axis(self, axis: str) -> dict[str, Patch | None]:
        values = self._file.axes[axis]
        place: Place = ("axes", axis)
        if axis not in _KNOWN:
            if isinstance(values, list):
                meant = choice(axis, _KNOWN, "axis of `pykit run`")
                raise self._toml.wrong(
                    place, f"{meant}, or make it a table of values and what each changes"
                )
            return self._some(place, dict(values))
        if isinstance(values, dict):
            raise self._toml.wrong(place, "write a list of values: the run knows what they mean")
        allowed = _KNOWN[axis]
        labels = [name for name in allowed or () if name != NONE] if values == [ALL] else values
        for number, label in enumerate(labels):
            if allowed is not None and label not in allowed:
                raise self._toml.wrong((*place, number), choice(label, allowed, axis))
            if labels.count(label) > 1:
                raise self._toml.wrong((*place, number), f"{label} is there twice")
        return self._some(place, dict.fromkeys(labels))

    def _some(self, place: Place, values: dict[str, Any]) -> dict[str, Patch | None]:
        if not values:
            raise self._toml.wrong(place, "an axis has at least one value")
        return values

    def _patches(self, scenario: Scenario) -> None:
        """Complain of an option or a parameter that nothing takes."""
        for axis, values in self._axes.items():
            for value, patch in values.items():
                if patch is not None:
                    self._patch(("axes", axis, value), patch, scenario)

    def _patch(self, place: Place, patch: Patch, scenario: Scenario) -> None:
        for kind in [patch.type] if patch.type else [device.type for device in scenario.devices]:
            if mistake := available.device_error(kind, patch.options):
                raise self._toml.wrong((*place, *mistake[0]), mistake[1])
        for module, given in patch.parameters.items():
            if mistake := available.parameter_error(module, given):
                raise self._toml.wrong((*place, "parameters", module, *mistake[0]), mistake[1])

    def _scenario(self) -> Scenario:
        try:
            return load_scenario(self._file.scenario)
        except UsageError as error:
            name = self._file.scenario
            there = [path.stem for path in SCENARIOS.glob("*.toml")]
            words = str(error) if name in there else choice(name, there, "scenario")
            raise self._toml.wrong(("scenario",), words) from None

    def _where(self, place: Place, where: Where) -> None:
        if not where.values:
            raise self._toml.wrong(place, "name at least one axis and its value")
        for axis, values in where.values.items():
            if axis not in self._axes:
                raise self._toml.wrong((*place, axis), choice(axis, self._axes, "axis"))
            for value in values:
                if value not in self._axes[axis]:
                    raise self._toml.wrong(
                        (*place, axis), choice(value, self._axes[axis], f"value of {axis}")
                    )

    def _invalid(self, error: ValidationError) -> UsageError:
        """The complaint about what stands deepest, at its line.

        Of a union pydantic complains about each of its members, and the deepest is about what was
        meant.
        """
        errors = [(self._place(e["loc"]), e) for e in error.errors(include_url=False)]
        place, first = max(errors, key=lambda found: len(found[0]))
        last = first["loc"][-1]
        if first["type"] == "extra_forbidden":
            return self._toml.wrong(place, choice(last, _fields(place[:-1]), "key"))
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


def _has(data: Any, key: str | int) -> bool:
    if isinstance(data, dict):
        return key in data
    return isinstance(data, list) and isinstance(key, int) and key < len(data)


def _fields(place: Place) -> list[str]:
    model = Patch if place[:1] == ("axes",) else _File
    return list(model.model_fields)
