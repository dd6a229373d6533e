# SPDX-License-Identifier: GPL-2.0-only
"""plan.json: the cells of a matrix directory, and its shard."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from pydantic import ConfigDict, TypeAdapter, ValidationError

from pykit import __version__
from pykit.errors import UsageError
from pykit.matrix.plan.cell import Requirement, Subject
from pykit.matrix.plan.names import is_cell_name
from pykit.matrix.record import first_error

_CONFIG = ConfigDict(extra="forbid", strict=True)


class CellIdentity(Protocol):
    """The attributes of a cell that a plan stores; cells of a matrix file have more."""

    @property
    def name(self) -> str:
        """Return the cell's name."""

    @property
    def matrix(self) -> str:
        """Return the name of its matrix."""

    @property
    def scenario(self) -> str:
        """Return the name of its scenario."""

    @property
    def axes(self) -> Mapping[str, str]:
        """Return the values of its axes."""

    @property
    def tags(self) -> tuple[str, ...]:
        """Return its tags."""

    @property
    def requires(self) -> tuple[Requirement, ...]:
        """Return what it needs besides its kernel."""

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """Return the implementations that it judges."""


@dataclass(frozen=True, kw_only=True)
class PlannedCell:
    """A cell as plan.json has it."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    name: str
    matrix: str
    scenario: str
    axes: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    requires: tuple[Requirement, ...] = ()
    subjects: tuple[Subject, ...] = ()

    @classmethod
    def of(cls, cell: CellIdentity) -> PlannedCell:
        """The plan's part of a cell."""
        return cls(
            name=cell.name,
            matrix=cell.matrix,
            scenario=cell.scenario,
            axes=dict(cell.axes),
            tags=tuple(cell.tags),
            requires=tuple(cell.requires),
            subjects=tuple(cell.subjects),
        )


@dataclass(frozen=True, kw_only=True)
class PlanFile:
    """The file.

    Attributes:
        plan: plan_hash() of all cells; the same in all shards of a plan.
        cells: all of the plan's, also those of other shards.
        shard: (i, n), i from 1, where only that part of them is run here.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    plan: str
    cells: tuple[PlannedCell, ...]
    shard: tuple[int, int] | None = None
    pykit: str = __version__
    schema: Literal[2] = 2

    @classmethod
    def of(cls, cells: Iterable[CellIdentity], shard: tuple[int, int] | None = None) -> PlanFile:
        """The plan of these cells."""
        planned = tuple(map(PlannedCell.of, cells))
        return cls(plan=plan_hash(planned), cells=planned, shard=shard)

    def to_json(self) -> str:
        """The file's text."""
        data = {**vars(self), "cells": [_plain(cell) for cell in self.cells]}
        return json.dumps({"schema": self.schema, **data}, indent=1) + "\n"

    @classmethod
    def read(cls, path: Path) -> PlanFile:
        """Raises UsageError for a file that is not there or is no plan.json of ours."""
        try:
            plan = _PLAN.validate_json(path.read_bytes())
        except FileNotFoundError:
            raise UsageError(
                f"{path.parent} is no matrix directory: it has no {path.name}"
            ) from None
        except ValidationError as error:
            raise UsageError(f"{path}: {first_error(error)}") from None
        seen = set()
        for cell in plan.cells:
            if not is_cell_name(cell.name):
                raise UsageError(f"{path}: {cell.name!r} cannot name a cell")
            if cell.name in seen:
                raise UsageError(f"{path}: cell {cell.name} is in it twice")
            seen.add(cell.name)
        if plan.plan != plan_hash(plan.cells):
            raise UsageError(f"{path}: its hash is not that of its cells: was it edited?")
        return plan


_PLAN: TypeAdapter[PlanFile] = TypeAdapter(PlanFile)


def plan_hash(cells: Iterable[CellIdentity]) -> str:
    """SHA-256 of the cells, whatever their order."""
    plain = [_plain(PlannedCell.of(cell)) for cell in cells]
    plain.sort(key=lambda cell: str(cell["name"]))
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(cell: PlannedCell) -> dict[str, Any]:
    """A cell as JSON has it."""
    return {**vars(cell), "subjects": [subject.model_dump() for subject in cell.subjects]}
