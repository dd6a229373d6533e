# SPDX-License-Identifier: GPL-2.0-only
"""plan.json: what a matrix directory is a matrix of, and which shard of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from pydantic import ConfigDict, TypeAdapter, ValidationError

from pykit import __version__
from pykit.errors import UsageError
from pykit.families.record import first_error

_CONFIG = ConfigDict(extra="forbid", strict=True)


class Cell(Protocol):
    """What of a cell a plan tells; the family's own cells have more."""

    @property
    def name(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def scenario(self) -> str: ...
    @property
    def axes(self) -> Mapping[str, str]: ...
    @property
    def tags(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A cell as plan.json has it."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    name: str
    family: str
    scenario: str
    axes: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()

    @classmethod
    def of(cls, cell: Cell) -> Planned:
        """The same of any cell."""
        return cls(
            name=cell.name,
            family=cell.family,
            scenario=cell.scenario,
            axes=dict(cell.axes),
            tags=tuple(cell.tags),
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
    cells: tuple[Planned, ...]
    shard: tuple[int, int] | None = None
    pykit: str = __version__
    schema: Literal[1] = 1

    @classmethod
    def of(cls, cells: Iterable[Cell], shard: tuple[int, int] | None = None) -> PlanFile:
        """The plan of these cells."""
        planned = tuple(map(Planned.of, cells))
        return cls(plan=plan_hash(planned), cells=planned, shard=shard)

    def to_json(self) -> str:
        """The file's text."""
        return json.dumps({"schema": self.schema, **asdict(self)}, indent=1) + "\n"

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
        if plan.plan != plan_hash(plan.cells):
            raise UsageError(f"{path}: its hash is not that of its cells: was it edited?")
        return plan


_PLAN: TypeAdapter[PlanFile] = TypeAdapter(PlanFile)


def plan_hash(cells: Iterable[Cell]) -> str:
    """SHA-256 of what the cells are, whatever their order."""
    told: list[dict[str, Any]] = [asdict(Planned.of(cell)) for cell in cells]
    told.sort(key=lambda cell: str(cell["name"]))
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
